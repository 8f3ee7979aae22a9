"""The archive's keys, parts and manifests, against moto's S3."""

import base64
import hashlib
import io
import json
from dataclasses import replace

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from moto import mock_aws

from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames.record import FrameRecord, Part, TableState

BUCKET = "archive"


@pytest.fixture
def client(monkeypatch):
    """An empty bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        s3_client = boto3.client("s3", region_name="us-east-1")
        s3_client.create_bucket(Bucket=BUCKET)
        yield s3_client


@pytest.fixture
def archive(client):
    return S3Archive(client, BUCKET, "klaviyo")


@pytest.fixture
def frame(tmp_path):
    """Make a mapped file and its record."""

    def make(content=b"rows"):
        path = tmp_path / "rows.parquet"
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return path, FrameRecord(
            rows=4, bytes=len(content), sha256=digest, source_digest="4:1", settings_fingerprint="f",
            data_through="2026-01-31T00:00:00+00:00",
        )  # fmt: skip

    return make


def keys(client):
    return [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_day_is_a_part_named_by_its_hash_and_a_manifest_that_names_it(archive, client, frame):
    path, record = frame()

    done = archive.archive(path, record, "acme", "event", "2026-01-31")

    folder = "klaviyo/acme/event/date=2026-01-31"
    assert keys(client) == [f"{folder}/_manifest.json", f"{folder}/part-{record.sha256}.parquet"]
    assert done.uri == f"s3://{BUCKET}/{folder}/part-{record.sha256}.parquet"
    assert (done.part_written, done.manifest_written) == (True, True)
    assert client.get_object(Bucket=BUCKET, Key=keys(client)[1])["Body"].read() == b"rows"
    assert archive.manifest("acme", "event", "2026-01-31") == done.manifest


def test_a_table_without_days_has_no_date_level(archive, client, frame):
    path, record = frame()

    archive.archive(path, record, "acme", "campaign", None)

    assert keys(client)[0] == "klaviyo/acme/campaign/_manifest.json"


def test_a_manifest_holds_nothing_of_the_run_that_wrote_it(archive, frame):
    path, record = frame()

    manifest = archive.archive(path, record, "acme", "event", "2026-01-31").manifest

    assert set(json.loads(manifest.text)) == {
        "account", "table", "date", "part", "sha256", "rows", "bytes", "source_digest", "settings_fingerprint",
        "format",
    }  # fmt: skip


def test_the_same_file_again_writes_nothing(archive, client, frame):
    path, record = frame()
    archive.archive(path, record, "acme", "event", "2026-01-31")
    before = client.list_objects_v2(Bucket=BUCKET)["Contents"]

    # What belongs to the run may differ: the source was looked at later.
    again = archive.archive(path, replace(record, data_through="2026-02-01"), "acme", "event", "2026-01-31")

    assert (again.part_written, again.manifest_written) == (False, False)
    assert client.list_objects_v2(Bucket=BUCKET)["Contents"] == before


def test_a_new_version_leaves_the_older_part_and_replaces_the_manifest(archive, client, frame):
    first = archive.archive(*frame(b"older"), "acme", "event", "2026-01-31").manifest
    second = archive.archive(*frame(b"newer"), "acme", "event", "2026-01-31").manifest

    assert archive.manifest("acme", "event", "2026-01-31") == second
    assert {key.rpartition("/")[2] for key in keys(client)} == {"_manifest.json", first.part, second.part}


def test_what_was_never_archived_has_no_manifest(archive):
    assert archive.manifest("acme", "event", "2026-01-31") is None


def test_a_part_comes_back_byte_for_byte(archive, frame, tmp_path):
    path, record = frame(b"\x00rows\xff")
    manifest = archive.archive(path, record, "acme", "event", "2026-01-31").manifest

    archive.fetch(manifest, tmp_path / "back")

    assert (tmp_path / "back").read_bytes() == b"\x00rows\xff"


def test_a_damaged_part_is_refused(archive, client, frame, tmp_path):
    path, record = frame()
    manifest = archive.archive(path, record, "acme", "event", "2026-01-31").manifest
    key = f"klaviyo/acme/event/date=2026-01-31/{manifest.part}"
    client.put_object(Bucket=BUCKET, Key=key, Body=b"other")

    with pytest.raises(PermanentError, match=f"{key} is damaged: its SHA-256 is"):
        archive.fetch(manifest, tmp_path / "back")


def test_a_part_is_sent_with_its_checksum_and_only_where_it_is_not(archive, client, frame):
    """S3 itself then refuses bytes that are not those of the name, and never overwrites a part."""
    sent = []
    client.meta.events.register("before-call.s3.PutObject", lambda params, **_: sent.append(params["headers"]))
    path, record = frame()

    archive.archive(path, record, "acme", "event", "2026-01-31")

    part = sent[0]
    assert base64.b64decode(part["x-amz-checksum-sha256"]).hex() == record.sha256
    assert part["If-None-Match"] == "*"


def test_a_manifest_that_somebody_replaced_meanwhile_is_left_as_it_is(archive, client, frame, monkeypatch):
    """Two writers read the same manifest; the second to write finds it changed and gives way."""
    archive.archive(*frame(b"older"), "acme", "event", "2026-01-31")
    key = "klaviyo/acme/event/date=2026-01-31/_manifest.json"
    stale = archive._read(key)
    other = archive.archive(*frame(b"theirs"), "acme", "event", "2026-01-31").manifest
    monkeypatch.setattr(S3Archive, "_read", lambda self, key: stale)

    with pytest.raises(TransientError, match="another run replaced"):
        archive.archive(*frame(b"ours"), "acme", "event", "2026-01-31")

    monkeypatch.undo()
    assert json.loads(client.get_object(Bucket=BUCKET, Key=key)["Body"].read())["sha256"] == other.sha256


def test_a_missing_bucket_is_named_with_what_is_needed(client, frame):
    with pytest.raises(PermanentError, match=r"s3://nowhere/.*NoSuchBucket.*Create the bucket, or set S3_BUCKET"):
        S3Archive(client, "nowhere", "klaviyo").archive(*frame(), "acme", "event", "2026-01-31")


def test_a_server_that_does_not_answer_is_a_passing_fault(frame):
    away = boto3.client(
        "s3", region_name="us-east-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="k",
        aws_secret_access_key="s", config=Config(retries={"max_attempts": 0}, connect_timeout=1),
    )  # fmt: skip

    with pytest.raises(TransientError, match=r"S3 cannot be reached \(S3_ENDPOINT_URL\)"):
        S3Archive(away, BUCKET, "klaviyo").archive(*frame(), "acme", "event", "2026-01-31")


@pytest.mark.parametrize(("prefix", "folder"), [
    ("klaviyo", "klaviyo/acme/event/date=2026-01-31"), ("/a/b/", "a/b/acme/event/date=2026-01-31"),
    ("", "acme/event/date=2026-01-31"),
])  # fmt: skip
def test_keys_begin_with_the_prefix_and_never_with_a_slash(prefix, folder):
    assert S3Archive(None, BUCKET, prefix).folder("acme", "event", "2026-01-31") == folder


def table(*rows):
    """A Parquet file of people, by id and city."""
    content = io.BytesIO()
    pq.write_table(pa.table({"person_id": [row[0] for row in rows], "city": [row[1] for row in rows]}), content)
    return content.getvalue(), len(rows)


@pytest.fixture
def person(tmp_path):
    """Make a mapped file of people and its record; `below` are the parts it builds on, `total` the rows of all."""

    def make(*rows, below=(), total=None):
        content, count = table(*rows)
        path = tmp_path / f"{len(below)}.parquet"
        path.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        state = TableState("", total if total is not None else count, key=("person_id",), below=tuple(below))
        return path, FrameRecord(rows=count, bytes=len(content), sha256=sha256, state=state)

    return make


def archived_people(archive, frame):
    return archive.archive(*frame, "acme", "person", None).manifest


def test_a_delta_is_a_part_that_the_manifest_names_after_those_it_builds_on(archive, client, person, tmp_path):
    base = archived_people(archive, person(("a", "Rome"), ("b", "Bonn")))
    delta = person(("b", "Paris"), ("c", "Oslo"), below=base.all_parts, total=3)

    manifest = archived_people(archive, delta)

    document = json.loads(manifest.text)
    assert (document["format"], document["key"], document["rows"], manifest.sha256) == (
        2,
        ["person_id"],
        3,
        delta[1].sha256,
    )
    assert manifest.all_parts == (*base.all_parts, Part(delta[1].sha256, 2, delta[1].bytes))
    assert archive.manifest("acme", "person", None) == manifest
    archive.fetch(manifest, tmp_path / "back.parquet")
    back = pq.read_table(tmp_path / "back.parquet").to_pylist()
    assert [(row["person_id"], row["city"]) for row in back] == [("a", "Rome"), ("b", "Paris"), ("c", "Oslo")]


def test_a_delta_without_rows_or_the_same_again_writes_nothing(archive, client, person):
    base = archived_people(archive, person(("a", "Rome")))
    delta = person(("b", "Bonn"), below=base.all_parts, total=2)
    manifest = archived_people(archive, delta)
    before = keys(client)

    for again in (
        delta,
        person(("b", "Bonn"), below=manifest.all_parts, total=2),
        person(below=manifest.all_parts, total=2),
    ):
        done = archive.archive(*again, "acme", "person", None)
        assert (done.manifest, done.part_written, done.manifest_written) == (manifest, False, False)
    assert keys(client) == before


def test_a_delta_that_no_load_took_is_left_out_of_the_next(archive, person, tmp_path):
    base = archived_people(archive, person(("a", "Rome")))
    archived_people(archive, person(("gone", "Bonn"), below=base.all_parts, total=2))

    manifest = archived_people(archive, person(("c", "Oslo"), below=base.all_parts, total=2))

    archive.fetch(manifest, tmp_path / "back.parquet")
    assert pq.read_table(tmp_path / "back.parquet").column("person_id").to_pylist() == ["a", "c"]


def test_a_delta_on_something_else_than_the_archive_holds_is_refused(archive, client, person):
    base = archived_people(archive, person(("a", "Rome")))
    whole = archived_people(archive, person(("a", "Ulm")))

    with pytest.raises(PermanentError, match="has changed since the changed rows were read"):
        archived_people(archive, person(("b", "Bonn"), below=base.all_parts, total=2))

    assert archive.manifest("acme", "person", None) == whole


def test_a_whole_part_replaces_the_deltas(archive, person):
    base = archived_people(archive, person(("a", "Rome")))
    archived_people(archive, person(("b", "Bonn"), below=base.all_parts, total=2))

    manifest = archived_people(archive, person(("a", "Rome"), ("b", "Bonn")))

    assert (manifest.format, manifest.parts, len(manifest.all_parts)) == (1, (), 1)


def test_a_damaged_part_below_a_delta_is_refused(archive, client, person, tmp_path):
    base = archived_people(archive, person(("a", "Rome")))
    manifest = archived_people(archive, person(("b", "Bonn"), below=base.all_parts, total=2))
    client.put_object(Bucket=BUCKET, Key=archive.part_key(manifest, base.sha256), Body=b"other")

    with pytest.raises(PermanentError, match="is damaged"):
        archive.fetch(manifest, tmp_path / "back")
