"""Many accounts, some broken in different ways: the others are complete, and the broken ones are named with reasons."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from klaviyo_assets import definitions
from klaviyo_assets.accounts import Account, Accounts, read_accounts_file
from klaviyo_assets.cli.main import app
from klaviyo_assets.cli.project import instance
from klaviyo_assets.defs.assets.portfolio import portfolio_key
from klaviyo_assets.defs.checks.freshness import ages
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment
from klaviyo_assets.sandbox import lifecycle
from klaviyo_assets.stages.keys import range_tags
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox, environment

SHOPS = 20
STAGES = ("extracted", "mapped", "s3_archive", "bigquery")
TABLES = ("metric", "person")
LOADED = dg.AssetKey(["bigquery", "person"])
# What is wrong with each, as a person reads it.
REASONS = {
    "homeless": "klaviyo_nowhere",
    "undecided": "matches 2 metrics",
    "unsynced": "no_such_connection",
}


@dataclass
class Fleet:
    """Accounts of one deployment in a folder of their own."""

    sandbox: Sandbox
    folder: Path
    accounts: Accounts
    prefix: str
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    @classmethod
    def of_its_own_shops(cls, sandbox: Sandbox, folder: Path, prefix: str) -> "Fleet":
        """Every shop of the sandbox an account, three of them broken, the broken ones first."""
        shops = list(sandbox.accounts.by_name.values())
        broken = [
            replace(shops[1], name="homeless", postgres_schema="klaviyo_nowhere"),
            replace(shops[0], name="undecided", conversion_integration=None),
            replace(shops[2], name="unsynced", fivetran_connection_id="no_such_connection"),
        ]
        return cls.written(sandbox, folder, prefix, [*broken, *shops[3:]])

    @classmethod
    def of(cls, sandbox: Sandbox, folder: Path, prefix: str, healthy: int) -> "Fleet":
        """Broken accounts first, so that each good one has all of them before it; the shop's shapes in turn."""
        sources = sandbox.accounts.names
        first = sandbox.copy_account(sources[0], f"{prefix}undecided", last_days=0)
        broken = [
            replace(first, name="homeless", postgres_schema="klaviyo_nowhere"),
            replace(first, name="undecided", conversion_integration=None),
            replace(first, name="unsynced", fivetran_connection_id="no_such_connection"),
        ]
        good = [
            sandbox.copy_account(sources[number % len(sources)], f"{prefix}{number}", last_days=0)
            for number in range(healthy)
        ]
        return cls.written(sandbox, folder, prefix, [*broken, *good])

    @classmethod
    def written(cls, sandbox: Sandbox, folder: Path, prefix: str, listed: list[Account]) -> "Fleet":
        """These accounts, and their file in the folder."""
        fleet = cls(sandbox, folder, Accounts({account.name: account for account in listed}, "a test"), prefix)
        fleet.accounts_file.write_text("\n".join(block(account) for account in listed))
        return fleet

    @property
    def accounts_file(self) -> Path:
        return self.folder / "accounts.toml"

    @property
    def healthy(self) -> list[Account]:
        return [account for account in self.accounts.by_name.values() if account.name not in REASONS]

    @contextmanager
    def ready(self) -> Iterator[None]:
        own = {"BIGQUERY_DATASET_PREFIX": self.prefix, "S3_PREFIX": self.prefix, "COLUMNS": "400"}
        own |= {"KLAVIYO_FRAMES_URL": f"{self.folder}/frames", "KLAVIYO_ACCOUNTS_FILE": str(self.accounts_file)}
        with environment({**self.sandbox.variables, **own}), pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            accounts = read_accounts_file(self.accounts_file)
            patch.setattr(definitions, "defs", definitions.build_definitions(accounts=accounts))
            yield

    def command(self, *arguments: str) -> Result:
        with self.ready():
            return CliRunner().invoke(app, list(arguments))

    def materialize(self, keys: list[dg.AssetKey], tags: dict[str, str], **partition: str) -> dg.ExecuteInProcessResult:
        """One run in this process, of the accounts file as it is now."""
        with self.ready():
            fivetran = fivetran_from_environment().model_copy(update={"poll_interval_seconds": 0.2})
            fleet_definitions = definitions.build_definitions(
                accounts=read_accounts_file(self.accounts_file), resources={"fivetran": fivetran}
            )
            return fleet_definitions.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=self.instance, asset_selection=keys, tags=tags, raise_on_error=False, **partition
            )

    def rows(self, account: Account) -> int:
        """How many people of the account are in BigQuery."""
        (counted,) = self.deployment(account, self.instance).query("SELECT COUNT(*) FROM person")
        return int(counted[0])

    def deployment(self, account: Account, dagster_instance: dg.DagsterInstance) -> Deployment:
        return Deployment(self.sandbox, account, dagster_instance, prefix=self.prefix)


def block(account: Account) -> str:
    given = {name: value for name, value in vars(account).items() if name != "attribution" and value}
    lines = [f"{name} = {value if name == 'start_date' else json.dumps(value)}" for name, value in given.items()]
    return "\n".join(["[[account]]", *lines, ""])


def complete(fleet: Fleet, account: Account, *tables: str) -> None:
    """Every event and every row of the tables that Postgres has is in BigQuery."""
    with dg.DagsterInstance.ephemeral() as dagster_instance:
        deployed = fleet.deployment(account, dagster_instance)
        for name in ("event", *tables):
            loaded = deployed.query(f"SELECT COUNT(*) FROM `{name}`")[0][0]
            gone = "COALESCE(_fivetran_deleted, FALSE)" if deployed.has_column("_fivetran_deleted", name) else "FALSE"
            kept = f" WHERE NOT {gone}" if name == "event" else ""
            assert loaded == deployed.raw(f"SELECT count(*) FROM {{}}.{name}{kept}")[0][0], (account.name, name)
        assert deployed.dirty() == []


def findings(fleet: Fleet) -> dict[str, str]:
    """What doctor says is wrong, by account."""
    told = fleet.command("doctor", "--json")
    assert told.exit_code == 1, told.output
    listed = json.loads(told.stdout)["findings"]
    named: dict[str, str] = {}
    for finding in listed:
        # The sandbox has fewer connections than there are copies of its shops here.
        if finding["level"] == "FAIL" and "is also used by" not in finding["what"]:
            name = finding["account"] or ""
            named[name] = f"{named.get(name, '')} {finding}"
    return named


@pytest.fixture(scope="module")
def few(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet.of(sandbox, tmp_path_factory.mktemp("few"), "few", 2)


def test_in_one_run_of_five_accounts_three_broken_ones_keep_nothing_from_the_two_good(few: Fleet) -> None:
    """From the sync to BigQuery; the run fails once, and its reasons name the broken accounts and no other."""
    names = few.accounts.names
    tags = {"dagster/asset_partition_range_start": names[0], "dagster/asset_partition_range_end": names[-1]}
    result = few.materialize([dg.AssetKey([stage, name]) for stage in ("fivetran", *STAGES) for name in TABLES], tags)

    text = " ".join(reasons(result))
    assert not result.success
    assert set(REASONS) == {name for name in names if f"[{name}]" in text}
    assert all(reason in text for reason in REASONS.values())
    loaded = {event.partition for event in result.get_asset_materialization_events() if event.asset_key == LOADED}
    assert loaded - {"undecided"} == {account.name for account in few.healthy}, "people need no conversion metric"


def test_days_of_the_good_accounts_are_complete_and_the_ambiguous_one_lists_its_candidates(few: Fleet) -> None:
    keys = [dg.AssetKey([stage, name]) for stage in STAGES for name in ("event", "attribution")
            if (stage, name) != ("extracted", "attribution")]  # fmt: skip
    for account in (few.accounts["undecided"], *few.healthy):
        result = few.materialize(keys, range_tags(account.name, account.start_date, account.today()))
        if account in few.healthy:
            assert result.success, reasons(result)
            complete(few, account, *TABLES)
        else:
            (reason,) = set(reasons(result))
            assert f"event [undecided|{account.start_date}]" in reason
            assert "matches 2 metrics" in reason
            assert "integration Shopify" in reason


def test_doctor_names_the_three_and_why(few: Fleet) -> None:
    named = findings(few)
    assert set(named) == set(REASONS), named
    for name, reason in REASONS.items():
        assert reason in named[name]


def reasons(result: dg.ExecuteInProcessResult) -> list[str]:
    failed = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [(one.user_failure_data.description if one.user_failure_data else "") or str(one.error) for one in failed]


def test_an_account_that_is_added_is_loaded_alone_after_a_reload(few: Fleet) -> None:
    """A block more in accounts.toml; what the others have stays as it was, and their partitions too."""
    added = few.sandbox.copy_account("bloom", "fewadded", last_days=0)
    before = {account.name: few.rows(account) for account in few.healthy}
    few.accounts_file.write_text(few.accounts_file.read_text() + "\n" + block(added))

    keys = [dg.AssetKey([stage, name]) for stage in STAGES for name in TABLES]
    result = few.materialize(keys, {"dagster/partition": added.name}, partition_key=added.name)

    assert result.success, reasons(result)
    assert {event.partition for event in result.get_asset_materialization_events()} == {added.name}
    assert {account.name: few.rows(account) for account in few.healthy} == before
    assert few.rows(added) > 0


class TwentyShops(Sandbox):
    """Twenty small shops, with all spellings of custom fields and both generations of Fivetran's schema."""

    def start(self) -> None:
        shop = {"accounts": SHOPS, "events_per_day": 20, "days": 3}
        self.variables = dict(lifecycle.start(self.folder, shop, lambda *_: None, None).variables)


def shape(fleet: Fleet, account: Account) -> tuple[str, bool]:
    """How an account's custom fields are written, and whether campaigns have messages, as in the current schema."""
    with fleet.sandbox.postgres() as connection:
        rows = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s",
            [account.postgres_schema],
        ).fetchall()
    columns = {column for table, column in rows if table == "event"}
    spelled = {
        "packed": "custom_property_fields" in columns,
        "snake": any(column.startswith("property_") for column in columns),
        "camel": any(column[:8] == "property" and column[8:9].isupper() for column in columns),
    }
    return next(name for name, holds in spelled.items() if holds), "campaign_message" in {table for table, _ in rows}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_of_twenty_accounts_three_broken_the_seventeen_are_complete_and_on_time(tmp_path: Path) -> None:
    """One `klaviyo-assets run` over all, the broken ones first; every spelling and both generations among them."""
    sandbox = TwentyShops.begin()
    try:
        fleet = Fleet.of_its_own_shops(sandbox, tmp_path, "many")
        assert len(fleet.accounts.names) == SHOPS
        assert {spelling for spelling, _ in (shape(fleet, one) for one in fleet.healthy)} == {
            "packed",
            "snake",
            "camel",
        }
        assert {is_current for _, is_current in (shape(fleet, one) for one in fleet.healthy)} == {True, False}

        run = fleet.command("run")

        assert run.exit_code == 1
        failed = [line for line in run.output.splitlines() if line.startswith("failed: ")]
        assert {line.removeprefix("failed: ").partition(":")[0] for line in failed} == set(REASONS)
        assert all(any(reason in line for line in failed) for reason in REASONS.values())
        for account in fleet.healthy:
            complete(fleet, account, "person", "campaign", "list_person")
        check_reports(fleet)
        named = findings(fleet)
        assert set(named) == set(REASONS)
        assert all(REASONS[name] in named[name] for name in REASONS)
        check_ages(fleet)
        check_portfolio(fleet)
    finally:
        sandbox.end()


def check_reports(fleet: Fleet) -> None:
    """Every report of every good account holds the conversions of its events."""
    for account in fleet.healthy:
        with dg.DagsterInstance.ephemeral() as dagster_instance:
            deployed = fleet.deployment(account, dagster_instance)
            counted = deployed.query(
                "SELECT COALESCE(SUM(conversions + conversions_other_currency + conversions_unattributed "
                "+ conversions_unattributed_other_currency), 0) FROM account_by_event_date"
            )
            events = deployed.query("SELECT COUNTIF(is_conversion) FROM event")
            assert counted == events, account.name
            ready = {name for (name,) in deployed.query("SELECT DISTINCT table_name FROM ledger")}
            assert set(REPORTS) <= ready, account.name


def check_ages(fleet: Fleet) -> None:
    """On the page of freshness the good are fresh at every stage; of the broken one cannot be taken for the other."""
    with fleet.ready(), instance() as dagster_instance:
        verdicts = {(age.account, age.stage): age.verdict for age in ages(fleet.accounts, dagster_instance)}
    good = {account.name for account in fleet.healthy}
    assert {verdict for (name, _), verdict in verdicts.items() if name in good} == {"fresh"}
    assert {name for (name, stage), verdict in verdicts.items() if (stage, verdict) == ("report", "unknown")} == set(
        REASONS
    )


def check_portfolio(fleet: Fleet) -> None:
    """The views over all accounts have the seventeen, and name the three."""
    result = fleet.materialize([portfolio_key("account_by_event_date")], {})
    assert result.success, reasons(result)
    (materialization,) = result.asset_materializations_for_node("create_portfolio")
    assert materialization.metadata["accounts"].value == [account.name for account in fleet.healthy]
    assert set(materialization.metadata["left_out"].value) == set(REASONS)
