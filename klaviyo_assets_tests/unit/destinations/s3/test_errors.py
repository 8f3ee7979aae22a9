"""What S3's answers become, through Amazon's own client: the class by code, the words, and what is then there."""

import hashlib
from dataclasses import replace

import pytest

from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.errors import PermanentError, SettingsError, TransientError
from klaviyo_assets.frames.record import FrameRecord
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets_tests.faults.connection_faults import UNRESOLVABLE, Fault
from klaviyo_assets_tests.faults.http_faults import HttpProxy

SECRET = "secret-that-nobody-may-see"
DAY = ("acme", "event", "2026-01-31")
PART, MANIFEST = r"/part-", r"/_manifest"


@pytest.fixture(scope="module")
def moto():
    """The address of moto's S3, with a bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client(
        "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s"
    ).create_bucket(Bucket="archive")
    yield url
    server.stop()


@pytest.fixture(scope="module", autouse=True)
def _credentials(tmp_path_factory):
    none = str(tmp_path_factory.mktemp("aws") / "none")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.delenv("AWS_PROFILE", raising=False)
        yield


@pytest.fixture(scope="module")
def _proxy(moto):
    with HttpProxy(moto) as proxy:
        yield proxy


@pytest.fixture
def s3(_proxy):
    """A proxy in front of moto, without rules."""
    _proxy.clear()
    return _proxy


def archive_at(url, prefix, **settings):
    # Generous, because no answer here is late: a busy machine must not turn one into a fault of the network.
    limits = {"connect_timeout_seconds": 30, "silence_timeout_seconds": 30, "exchange_timeout_seconds": 60,
              "call_timeout_seconds": 120, "repetitions": 0} | settings  # fmt: skip
    return S3ArchiveResource(bucket="archive", prefix=prefix, endpoint_url=url, **limits).archive


@pytest.fixture(scope="module")
def _archive(_proxy, _credentials):
    return archive_at(_proxy.url, "a")


@pytest.fixture
def archive(s3, _archive, request):
    """An archive behind the proxy, with a prefix of its own."""
    return replace(_archive, prefix=hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12])


@pytest.fixture
def frame(tmp_path):
    def make(content=b"rows"):
        path = tmp_path / "rows.parquet"
        path.write_bytes(content)
        return path, FrameRecord(
            rows=4, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), source_digest="4:1",
            settings_fingerprint="f",
        )  # fmt: skip

    return make


def xml(code, message="said by S3"):
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'


def held(archive, tmp_path):
    """The rows that the archive holds, through its manifest; None where it has none."""
    manifest = archive.manifest(*DAY)
    if manifest is None:
        return None
    archive.fetch(manifest, tmp_path / "back")
    return (tmp_path / "back").read_bytes()


@pytest.mark.parametrize(("status", "code"), [
    (503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable"), (400, "RequestTimeout"),
    (409, "OperationAborted"), (503, "Busy"), (400, "BadDigest"), (400, "KMS.ThrottlingException"), (429, "Throttling"),
    (502, ""), (408, ""),
])  # fmt: skip
def test_what_passes_is_transient(archive, s3, frame, status, code):
    s3.answer("PUT", PART, status, xml(code) if code else b"<html>")

    with pytest.raises(TransientError, match=rf"archiving to s3://archive/.*{code}.*Run it again later\."):
        archive.archive(*frame(), *DAY)
    s3.clear()
    assert archive.manifest(*DAY) is None


@pytest.mark.parametrize(("status", "code", "fix"), [
    (403, "AccessDenied", "s3:ListBucket on the bucket"), (404, "NoSuchBucket", "Create the bucket"),
    (400, "ExpiredToken", "sign in again"), (403, "RequestTimeTooSkewed", "clock of this machine"),
    (400, "AuthorizationHeaderMalformed", "AWS_REGION"), (301, "PermanentRedirect", "AWS_REGION"),
    (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"), (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
    (400, "InvalidToken", "AWS_SESSION_TOKEN"), (400, "EntityTooLarge", "5 GB"),
    (403, "InvalidObjectState", "Glacier"), (501, "NotImplemented", "conditional writes"),
    (400, "KMS.DisabledException", "kms:GenerateDataKey"), (400, "KMS.NotFoundException", "Enable the bucket"),
    (400, "SomethingNew", "S3_ENDPOINT_URL"), (501, "", "conditional writes"),
])  # fmt: skip
def test_what_lasts_is_permanent_and_says_what_to_do(archive, s3, frame, status, code, fix):
    s3.answer("PUT", PART, status, xml(code) if code else b"")
    # botocore asks where the bucket is before it believes in another region.
    s3.answer("HEAD", "", 400)

    with pytest.raises(PermanentError, match=rf"archiving to s3://archive/.*{code}.*{fix}") as raised:
        archive.archive(*frame(), *DAY)

    assert SECRET not in str(raised.value)
    assert code == "NoSuchBucket" or "bucket exists" not in str(raised.value)
    s3.clear()
    assert archive.manifest(*DAY) is None


def test_words_decide_nothing(archive, s3, frame):
    s3.answer("PUT", PART, 403, xml("AccessDenied", "not SlowDown, and not ExpiredToken"))
    with pytest.raises(PermanentError, match="Grant s3:ListBucket"):
        archive.archive(*frame(), *DAY)


def test_a_conflict_is_not_taken_for_a_part_that_is_there(archive, s3, frame, tmp_path):
    s3.answer("PUT", PART, 409, xml("ConditionalRequestConflict"), times=2)

    done = archive.archive(*frame(b"content"), *DAY)

    assert done.part_written
    assert held(archive, tmp_path) == b"content"


def test_a_conflict_that_stays_is_a_transient_error_and_no_manifest_names_the_part(archive, s3, frame):
    s3.answer("PUT", PART, 409, xml("ConditionalRequestConflict"))

    with pytest.raises(TransientError, match="ConditionalRequestConflict"):
        archive.archive(*frame(), *DAY)

    s3.clear()
    assert archive.manifest(*DAY) is None


def test_a_part_that_is_there_is_not_written_again(archive, frame, tmp_path):
    archive.archive(*frame(b"older"), *DAY)
    archive.archive(*frame(b"newer"), *DAY)
    done = archive.archive(*frame(b"older"), *DAY)
    assert (done.part_written, held(archive, tmp_path)) == (False, b"older")


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_login_page_is_not_taken_for_s3(archive, s3, frame, method):
    s3.answer(method, "", 200, b"<html>log in</html>")

    with pytest.raises(TransientError, match="the answer did not come from S3"):
        archive.archive(*frame(), *DAY)

    s3.clear()
    assert archive.manifest(*DAY) is None


def test_a_manifest_that_is_none_is_named(archive, s3, frame):
    archive.archive(*frame(), *DAY)
    s3.answer("GET", MANIFEST, 200, b"[1", headers={"ETag": '"1"'})
    with pytest.raises(PermanentError, match=r"_manifest\.json is not a manifest"):
        archive.manifest(*DAY)


def test_a_part_whose_upload_was_answered_nowhere_is_found_by_the_next_attempt(archive, s3, frame, tmp_path):
    s3.lose("PUT", PART)
    with pytest.raises(TransientError, match="the connection was"):
        archive.archive(*frame(b"content"), *DAY)
    assert archive.manifest(*DAY) is None

    done = archive.archive(*frame(b"content"), *DAY)

    assert (done.part_written, held(archive, tmp_path)) == (False, b"content")


def test_a_manifest_whose_answer_was_lost_is_found_by_the_next_attempt(archive, s3, frame, tmp_path):
    s3.lose("PUT", MANIFEST)
    with pytest.raises(TransientError):
        archive.archive(*frame(b"content"), *DAY)

    done = archive.archive(*frame(b"content"), *DAY)

    assert (done.manifest_written, held(archive, tmp_path)) == (False, b"content")


@pytest.mark.parametrize(("fault", "words"), [
    (Fault("reset", after=400), "reset|cut off"), (Fault("close", after=400), "cut off"),
    (Fault("silence", after=400), "nothing came within 0.5 s|no bytes|cut off"),
])  # fmt: skip
def test_a_part_that_breaks_off_while_it_is_read_is_a_transient_error(archive, s3, frame, tmp_path, fault, words):
    manifest = archive.archive(*frame(b"x" * 5000), *DAY).manifest
    s3.spoil("GET", PART, fault)
    impatient = replace(archive, client=archive_at(s3.url, "a", silence_timeout_seconds=0.5).client)

    with pytest.raises(TransientError, match=f"reading s3://archive/.*({words})"):
        impatient.fetch(manifest, tmp_path / "back")


def test_no_credentials_are_named_and_no_lookup_hangs(monkeypatch, moto, frame):
    """Without any, botocore asks the machine's metadata service, which answers nobody here."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with HttpProxy(moto) as metadata:
        metadata.silence(".*", "")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
        with pytest.raises(SettingsError, match=r"there are no AWS credentials\. Check AWS_ACCESS_KEY_ID"):
            archive_at(moto, "none").archive(*frame(), *DAY)


def test_a_profile_that_is_none_is_named(monkeypatch, moto):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(SettingsError, match=r"nobody.*AWS_PROFILE"):
        archive_at(moto, "none")


def test_a_name_that_no_dns_knows_is_said(frame):
    with pytest.raises(TransientError, match="its name is not known to the DNS"):
        archive_at(f"http://{UNRESOLVABLE}", "none").archive(*frame(), *DAY)


def test_the_archive_of_a_resource_is_bounded_and_that_of_a_bare_client_by_the_usual_limit(s3):
    assert archive_at(s3.url, "a", call_timeout_seconds=7).call_seconds == 7
    assert S3Archive(None, "archive", "a").call_seconds == 900
