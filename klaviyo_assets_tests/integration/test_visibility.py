"""Not visible is not empty: what the login may not see, or what is gone, empties nothing in BigQuery."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count

import dagster as dg
import psycopg
import pytest

from klaviyo_assets.diagnosis import postgres as diagnosis
from klaviyo_assets.diagnosis.findings import Level, Scope, collected
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox, environment
from klaviyo_assets_tests.integration.small_shop import DAYS, SYNCED, small_account
from klaviyo_assets_tests.integration.test_sync_sensor import tick

LOADED = ("event", "attribution", "person", "campaign", "campaign_tag", "metric")
TABLES = ("person", "campaign", "campaign_tag", "metric")
NUMBERS = count(1)
NewShop = Callable[..., Deployment]


@pytest.fixture(scope="module")
def new_shop(sandbox: Sandbox) -> Iterator[NewShop]:
    """Makes a small account of its own, loaded."""
    with dg.DagsterInstance.ephemeral() as instance:

        def loaded(**settings: object) -> Deployment:
            name = f"seen_{next(NUMBERS)}"
            own = Deployment(sandbox, small_account(sandbox, name, **settings), instance)
            assert own.tables(*TABLES).failures == []
            assert own.days(*DAYS).failures == []
            return own

        yield loaded


@pytest.fixture(scope="module")
def shop(new_shop: NewShop) -> Deployment:
    """One small account that every test leaves as it was."""
    own = new_shop()
    assert own.query("SELECT COUNT(*), SUM(value) FROM event") == [(11, pytest.approx(31.5))]
    return own


@dataclass(frozen=True)
class Fault:
    """Something that hides or takes away what was loaded, and how it is taken back; {0} is the account's schema."""

    do: str
    undo: str
    says: tuple[str, ...]


def revoked(table: str) -> tuple[str, str]:
    return f"REVOKE SELECT ON {{0}}.{table} FROM reporting", f"GRANT SELECT ON {{0}}.{table} TO reporting"


def gone(table: str) -> tuple[str, str]:
    """A table that is not in the schema any more."""
    there = f"CREATE SCHEMA IF NOT EXISTS kept; ALTER TABLE {{0}}.{table} SET SCHEMA kept"
    return there, f"ALTER TABLE kept.{table} SET SCHEMA {{0}}; DROP SCHEMA kept"


def emptied(table: str, condition: str = "true") -> tuple[str, str]:
    return (
        f"CREATE TABLE {{0}}.kept AS SELECT * FROM {{0}}.{table} WHERE {condition}; "
        f"DELETE FROM {{0}}.{table} WHERE {condition}",
        f"INSERT INTO {{0}}.{table} SELECT * FROM {{0}}.kept; DROP TABLE {{0}}.kept",
    )


def behind_a_view(of_base: str, undo_of_base: str = "") -> tuple[str, str]:
    """`event` is a view in between, as some make one for analysts."""
    moved, moved_back = gone("event")
    return (
        f"{moved}; CREATE VIEW {{0}}.event AS SELECT * FROM kept.event; GRANT SELECT ON {{0}}.event TO reporting; "
        f"{of_base}",
        f"{undo_of_base}; DROP VIEW {{0}}.event; {moved_back}",
    )


ONLY_SOME = (
    "REVOKE SELECT ON {0}.event FROM reporting; GRANT SELECT (id, person_id, metric_id, type, campaign_id, datetime, "
    '"timestamp", property_currency_code, property_cohort_message_send_cohort, property_attribution, property_color, '
    "_fivetran_synced) ON {0}.event TO reporting"
)
NO_MORE_COLUMNS = (
    "REVOKE SELECT ON {0}.event FROM reporting; REVOKE SELECT (id, person_id, metric_id, type, campaign_id, datetime, "
    '"timestamp", property_currency_code, property_cohort_message_send_cohort, property_attribution, property_color, '
    "_fivetran_synced) ON {0}.event FROM reporting; GRANT SELECT ON {0}.event TO reporting"
)
NO_SECURITY = "ALTER TABLE {0}.event DISABLE ROW LEVEL SECURITY"
FORCED = "ALTER TABLE kept.event ENABLE ROW LEVEL SECURITY; ALTER TABLE kept.event FORCE ROW LEVEL SECURITY"
NOT_FORCED = "ALTER TABLE kept.event NO FORCE ROW LEVEL SECURITY; ALTER TABLE kept.event DISABLE ROW LEVEL SECURITY"
FAULTS = {
    "SELECT on events and people": Fault(
        f"{revoked('event')[0]}; {revoked('person')[0]}", f"{revoked('event')[1]}; {revoked('person')[1]}",
        ("may not read the table {0}.event", "may not read the table {0}.person",
         'GRANT SELECT ON "{0}"."event" TO "reporting";', 'GRANT SELECT ON "{0}"."person" TO "reporting";',
         'ALTER DEFAULT PRIVILEGES IN SCHEMA "{0}" GRANT SELECT ON TABLES TO "reporting";')),
    "SELECT on a small table": Fault(
        *revoked("campaign_tag"), ('GRANT SELECT ON "{0}"."campaign_tag" TO "reporting";',)),
    "SELECT on one column": Fault(
        ONLY_SOME, NO_MORE_COLUMNS,
        ("may not read the column property_value of {0}.event", 'GRANT SELECT ON "{0}"."event" TO "reporting";')),
    "row-level security without a policy": Fault(
        "ALTER TABLE {0}.event ENABLE ROW LEVEL SECURITY", NO_SECURITY,
        ("row-level security hides rows of {0}.event from 'reporting'", 'ALTER ROLE "reporting" BYPASSRLS')),
    "row-level security with a policy for some": Fault(
        "ALTER TABLE {0}.person ENABLE ROW LEVEL SECURITY; CREATE POLICY a_few ON {0}.person USING (id < 'P3')",
        "DROP POLICY a_few ON {0}.person; ALTER TABLE {0}.person DISABLE ROW LEVEL SECURITY",
        ("row-level security hides rows of {0}.person", "FOR SELECT TO \"reporting\" USING (true)")),
    "row-level security that a restrictive policy narrows": Fault(
        "ALTER TABLE {0}.event ENABLE ROW LEVEL SECURITY; CREATE POLICY every ON {0}.event USING (true); CREATE POLICY "
        "late ON {0}.event AS RESTRICTIVE FOR SELECT TO reporting USING (datetime > '2026-03-02')",
        f"DROP POLICY every ON {{0}}.event; DROP POLICY late ON {{0}}.event; {NO_SECURITY}",
        ("row-level security hides rows of {0}.event",)),
    "schema usage": Fault(
        "REVOKE USAGE ON SCHEMA {0} FROM reporting", "GRANT USAGE ON SCHEMA {0} TO reporting",
        ("may not look into the schema '{0}'", 'GRANT USAGE ON SCHEMA "{0}" TO "reporting"')),
    "schema renamed": Fault(
        "ALTER SCHEMA {0} RENAME TO elsewhere", "ALTER SCHEMA elsewhere RENAME TO {0}",
        ("no schema '{0}' in the database", "elsewhere")),
    "table dropped": Fault(*gone("event"), ("no table {0}.event any more", "11 rows of it were loaded",
                                            "--accept-empty event")),
    "account table dropped": Fault(*gone("person"), ("no table {0}.person any more", "--accept-empty person")),
    "table renamed": Fault(
        "ALTER TABLE {0}.event RENAME TO event_2", "ALTER TABLE {0}.event_2 RENAME TO event",
        ("no table {0}.event any more (the schema also has event_2)",)),
    "every event gone": Fault(*emptied("event"), ("{0}.event has no rows any more on the days that were loaded",)),
    "every person gone": Fault(*emptied("person"), ("{0}.person has no rows any more", "5 rows of it were loaded")),
    "events without a time": Fault(
        "ALTER TABLE {0}.event RENAME datetime TO was; ALTER TABLE {0}.event ADD datetime timestamptz",
        "ALTER TABLE {0}.event DROP datetime; ALTER TABLE {0}.event RENAME was TO datetime",
        ("{0}.event has no rows any more on the days that were loaded",)),
    "column renamed": Fault(
        "ALTER TABLE {0}.event RENAME property_value TO sum", "ALTER TABLE {0}.event RENAME sum TO property_value",
        ("{0}.event has no column property_value any more", "--accept-empty event.property_value")),
    "column that no one lists renamed": Fault(
        "ALTER TABLE {0}.event RENAME property_color TO shade", "ALTER TABLE {0}.event RENAME shade TO property_color",
        ("{0}.event has no column property_color any more",)),
    "column of people dropped": Fault(
        "ALTER TABLE {0}.person RENAME email TO mail", "ALTER TABLE {0}.person RENAME mail TO email",
        ("{0}.person has no column email any more", "--accept-empty person.email")),
    "ids of events": Fault(
        "ALTER TABLE {0}.event RENAME id TO number", "ALTER TABLE {0}.event RENAME number TO id",
        ("the table {0}.event has no column id, and cannot be read without it",)),
    "metric ids of events": Fault(
        "ALTER TABLE {0}.event RENAME metric_id TO kind", "ALTER TABLE {0}.event RENAME kind TO metric_id",
        ("the table {0}.event has no column metric_id",)),
    "ids of metrics": Fault(
        "ALTER TABLE {0}.metric RENAME id TO number", "ALTER TABLE {0}.metric RENAME number TO id",
        ("the table {0}.metric has no column id",)),
    "names of metrics": Fault(
        "ALTER TABLE {0}.metric RENAME name TO was; ALTER TABLE {0}.metric ADD name text",
        "ALTER TABLE {0}.metric DROP name; ALTER TABLE {0}.metric RENAME was TO name",
        ("the table {0}.metric has no row with a name",)),
    "the conversion metric": Fault(
        *emptied("metric", "id = 'M_ORD'"),
        ("{0}.metric has no metric 'Placed Order' any more, and events of it (M_ORD) were conversions",)),
    "the conversion metric under another name": Fault(
        "UPDATE {0}.metric SET name = 'Bestellung' WHERE id = 'M_ORD'",
        "UPDATE {0}.metric SET name = 'Placed Order' WHERE id = 'M_ORD'",
        ("no metric 'Placed Order' in this account", "there are events of it")),
    "the metric table": Fault(*gone("metric"), ("there are events, but the table {0}.metric is not there",)),
    "a view over row-level security": Fault(
        *behind_a_view(FORCED, NOT_FORCED),
        ("row-level security hides rows of kept.event that the view {0}.event reads from 'fivetran'",
         'ALTER ROLE "fivetran" BYPASSRLS')),
    "a view whose owner may not read": Fault(
        *behind_a_view("REVOKE ALL ON kept.event FROM fivetran", "GRANT ALL ON kept.event TO fivetran"),
        ("'fivetran' may not read kept.event that the view {0}.event reads",
         'GRANT SELECT ON "kept"."event" TO "fivetran";')),
}  # fmt: skip

# One of each kind is refused by planning, as by every way into the account; two of them are taken all these ways.
# `make test-slow` takes all of them.
PLANNED = (
    "SELECT on events and people", "SELECT on one column", "row-level security without a policy", "schema usage",
    "table dropped", "table renamed",
)  # fmt: skip
RUN = ("SELECT on events and people", "table dropped")


@contextmanager
def befallen(shop: Deployment, fault: Fault) -> Iterator[list[str]]:
    """The fault, and what is to be said of it."""
    schema = shop.account.postgres_schema
    with shop.sandbox.postgres() as connection:
        connection.execute(fault.do.format(schema))
        try:
            yield [text.format(schema) for text in fault.says]
        finally:
            connection.execute(fault.undo.format(schema))


def says(texts: list[str], told: str) -> list[str]:
    """What of the texts is not told."""
    return [text for text in texts if text not in told]


@pytest.mark.parametrize("name", PLANNED)
def test_what_is_hidden_or_gone_is_said_before_anything_is_read(shop: Deployment, name: str) -> None:
    with befallen(shop, FAULTS[name]) as texts, pytest.raises(PermanentError) as planned:
        shop.plan()

    assert says(texts, str(planned.value)) == [], str(planned.value)
    assert shop.dirty() == []


@pytest.mark.parametrize(
    "name", [*RUN, *(pytest.param(name, marks=pytest.mark.slow) for name in FAULTS if name not in RUN)]
)
def test_what_is_hidden_or_gone_stops_the_account_and_bigquery_keeps_every_row(shop: Deployment, name: str) -> None:
    before, objects = shop.bigquery(*LOADED), shop.objects()
    with befallen(shop, FAULTS[name]) as texts:
        by_command, days, tables = shop.run(), shop.days(*DAYS), shop.tables(*TABLES)
        with pytest.raises(PermanentError) as planned:
            shop.plan()

    for failures in (by_command.failures, days.failures, tables.failures, [str(planned.value)]):
        told = "\n".join(failures)
        assert says(texts, told) == [], told
    assert (days.materialized, tables.materialized) == ([], [])
    assert shop.bigquery(*LOADED) == before
    assert shop.objects() == objects
    assert shop.dirty() == []


@pytest.mark.parametrize(
    "name", ["SELECT on events and people", "column renamed", pytest.param("table dropped", marks=pytest.mark.slow)]
)
def test_verify_and_doctor_say_it_too(shop: Deployment, tmp_path, name: str) -> None:
    with befallen(shop, FAULTS[name]) as texts:
        verified = shop.command(tmp_path, "verify")
        findings = diagnosed(shop)

    assert verified.exit_code == 1
    failure_text = " ".join(f"{finding.what} {finding.fix}" for finding in findings if finding.level is Level.FAIL)
    assert failure_text
    if name == "SELECT on events and people":
        assert "may not read event, person" in failure_text
        assert "GRANT SELECT ON ALL TABLES IN SCHEMA" in failure_text
    else:
        assert says(texts, failure_text) == []
    assert says(texts, verified.output) == [], verified.output


def diagnosed(shop: Deployment) -> list[diagnosis.DoctorFinding]:
    """What doctor finds of the account in Postgres, and of what was loaded."""
    with environment(shop.variables):
        server = PostgresResource(url=shop.variables["POSTGRES_URL"])
        warehouse = BigQueryProjectResource(project=shop.variables["BIGQUERY_PROJECT"])
        scope = Scope("postgres", shop.account.name)
        return [
            *collected(scope, lambda: diagnosis.check_account(server, shop.account)),
            *collected(scope, lambda: diagnosis.check_loaded(server, warehouse, shop.account)),
        ]


def test_extract_writes_no_file_of_what_it_may_not_see_whole(shop: Deployment, tmp_path) -> None:
    for name in ("SELECT on one column", "row-level security without a policy", "SELECT on events and people"):
        with befallen(shop, FAULTS[name]) as texts:
            done = shop.command(
                tmp_path, "extract", "--table", "event", "--start", "2026-03-01", "--end", "2026-03-02", "--out", "raw"
            )
            other = shop.command(tmp_path, "extract", "--table", "campaign", "--out", "raw")
        assert done.exit_code == 1
        assert texts[0] in done.output
        assert other.exit_code == 0, "what is hidden of one table keeps nobody from another"
    assert not list(tmp_path.glob("raw/*/event/*"))


@pytest.mark.slow
def test_the_sensor_asks_for_no_run_and_tries_again(new_shop: NewShop) -> None:
    account = new_shop().account
    sandbox = account and Sandbox.of_session()
    of_acme = replace(account, fivetran_connection_id=sandbox.accounts["acme"].fivetran_connection_id)
    with dg.DagsterInstance.ephemeral() as instance:
        watched = Deployment(sandbox, of_acme, instance)
        with befallen(watched, FAULTS["table dropped"]):
            stopped = tick(watched, None)
        assert stopped.run_requests == []
        assert json.loads(stopped.cursor)["accounts"] == {}
        after = tick(watched, stopped.cursor)
    assert list(json.loads(after.cursor)["accounts"]) == [of_acme.name]


def test_a_policy_that_lets_every_row_through_hides_none(shop: Deployment) -> None:
    """As the message advises."""
    schema = shop.account.postgres_schema
    with shop.sandbox.postgres() as connection:
        connection.execute(f"ALTER TABLE {schema}.event ENABLE ROW LEVEL SECURITY")
        connection.execute(f"CREATE POLICY all_of_it ON {schema}.event FOR SELECT TO reporting USING (true)")
        try:
            assert shop.days(*DAYS).failures == []
        finally:
            connection.execute(f"DROP POLICY all_of_it ON {schema}.event")
            connection.execute(f"ALTER TABLE {schema}.event DISABLE ROW LEVEL SECURITY")
    assert shop.query("SELECT COUNT(*) FROM event") == [(11,)]


@pytest.mark.slow
def test_a_table_that_was_never_loaded_and_is_hidden_stops_the_first_load(sandbox: Sandbox) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        fresh = Deployment(sandbox, small_account(sandbox, "never_seen"), instance)
        with befallen(fresh, FAULTS["SELECT on a small table"]) as texts:
            assert says(texts, "\n".join(fresh.run().failures)) == []
            on_purpose = replace(fresh, account=replace(fresh.account, accept_empty=("campaign_tag",)))
            assert on_purpose.run().failures == []
            assert on_purpose.run().failures == [], "what is hidden on purpose stays accepted"
            assert on_purpose.query("SELECT COUNT(*) FROM campaign_tag") == [(0,)]
            assert on_purpose.query("SELECT COUNT(*) FROM event") == [(11,)]


@pytest.mark.slow
def test_accepted_losses_empty_bigquery_once_and_are_not_asked_for_again(new_shop: NewShop, tmp_path) -> None:
    own = new_shop()
    own.raw("DROP TABLE {0}.person; ALTER TABLE {0}.event DROP property_color, DROP property_value")

    refused = own.command(tmp_path, "run", "--no-sync", "--accept-empty", "person")
    assert refused.exit_code == 1
    assert "--accept-empty event.property_color --accept-empty event.property_value" in refused.output
    assert "person" not in refused.output.partition("has no column")[0].partition("failed")[2]
    assert own.query("SELECT COUNT(*) FROM person") == [(5,)]

    named = [part for subject in ("person", "event.property_color", "event.property_value")
             for part in ("--accept-empty", subject)]  # fmt: skip
    done = own.command(tmp_path, "run", "--no-sync", *named)
    assert done.exit_code == 0, done.output
    assert own.query("SELECT COUNT(*) FROM person") == [(0,)]
    assert own.query("SELECT COUNT(*), COUNT(value) FROM event") == [(11, 0)], "loaded days are made again without it"
    assert own.dirty() == []
    assert own.days(*DAYS).failures == []


@pytest.mark.slow
def test_the_launchpad_accepts_too(new_shop: NewShop) -> None:
    own = new_shop()
    own.raw("DELETE FROM {0}.event")
    assert own.days(*DAYS).failures
    accepted = own.days(*DAYS, reading={"accept_empty": ["event"]})
    assert accepted.failures == []
    assert own.query("SELECT COUNT(*) FROM event") == [(0,)]
    assert own.run().failures == []


def test_a_name_that_is_no_table_is_refused(shop: Deployment, tmp_path) -> None:
    done = shop.command(tmp_path, "run", "--no-sync", "--accept-empty", "persons")
    assert done.exit_code == 2
    assert "no raw table 'persons'" in done.output
    assert "Did you mean 'person'?" in done.output


@pytest.mark.slow
def test_rows_that_klaviyo_deleted_are_no_loss_and_few_rows_may_go(new_shop: NewShop) -> None:
    own = new_shop()
    own.raw("UPDATE {0}.person SET _fivetran_deleted = true")
    own.raw("DELETE FROM {0}.event WHERE id <> 'B1'")
    assert own.run().failures == []
    assert own.query("SELECT COUNTIF(is_deleted), COUNT(*) FROM person") == [(5, 5)]
    assert own.query("SELECT COUNT(*) FROM event") == [(1,)]


@pytest.mark.slow
def test_a_large_table_that_lost_most_of_its_rows_stops(new_shop: NewShop) -> None:
    """As while Fivetran fills it again after a re-sync began."""
    own = new_shop()
    own.raw(
        "INSERT INTO {0}.event (id, person_id, metric_id, datetime, _fivetran_synced) SELECT 'more' || i, 'P1', "
        f"'M_OPEN', '2026-03-01 12:00+00', {SYNCED} FROM generate_series(1, 1200) AS i"
    )
    assert own.days(*DAYS).failures == []
    own.raw("DELETE FROM {0}.event WHERE id LIKE 'more1%' AND length(id) < 8")
    assert own.days(*DAYS).failures == [], "most of it is there"
    own.raw("DELETE FROM {0}.event WHERE id LIKE 'more%' AND id NOT LIKE 'more1%'")
    (failure,) = own.days(*DAYS).failures
    assert f"{own.account.postgres_schema}.event has 212 rows left of 1,100 that were loaded" in failure
    assert own.query("SELECT COUNT(*) FROM event") == [(1100,)]


@pytest.mark.slow
def test_columns_in_the_sources_own_spelling_are_read_the_same(new_shop: NewShop) -> None:
    """Fivetran's source naming, for every column of every table; some tables are re-synced before others."""
    own = new_shop()
    before = own.bigquery("event", "attribution", "person", "campaign", "metric")
    spellings = {
        "event": ("person_id", "metric_id", "campaign_id", "property_value", "property_currency_code",
                  "property_cohort_message_send_cohort", "property_attribution", "property_color"),
        "campaign": ("send_time",), "metric": ("integration_name",), "campaign_tag": ("campaign_id", "tag_id"),
    }  # fmt: skip
    for table, columns in spellings.items():
        for column in columns:
            own.raw(f'ALTER TABLE {{0}}.{table} RENAME {column} TO "{camel(column)}"')
    own.raw('ALTER TABLE {0}.campaign_tag RENAME TO "campaignTag"')
    assert own.dirty() == [], "what is spelled in another way is the same"

    fresh = own.elsewhere("respelled")
    assert fresh.tables(*TABLES).failures + fresh.days(*DAYS).failures == []
    assert fresh.bigquery("event", "attribution", "person", "campaign", "metric") == before
    assert fresh.query("SELECT campaign_id, tag_id FROM campaign_tag") == [("C1", "T1")]

    own.raw("ALTER TABLE {0}.event ADD person_id text")
    own.raw('UPDATE {0}.event SET person_id = "personId", "personId" = NULL WHERE id LIKE \'B%%\'')
    assert own.days(*DAYS).failures == []
    assert own.query("SELECT COUNT(person_id) FROM event") == [(11,)], "in either spelling while both are there"


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


@pytest.mark.slow
def test_events_outside_of_the_accounts_days_and_a_metric_without_events_are_said(sandbox: Sandbox, tmp_path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        account = small_account(sandbox, "seen_outside", conversion_metric="Subscribed to Newsletter")
        own = Deployment(sandbox, account, instance)
        own.raw(
            "INSERT INTO {0}.event (id, person_id, metric_id, datetime, _fivetran_synced) VALUES "
            f"('future', 'P1', 'M_OPEN', now() + interval '40 days', {SYNCED}), "
            f"('past', 'P1', 'M_OPEN', '2019-01-01', {SYNCED}), ('older', 'P1', 'M_OPEN', '1970-01-01', {SYNCED})"
        )
        run = own.command(tmp_path, "run", "--no-sync")
        assert run.exit_code == 0, run.output
        assert "warning: seen_outside: no metric 'Subscribed to Newsletter' in this account" in run.output
        assert "warning: seen_outside: 2 events are dated before the start_date of seen_outside" in run.output
        assert "warning: seen_outside: 1 event is dated after today" in run.output
        newest = "SELECT details FROM ledger WHERE `partition` = 'undated' ORDER BY recorded_at DESC LIMIT 1"
        ((details,),) = own.query(newest)
        assert json.loads(details)["outside"] == {"before_start_date": 2, "after_today": 1}

        verified = own.command(tmp_path, "verify", "--json")
        (document,) = json.loads(verified.stdout)
        assert verified.exit_code == 0
        rows = {stage["stage"]: stage["rows"] for stage in document["stages"]}
        assert (rows["Postgres"], rows["besides: before start_date"], rows["besides: after today"]) == (11, 2, 1)
        assert [(one["equation"], one["severity"]) for one in document["findings"]] == [("in_range", "warning")]

        assert own.tables("metric").success
        assert "1 event is dated after today" in own.event_log(), "the asset's metadata say it too"


def test_what_vanishes_while_a_run_reads_waits_or_is_refused(shop: Deployment) -> None:
    """A snapshot that has looked at the tables keeps them: TRUNCATE and DROP wait, or come first and are seen."""
    from klaviyo_assets.source.extraction import AccountSource

    with PostgresResource(url=shop.variables["POSTGRES_URL"]).snapshot() as snapshot:
        AccountSource.open(shop.account, snapshot)
        with shop.sandbox.postgres() as connection:
            connection.execute("SET lock_timeout = '200ms'")
            for statement in ("TRUNCATE {}.event", "DROP TABLE {}.person"):
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    connection.execute(statement.format(shop.account.postgres_schema))
