"""Settings that are missing, ill-formed, half set, misspelled or weak: each is named, and no secret is shown."""

import hashlib

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.diagnosis.findings import Level
from klaviyo_assets.diagnosis.settings import FORMS, check_dotenv, check_mail, check_privacy, check_settings

GOOD = {
    "POSTGRES_URL": "postgresql://me:hidden-word@db.example:5432/fivetran", "S3_BUCKET": "my-archive",
    "FIVETRAN_API_KEY": "key", "FIVETRAN_API_SECRET": "hidden-word", "BIGQUERY_PROJECT": "my-project-1",
    "BIGQUERY_LOCATION": "EU", "S3_PREFIX": "klaviyo/eu", "BIGQUERY_DATASET_PREFIX": "klaviyo",
}  # fmt: skip
WATCHED = Account("acme", "klaviyo_acme", fivetran_connection_id="speak_menial")


def problems(findings):
    return [(one.level, one.what, one.fix) for one in findings if one.level]


def test_good_settings_have_no_problem():
    assert problems(check_settings(GOOD, [WATCHED])) == []


@pytest.mark.parametrize("name", ["POSTGRES_URL", "S3_BUCKET", "BIGQUERY_PROJECT", "FIVETRAN_API_KEY"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named_with_its_form(name, value):
    given = {**GOOD, name: value} if value is not None else {key: GOOD[key] for key in GOOD if key != name}

    ((level, what, fix),) = problems(check_settings(given, [WATCHED]))

    assert (level, what) == (Level.FAIL, f"{name} is not set")
    assert FORMS[name].words in fix


def test_without_a_connection_to_watch_no_fivetran_key_is_needed():
    given = {key: GOOD[key] for key in GOOD if not key.startswith("FIVETRAN")}

    assert problems(check_settings(given, [Account("acme", "klaviyo_acme")])) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_URL", "mysql://me:hidden-word@db/x"), ("POSTGRES_URL", "postgresql://me:hidden-word@db"),
        ("POSTGRES_URL", "postgresql://me:hidden-word@db:port/x"),
        ("POSTGRES_URL", "postgresql://user:password@host:5432/database"), ("FIVETRAN_API_SECRET", '"hidden-word"'),
        ("FIVETRAN_API_URL", "api.fivetran.com"), ("FIVETRAN_API_URL", "https://[bad"), ("S3_BUCKET", "s3://my-archive"),
        ("S3_BUCKET", "my-archive/klaviyo"), ("S3_PREFIX", "/klaviyo/"), ("BIGQUERY_PROJECT", "My Project"),
        ("BIGQUERY_LOCATION", "Frankfurt am Main"), ("BIGQUERY_DATASET_PREFIX", "klaviyo-eu"),
        ("KLAVIYO_FRAMES_URL", "gs://bucket"), ("S3_ENDPOINT_URL", "127.0.0.1:9000"), ("PII_HASH_KEY", " hidden-word "),
        ("LOOKER_TEMPLATE_ID", "my report"),
    ],
)  # fmt: skip
def test_an_ill_formed_setting_is_named_and_a_secret_is_not_shown(name, value):
    ((level, what, fix),) = problems(check_settings({**GOOD, name: value}, [WATCHED]))

    assert level is Level.FAIL
    assert what.startswith(name)
    assert fix == f"Allowed: {FORMS[name].words}."
    assert "hidden-word" not in what + fix


def test_half_of_the_aws_credentials_is_named():
    ((_, what, _),) = problems(check_settings({**GOOD, "AWS_ACCESS_KEY_ID": "abc"}, [WATCHED]))

    assert what == "AWS_ACCESS_KEY_ID is set, but its counterpart is not"


@pytest.fixture
def dotenv(tmp_path):
    path = tmp_path / ".env"
    path.write_text("POSTGRES_URL=x\nAWS_PROFILE=y\nKLAVIYO_PII=hash\n")
    path.chmod(0o600)
    return path


def test_a_good_dotenv_has_no_problem(dotenv, tmp_path):
    assert list(check_dotenv(dotenv)) == []
    assert list(check_dotenv(tmp_path / "none")) == []


def test_a_dotenv_that_others_may_read_is_told(dotenv):
    dotenv.chmod(0o644)

    ((level, _, fix),) = problems(check_dotenv(dotenv))

    assert (level, fix) == (Level.WARN, "Run `chmod 600 .env`.")


def test_a_misspelled_name_in_dotenv_is_told_with_the_right_one(dotenv):
    dotenv.write_text("POSTGRES_URI=postgresql://me:hidden-word@db/x\n")

    ((_, what, fix),) = problems(check_dotenv(dotenv))

    assert what == ".env sets POSTGRES_URI, which nothing reads"
    assert fix == "Did you mean POSTGRES_URL?"


_SMTP = {"SMTP_URL": "smtps://me:password@mail.example"}


def test_without_mail_settings_mail_is_not_looked_at():
    assert list(check_mail(GOOD)) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"MAIL_FROM": "a@b.example", "MAIL_TO": "c@d.example, E <e@f.example>", "SES_REGION": "eu-central-1"}, []),
        ({"MAIL_FROM": "a@b.example"}, ["MAIL_TO is not set, so no mail is sent",
                                        "neither SES_REGION nor SMTP_URL is set, so no mail is sent"]),
        ({"MAIL_FROM": "a@b", "MAIL_TO": "c@d.example", **_SMTP}, ["MAIL_FROM = 'a@b' has the wrong form"]),
        ({"MAIL_FROM": "a@b.example", "MAIL_TO": "c@d.example;e@f.example", **_SMTP},
         ["MAIL_TO = 'c@d.example;e@f.example' has the wrong form"]),
        ({"MAIL_FROM": "a@b.example", "MAIL_TO": "c@d.example", "SMTP_URL": "http://me:hidden@host"},
         ["SMTP_URL has the wrong form"]),
        ({"MAIL_FROM": "a@b.example", "MAIL_TO": "c@d.example", "SES_REGION": "Frankfurt"},
         ["SES_REGION = 'Frankfurt' has the wrong form"]),
    ],
)  # fmt: skip
def test_mail_settings_are_looked_at_for_their_form(given, told):
    assert [what for _, what, _ in problems(check_mail(given))] == told


@pytest.mark.parametrize(
    ("key", "level"),
    [("", Level.FAIL), ("k-3y!", Level.FAIL), ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Level.WARN),
     ("passwordpassword", Level.WARN), (hashlib.sha256(b"a test's").hexdigest(), Level.OK)],
)  # fmt: skip
def test_a_hash_key_is_judged_by_how_hard_it_is_to_guess(key, level):
    (finding,) = check_privacy(WATCHED, key)

    assert finding.level is level
    assert finding.account == "acme"
    assert not key or key not in finding.what + finding.fix


@pytest.mark.parametrize(("pii", "levels"), [("keep", [Level.WARN]), ("drop", [])])
def test_an_account_that_does_not_hash_needs_no_key(pii, levels):
    findings = list(check_privacy(Account("acme", "klaviyo_acme", pii=pii), ""))

    assert [one.level for one in findings] == levels


def test_the_key_of_a_klaviyo_account_is_no_misspelling(tmp_path):
    """Their names end in the account's."""
    path = tmp_path / ".env"
    path.write_text("KLAVIYO_API_KEY_ACME=pk_x\nKLAVIYO_API_URL=https://a.klaviyo.com\n")
    path.chmod(0o600)
    assert problems(check_dotenv(path)) == []
