"""`doctor` against real servers: a sound deployment, and one with everything broken that can be, each thing named."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from klaviyo_assets.accounts import Account
from klaviyo_assets.cli.main import app
from klaviyo_assets.diagnosis import bigquery, postgres, s3
from klaviyo_assets.diagnosis.findings import Level, Scope, collected
from klaviyo_assets.diagnosis.run import SYSTEMS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets_tests.integration.deployment import Sandbox, environment

PREFIX = "doctored"


@dataclass
class Patient:
    """A deployment on the sandbox whose accounts file and environment a test writes."""

    sandbox: Sandbox
    folder: Path
    changes: dict[str, str | None] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)

    @property
    def variables(self) -> Mapping[str, str | None]:
        own = {
            "KLAVIYO_ACCOUNTS_FILE": str(self.folder / "accounts.toml"),
            "KLAVIYO_FRAMES_URL": str(self.folder / "frames"),
            "S3_PREFIX": PREFIX,
            "BIGQUERY_DATASET_PREFIX": PREFIX,
            "DAGSTER_HOME": None,
            "COLUMNS": "80",
        }
        return {**self.sandbox.variables, **own, **self.changes}

    def add(self, name: str, account: Account, **changes: str) -> None:
        given = {
            "postgres_schema": account.postgres_schema, "fivetran_connection_id": account.fivetran_connection_id,
            "timezone": account.timezone, "currency": account.currency, "conversion_metric": account.conversion_metric,
            "conversion_integration": account.conversion_integration, **changes, "name": name,
        }  # fmt: skip
        lines = [f"{setting} = {json.dumps(value)}" for setting, value in given.items() if value]
        self.blocks.append("\n".join(["[[account]]", *lines, ""]))

    def doctor(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output, as a process that is piped has them."""
        (self.folder / "accounts.toml").write_text("\n".join(self.blocks))
        (self.folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        with environment(self.variables), pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            done = CliRunner().invoke(app, ["doctor", *arguments])
        assert done.stderr == ""
        return done.exit_code, done.stdout


class Findings:
    """What `--json` gave, by account, system and level."""

    def __init__(self, printed: str) -> None:
        self.document: dict[str, Any] = json.loads(printed)

    def of(self, account: str | None, *, system: str | None = None, level: str | None = None) -> list[str]:
        return [
            f"{finding['what']} | {finding['fix']}"
            for finding in self.document["findings"]
            if finding["account"] == account
            and system in {None, finding["system"]}
            and level in {None, finding["level"]}
        ]


@pytest.fixture
def patient(sandbox, tmp_path) -> Patient:
    return Patient(sandbox, tmp_path)


@pytest.fixture(scope="module")
def admin(sandbox) -> Iterator[httpx.Client]:
    """The switches of the sandbox's Fivetran; put back afterwards."""
    told = sandbox.variables
    auth = (told["FIVETRAN_API_KEY"], told["FIVETRAN_API_SECRET"])
    with httpx.Client(base_url=told["FIVETRAN_API_URL"], auth=auth, trust_env=False) as client:
        yield client
        for account in sandbox.accounts.by_name.values():
            client.patch(
                f"/sandbox/connections/{account.fivetran_connection_id}", json={"paused": False, "disabled": []}
            )


def test_a_sound_deployment_is_well_and_nothing_is_left_behind(patient, sandbox):
    for name in sandbox.accounts.names:
        patient.add(name, sandbox.accounts[name])

    code, printed = patient.doctor()

    assert code == 0, printed
    table = [line.split() for line in printed.splitlines()[: 2 + len(sandbox.accounts.names)]]
    assert table[0] == ["account", *SYSTEMS]
    assert table[1] == ["(all)", "OK", "OK", "OK", "OK", "OK", "OK", "OK"]
    assert [row[:6] for row in table[2:]] == [[name, "OK", "OK", "OK", "OK", "OK"] for name in sandbox.accounts.names]
    assert max(map(len, printed.splitlines()[: len(table)])) <= 80
    assert printed.splitlines()[-1] == "Everything works."
    assert list((patient.folder / "frames").iterdir()) == []
    with environment(patient.variables):
        archive = S3ArchiveResource(bucket=sandbox.variables["S3_BUCKET"]).archive
        datasets = BigQueryProjectResource(project=sandbox.variables["BIGQUERY_PROJECT"]).client.list_datasets()
        assert [dataset.dataset_id for dataset in datasets if PREFIX in dataset.dataset_id] == []
    assert "Contents" not in archive.client.list_objects_v2(Bucket=archive.bucket, Prefix=PREFIX)


def test_broken_accounts_are_named_with_the_reason_and_stop_no_other(patient, sandbox, admin):
    acme, bloom = (sandbox.accounts[name] for name in ("acme", "bloom"))
    closed, unreadable, bare = (
        sandbox.copy_account("bloom", f"doctor_{name}", last_days=1).postgres_schema
        for name in ("closed", "unreadable", "bare")
    )
    with sandbox.postgres() as connection:
        connection.execute(f"REVOKE USAGE ON SCHEMA {closed} FROM reporting")
        connection.execute(f"REVOKE SELECT ON {unreadable}.person, {unreadable}.metric FROM reporting")
        connection.execute(f"DROP TABLE {bare}.flow_message")
        connection.execute(f"ALTER TABLE {bare}.event DROP COLUMN custom_property_fields")
        indexes = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = %s", [bare]).fetchall()
        for (name,) in indexes:
            if "datetime" in name:
                connection.execute(f"DROP INDEX {bare}.{name}")
    admin.patch(f"/sandbox/connections/{bloom.fivetran_connection_id}", json={"paused": True, "disabled": ["coupon"]})
    patient.add("sound", acme)
    patient.add("paused", bloom)
    patient.add("unknown_connection", bloom, fivetran_connection_id="nobody", postgres_schema=closed)
    patient.add("no_schema", bloom, fivetran_connection_id="", postgres_schema="klaviyo_nowhere")
    patient.add("unreadable", bloom, fivetran_connection_id="", postgres_schema=unreadable)
    patient.add("bare", bloom, fivetran_connection_id="", postgres_schema=bare, conversion_metric="Placed Ordr")
    patient.add("misspelled", acme, timezone="Berlin")
    ambiguous = sandbox.copy_account("acme", "doctor_ambiguous", last_days=0).postgres_schema
    patient.add("ambiguous", acme, postgres_schema=ambiguous, fivetran_connection_id="", conversion_integration="")

    code, printed = patient.doctor("--json")

    findings = Findings(printed)
    assert (code, findings.document["ok"]) == (1, False)
    assert findings.of("sound", level="FAIL") == []
    assert findings.of("sound", level="WARN") == []
    assert {one["system"] for one in findings.document["findings"] if one["account"] == "sound"} == set(SYSTEMS[:5])

    def told(account: str, level: str, system: str, *patterns: str) -> None:
        lines = findings.of(account, system=system, level=level)
        for pattern in patterns:
            assert any(re.search(pattern, line) for line in lines), (account, pattern, lines)
        assert len(lines) == len(patterns), lines

    told("paused", "FAIL", "fivetran", r"the connection is paused, so no new data arrive \| Enable it at https://")
    told("paused", "WARN", "fivetran", "switched off in Fivetran: coupon")
    told(
        "unknown_connection",
        "FAIL",
        "fivetran",
        r"no Fivetran connection 'nobody' \| Choose one of: .*klaviyo_acme.*\. Set fivetran_",
    )
    told(
        "unknown_connection",
        "FAIL",
        "postgres",
        rf"'reporting' may not look into the schema '{closed}' \| .*GRANT USAGE ON SCHEMA \"{closed}\" TO",
    )
    told(
        "no_schema",
        "FAIL",
        "postgres",
        r"no schema 'klaviyo_nowhere' in the database .* \(it has: .*klaviyo_acme.*\) \| Set postgres_schema",
    )
    told("no_schema", "WARN", "fivetran", "fivetran_connection_id is not set")
    told(
        "unreadable", "FAIL", "postgres", r"may not read metric, person in .* \| .*GRANT SELECT ON ALL TABLES IN SCHEMA"
    )
    told(
        "bare",
        "WARN",
        "postgres",
        "not created .*flow_message",
        "no custom fields in any known spelling",
        r"event has no index on datetime, so .* is slow \| .*CREATE INDEX CONCURRENTLY",
    )
    told(
        "bare", "FAIL", "postgres", r"no metric 'Placed Ordr' .*it has: .*Placed Order.* \| Did you mean 'Placed Order'"
    )
    told("misspelled", "FAIL", "settings", r"misspelled.*'Berlin' is not a time zone")
    told(
        "ambiguous", "FAIL", "postgres", r"matches 2 metrics: .*Shopify.* \| Set conversion_metric to one of these ids"
    )
    for name in ("no_schema", "unreadable", "bare", "ambiguous"):
        assert findings.of(name, system="bigquery", level="OK"), "the other systems are looked at all the same"
        assert findings.of(name, system="s3", level="OK")


def test_only_the_accounts_that_are_asked_for_are_looked_at(patient, sandbox):
    patient.add("acme", sandbox.accounts["acme"])
    patient.add("broken", sandbox.accounts["bloom"], timezone="Berlin")
    patient.changes |= {"FIVETRAN_API_KEY": None, "S3_BUCKET": None, "BIGQUERY_PROJECT": None}

    code, printed = patient.doctor("--json", "--account", "acme")

    findings = Findings(printed)
    assert {one["account"] for one in findings.document["findings"]} == {None, "acme"}
    named = sorted(line.split(" ")[0] for line in findings.of(None, system="settings", level="FAIL"))
    assert named == ["BIGQUERY_PROJECT", "FIVETRAN_API_KEY", "S3_BUCKET"]
    assert code == 1
    assert {one["system"] for one in findings.document["findings"]} == {"settings", "postgres", "machine", "mail"}


def test_wrong_credentials_are_told_once_each_and_never_shown(patient, sandbox):
    wrong = "wr0ng-s3cret-of-a-test"
    patient.add("acme", sandbox.accounts["acme"])
    patient.changes |= {
        "POSTGRES_URL": re.sub(r":[^:@/]+@", f":{wrong}@", sandbox.variables["POSTGRES_URL"]),
        "FIVETRAN_API_SECRET": wrong, "AWS_SECRET_ACCESS_KEY": wrong, "BIGQUERY_EMULATOR_TOKEN": wrong,
        "PII_HASH_KEY": "too-short", "MAIL_FROM": "nobody", "KLAVIYO_FRAMES_URL": "/dev/null/frames",
        "DAGSTER_HOME": str(patient.folder / "nowhere"),
    }  # fmt: skip

    code, printed = patient.doctor("--json", "-v")

    findings = Findings(printed)
    assert code == 1
    assert wrong not in printed
    assert [
        (one["account"], one["system"]) for one in findings.document["findings"] if one["level"] == "FAIL"
    ] == [
        (None, "mail"), (None, "machine"), (None, "machine"), ("acme", "settings"), (None, "postgres"),
        (None, "fivetran"), (None, "s3"), (None, "bigquery"),
    ]  # fmt: skip
    (refused,) = findings.of(None, system="postgres")
    assert "password authentication failed" in refused
    assert "Check user, password and database in POSTGRES_URL" in refused
    assert "Check FIVETRAN_API_KEY and FIVETRAN_API_SECRET" in findings.of(None, system="fivetran")[0]
    assert "AWS credentials" in findings.of(None, system="s3")[0]
    assert "PII_HASH_KEY is missing or shorter" in findings.of("acme", system="settings", level="FAIL")[0]


def test_an_unknown_account_is_wrong_usage(patient, sandbox):
    patient.add("acme", sandbox.accounts["acme"])
    (patient.folder / "accounts.toml").write_text(patient.blocks[0])
    with environment(patient.variables):
        done = CliRunner().invoke(app, ["doctor", "--account", "nobody"])

    assert done.exit_code == 2
    assert "no account 'nobody'" in done.stderr


@pytest.fixture
def archive(patient, sandbox):
    """The sandbox's archive through a client of this test's own."""
    with environment(patient.variables):
        yield S3ArchiveResource(bucket=sandbox.variables["S3_BUCKET"]).archive


def of_s3(archive):
    return [
        (one.level, one.what, one.fix) for one in collected(Scope("s3"), lambda: s3.check_account(archive, ACCOUNT))
    ]


ACCOUNT = Account("acme", "klaviyo_acme")


def test_a_store_that_ignores_conditions_is_told(archive):
    """Over real HTTP: the conditions are taken off on their way, as a store does that does not know them."""

    def strip(params: dict[str, Any], **_: Any) -> None:
        for name in ("If-None-Match", "If-Match"):
            params["headers"].pop(name, None)

    archive.client.meta.events.register("before-call.s3.PutObject", strip)

    findings = of_s3(archive)

    assert [level for level, _, _ in findings] == [Level.FAIL, Level.FAIL]
    assert "ignores IfNoneMatch and overwrote an object" in findings[0][1]
    assert "Use a store with conditional writes" in findings[0][2]


def test_what_amazon_denies_is_told_with_the_permission_that_is_missing(archive):
    """Amazon's own answers to a role without these permissions."""

    def denied(**_: Any) -> tuple[Any, dict[str, Any]]:
        answer = {
            "Error": {"Code": "AccessDenied", "Message": "Access Denied"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        return httpx.Response(403), answer

    def not_what_is_missing(params: dict[str, Any], **_: Any) -> Any:
        return denied() if "-missing" in params["url_path"] else None

    events = archive.client.meta.events
    events.register("before-call.s3.GetObject", not_what_is_missing)
    events.register("before-call.s3.DeleteObject", denied)
    findings = of_s3(archive)
    events.unregister("before-call.s3.DeleteObject", denied)
    events.register("before-call.s3.PutObject", denied)

    assert [level for level, _, _ in findings] == [Level.FAIL, Level.WARN]
    assert "Allow s3:ListBucket" in findings[0][2]
    assert "Allow s3:DeleteObject" in findings[1][2]
    ((level, what, fix),) = of_s3(archive)
    assert (level, "cannot write to s3://" in what, "Allow s3:PutObject" in fix) == (Level.FAIL, True, True)


def test_a_bucket_that_is_not_there_is_told(patient):
    with environment(patient.variables):
        missing = S3ArchiveResource(bucket="no-such-bucket").archive
        (finding,) = s3.check_bucket(missing)

    assert (finding.level, finding.what) == (Level.FAIL, "there is no bucket 'no-such-bucket'")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, "S3 does not respond: nobody accepts connections there"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": "true",
          "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONFIG_FILE": "/dev/null"}, "Unable to locate credentials"),
    ],
)  # fmt: skip
def test_a_store_that_cannot_be_asked_is_told(patient, sandbox, changes, told):
    patient.changes |= changes
    with environment(patient.variables):
        archive = S3ArchiveResource(bucket=sandbox.variables["S3_BUCKET"]).archive
        (finding,) = s3.check_bucket(archive)
        ((level, what, fix),) = of_s3(archive)

    assert (finding.level, level) == (Level.FAIL, Level.FAIL)
    assert told in finding.what
    assert told in what
    assert "S3_ENDPOINT_URL, AWS_REGION and the credentials" in fix


def test_missing_google_credentials_are_told_with_what_to_do(patient):
    patient.changes |= {"BIGQUERY_EMULATOR_HOST": None, "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"}
    with environment(patient.variables):
        resource = BigQueryProjectResource(project="my-project")
        (finding,) = collected(Scope("bigquery"), lambda: bigquery.check_project(resource))

    assert finding.level == Level.FAIL
    assert finding.what == (
        "looking for Google credentials: GOOGLE_APPLICATION_CREDENTIALS is '/nowhere/key.json', which does not exist"
    )
    assert "gcloud auth application-default login" in finding.fix


def test_a_dataset_in_another_place_is_told_and_not_written(patient, sandbox):
    project = sandbox.variables["BIGQUERY_PROJECT"]
    with environment(patient.variables):
        here, there = (BigQueryProjectResource(project=project, location=place) for place in ("EU", "US"))
        dataset = bigquery.dataset_of(here, ACCOUNT)
        dataset.ensure()
        try:
            (well,) = bigquery.check_account(here, ACCOUNT)
            (elsewhere,) = bigquery.check_account(there, ACCOUNT)
            tables = list(dataset.client.list_tables(dataset.qualified))
        finally:
            dataset.client.delete_dataset(dataset.qualified, delete_contents=True)

    assert (well.level, elsewhere.level) == (Level.OK, Level.FAIL)
    assert "is in EU, but BIGQUERY_LOCATION is US" in elsewhere.what
    assert "Set BIGQUERY_LOCATION=EU" in elsewhere.fix
    assert tables == [], "the probe is deleted"


def test_a_superuser_is_told(sandbox):
    state = sandbox.state
    url = f"postgresql://postgres:{state.secrets['postgres_superuser']}@127.0.0.1:{state.ports['postgres']}/klaviyo"

    levels = {one.what: one.level for one in postgres.check_server(PostgresResource(url=url))}

    assert levels["the login of POSTGRES_URL is a superuser"] is Level.WARN


def test_the_login_of_the_sandbox_can_write_nothing(sandbox):
    """What doctor recommends: a login that reads, and a server that says so."""
    with psycopg.connect(sandbox.variables["POSTGRES_URL"]) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM klaviyo_acme.event")
