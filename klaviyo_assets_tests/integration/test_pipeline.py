"""Both simulated accounts through every stage: nothing is lost, nothing personal leaves, doing it again is nothing."""

import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import pyarrow.parquet as pq
import pytest

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, report_of
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.stages import restating as reporting
from klaviyo_assets.stages.restating import AccountReports
from klaviyo_assets_tests.integration.deployment import Deployment

# Days of events to copy; the second shop needs all of its two weeks to have orders that a campaign earned.
SOURCES = {"acme": 7, "bloom": None}


@pytest.fixture(scope="module")
def loaded(deploy) -> dict[str, Deployment]:
    """A copy of each account of the sandbox, loaded by one `run`."""
    deployments = {source: deploy(f"whole_{source}", source, last_days=days) for source, days in SOURCES.items()}
    for deployment in deployments.values():
        totals = deployment.run()
        assert totals.failures == []
    return deployments


@pytest.fixture(params=SOURCES)
def account(request, loaded) -> Deployment:
    """One loaded account after the other."""
    return loaded[request.param]


def raw_value(deployment: Deployment) -> str:
    """An event's value as exact decimal, read from Postgres without any of the product's code."""
    columns = dict(
        deployment.raw(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_schema = '{deployment.account.postgres_schema}' AND table_name = 'event'"
        )
    )
    if "custom_property_fields" in columns:
        text = "coalesce(custom_property_fields::jsonb ->> '$value', custom_property_fields::jsonb ->> 'value')"
    else:
        text = next(f'"{name}"::text' for name in ("property_value", "propertyValue") if name in columns)
    # A shop of this sandbox writes some amounts as 49,99.
    plain = f"regexp_replace({text}, '^(-?[0-9]+),([0-9][0-9]?)$', '\\1.\\2')"
    return f"CASE WHEN {plain} ~ '^-?[0-9]+([.][0-9]+)?(e-?[0-9]+)?$' THEN round(({plain})::numeric, 9) END"


def deleted(deployment: Deployment) -> str:
    columns = deployment.raw(
        "SELECT 1 FROM information_schema.columns WHERE column_name = '_fivetran_deleted' AND table_name = 'event' "
        f"AND table_schema = '{deployment.account.postgres_schema}'"
    )
    return "coalesce(_fivetran_deleted, false)" if columns else "false"


def test_every_event_that_is_not_deleted_is_in_bigquery_on_its_day(account):
    zone = account.account.timezone
    expected = account.raw(
        f"SELECT (coalesce(datetime, timestamp) AT TIME ZONE '{zone}')::date, count(*) FROM {{}}.event "
        f"WHERE NOT {deleted(account)} AND coalesce(datetime, timestamp) IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    assert account.query("SELECT occurred_on, COUNT(*) FROM event GROUP BY 1 ORDER BY 1") == expected
    assert sum(count for _, count in expected) > 200


def test_money_per_day_is_what_postgres_holds(account):
    zone = account.account.timezone
    expected = account.raw(
        f"SELECT day, sum(value) FROM (SELECT (coalesce(datetime, timestamp) AT TIME ZONE '{zone}')::date AS day, "
        f"{raw_value(account)} AS value FROM {{}}.event WHERE NOT {deleted(account)}) AS e "
        "GROUP BY 1 HAVING sum(value) IS NOT NULL ORDER BY 1"
    )
    sums = account.query(
        "SELECT occurred_on, SUM(value) FROM event GROUP BY 1 HAVING SUM(value) IS NOT NULL ORDER BY 1"
    )
    assert sums == expected
    assert sum(amount for _, amount in expected) > 0


def test_account_tables_have_every_row_of_postgres(account):
    raw = [
        table
        for (table,) in account.raw(
            "SELECT table_name FROM information_schema.tables "
            f"WHERE table_schema = '{account.account.postgres_schema}' AND table_name <> 'event'"
        )
    ]
    expected = {table: account.raw(f"SELECT count(*) FROM {{}}.{table}")[0][0] for table in raw}
    assert {table: account.query(f"SELECT COUNT(*) FROM `{table}`")[0][0] for table in raw} == expected
    assert expected["person"] > 10


def test_the_ledger_accounts_for_every_raw_row_and_all_money(account):
    newest = (
        "SELECT * FROM ledger WHERE table_name = 'event' "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY `partition` ORDER BY recorded_at DESC) = 1"
    )
    rows = account.query(
        "SELECT SUM(rows_raw), SUM(rows_loaded + rows_deleted + rows_quarantined), SUM(rows_loaded), SUM(value) "
        f"FROM ({newest})"
    )
    raw, accounted, kept, value = rows[0]
    assert raw == accounted == account.raw("SELECT count(*) FROM {}.event")[0][0]
    assert kept == account.query("SELECT COUNT(*) FROM event")[0][0]
    assert Decimal(value) == account.query("SELECT SUM(value) FROM event")[0][0]


def test_attribution_shares_sum_to_the_events_they_share(account):
    wrong = account.query(
        "SELECT event.event_id FROM event JOIN (SELECT event_id, SUM(weight) AS weight, SUM(value) AS value "
        "FROM attribution GROUP BY event_id) AS shares ON shares.event_id = event.event_id "
        "WHERE shares.weight != 1 OR shares.value != event.value"
    )
    assert wrong == []
    assert account.query("SELECT COUNT(*) FROM attribution")[0][0] > 0


def test_every_archived_part_is_what_was_loaded(account):
    newest = (
        "SELECT table_name, `partition`, sha256 FROM ledger WHERE sha256 IS NOT NULL "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, `partition` ORDER BY recorded_at DESC) = 1"
    )
    for table, partition, sha256 in account.query(newest):
        day = None if partition == account.account.name else partition
        if day == "undated":
            continue
        manifest = account.archive.manifest(account.account.name, table, day)
        assert manifest is not None
        assert manifest.sha256 == sha256, (table, partition)


def test_reports_hold_the_conversions_of_events(account):
    counted = account.query("SELECT SUM(conversions), SUM(conversion_value) FROM campaign_by_event_date")
    expected = account.query(
        "SELECT SUM(a.weight), SUM(a.value) FROM attribution AS a JOIN event AS e ON e.event_id = a.event_id "
        "WHERE e.is_conversion AND a.campaign_id IS NOT NULL"
    )
    assert counted == expected
    assert counted[0][0] > 0


PERSONAL = ("email", "phone_number", "address_1", "external_id", "ip")


def test_no_personal_value_leaves_postgres_as_it_was(account):
    """Real e-mail addresses, numbers and whole names are searched for in all that was archived, loaded or logged."""
    assert leaks(account) == {}


def test_with_pii_kept_the_same_search_finds_them(deploy):
    account = deploy("kept", last_days=0, pii="keep")
    assert account.tables("person").success
    assert "bigquery/person" in leaks(account, "person")


def leaks(account: Deployment, *tables: str) -> dict[str, list[str]]:
    """Where personal values of the shop's people stand outside of Postgres, and which."""
    columns = {
        name
        for (name,) in account.raw(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'person' "
            f"AND table_schema = '{account.account.postgres_schema}'"
        )
    }
    # A first name alone may be a word of a campaign's name.
    chosen = [name for name in PERSONAL if name in columns]
    people = account.raw(f"SELECT {', '.join(chosen)} FROM {{}}.person ORDER BY id")
    values = {str(value) for person in people for value in person if value is not None and len(str(value)) > 5}
    names = account.raw("SELECT first_name || ' ' || last_name FROM {}.person WHERE last_name IS NOT NULL")
    values |= {name for (name,) in names if name}
    assert len(values) > 50
    places = kept_places(account, *tables)
    return {place: hits for place, text in places if (hits := [value for value in values if value in text])}


def kept_places(account: Deployment, *tables: str) -> Iterator[tuple[str, str]]:
    """Everything that is kept of an account outside of Postgres, as text: Parquet decoded, since it is compressed."""
    for key, content in account.contents().items():
        is_parquet = key.endswith(".parquet")
        yield key, str(pq.read_table(io.BytesIO(content)).to_pylist()) if is_parquet else content.decode()
    for table, rows in account.bigquery(*tables).items():
        yield f"bigquery/{table}", str(rows)
    yield "quarantine", str(account.query("SELECT * FROM quarantine"))
    yield "ledger", str(account.query("SELECT * FROM ledger"))
    yield "event log", account.event_log()


def test_a_person_is_the_same_hash_in_every_table(account):
    """Hashing does not cut the joins: as many different hashes as there are addresses."""
    addresses = account.raw("SELECT count(DISTINCT lower(trim(email))) FROM {}.person")[0][0]
    hashes = account.query("SELECT COUNT(DISTINCT email), MIN(LENGTH(email)), MAX(LENGTH(email)) FROM person")
    assert hashes == [(addresses, 64, 64)]


def test_nothing_is_left_between_the_stages(account):
    """Extracted frames hold personal data as it was: they go once their partition is loaded."""
    assert account.frame_files() == []


def test_a_second_run_finds_no_day_to_do(loaded):
    account = loaded["bloom"]
    before, objects = account.bigquery("event", "attribution"), account.objects()
    assert account.dirty() == []
    totals = account.run()
    assert totals.failures == []
    assert totals.stages["report"].partitions == 0, "the reports are up to date too"
    assert account.objects() == objects
    assert account.bigquery("event", "attribution") == before


def test_a_day_made_again_is_the_same_to_the_byte(loaded):
    account = loaded["acme"]
    day = account.query("SELECT occurred_on FROM event GROUP BY 1 ORDER BY COUNT(*) DESC LIMIT 1")[0][0]
    before, objects, noted = account.bigquery("event", "attribution"), account.objects(), account.noted()
    outcome = account.days(day)
    assert outcome.success, outcome.failures
    assert Counter(stage.split("/")[0] for stage, _ in outcome.materialized) == {
        "extracted": 1, "mapped": 2, "s3_archive": 2, "bigquery": 2,
    }  # fmt: skip
    assert account.objects() == objects, "no new object, and none written again"
    assert account.bigquery("event", "attribution") == before
    assert account.noted() == noted


def test_the_check_that_rows_and_money_are_conserved_is_recorded(account):
    key = dg.AssetCheckKey(dg.AssetKey(["report", "account_by_event_date"]), "conserved")
    history = account.instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    evaluations = (record.event.dagster_event.event_specific_data for record in history)
    # The newest first: the last is that of the first run, which restated every day.
    evaluation = [found for found in evaluations if found.partition == account.account.name][-1]
    assert evaluation.passed, evaluation.description
    counted = {name: found.value for name, found in evaluation.metadata.items()}
    rows = account.query("SELECT COUNT(*) FROM event")[0][0]
    assert counted["event_rows"] == counted["ledger_rows"] == rows


def test_every_view_is_there_and_gives_a_row_for_each_row_of_its_report(account):
    # What Looker Studio reads has a test of its own, below.
    for name in VIEWS.keys() - LOOKER_VIEWS.keys():
        row_count = account.query(f"SELECT COUNT(*) FROM `{name}`")[0][0]
        if name.endswith("_named"):
            assert row_count == account.query(f"SELECT COUNT(*) FROM `{name.removesuffix('_named')}`")[0][0]
        assert row_count > 0, name


def test_what_looker_studio_adds_up_is_what_the_reports_add_up_to(account):
    own = account.account.name
    for name in LOOKER_VIEWS:
        if report := report_of(name):
            sums = ", ".join(f"SUM({column})" for column in sorted(report.additive))
            (view_sums,) = account.query(f"SELECT COUNT(*), {sums}, MIN(account), MAX(account) FROM {name}")
            (report_sums,) = account.query(f"SELECT COUNT(*), {sums} FROM {report.name}")
            assert (*view_sums,) == (*report_sums, own, own), name
            assert view_sums[0] > 0, name


def test_freshness_is_one_row_that_tells_how_far_the_reports_reach(account):
    ((owner, final, last, through),) = account.query(
        "SELECT account, final_through, last_occurred_on, data_through FROM looker_freshness"
    )
    assert owner == account.account.name
    assert (last, through) == account.query("SELECT MAX(occurred_on), MAX(data_through) FROM account_by_event_date")[0]
    assert final < last


def test_snapshots_hold_the_day_of_the_data(account):
    through = account.query("SELECT MAX(data_through) FROM membership_snapshot")[0][0]
    days = account.query("SELECT DISTINCT snapshot_on FROM membership_snapshot UNION DISTINCT "
                         "SELECT DISTINCT snapshot_on FROM consent_snapshot")  # fmt: skip
    assert days == [(through.astimezone(account.account.zone).date(),)]
    people = account.query("SELECT SUM(people) FROM consent_snapshot WHERE channel = 'email'")[0][0]
    assert people == account.query("SELECT COUNT(*) FROM person WHERE is_deleted IS NOT TRUE")[0][0]


def test_a_rebuild_in_parts_gives_the_rows_of_a_rebuild_at_once(loaded, monkeypatch):
    """BigQuery changes 4,000 partitions in one statement at most; an account may have more days."""
    account, statements, query = loaded["acme"], [], BigQueryDataset.query

    def counted(self, text, parameters=None, **options):
        if text.startswith("MERGE"):
            statements.append(parameters)
        return query(self, text, parameters, **options)

    def rebuilt() -> dict:
        statements.clear()
        opened = AccountReports.open(account.account, account.dataset, REPORTS.values())
        for name in daily:
            opened.restate(REPORTS[name], "rebuild", everything=True)
        return account.bigquery(*daily)

    monkeypatch.setattr(BigQueryDataset, "query", counted)
    daily = [report.name for report in REPORTS.values() if report.day_column and not report.keeps_history]
    at_once = rebuilt()
    monkeypatch.setattr(reporting, "MOST_DAYS_AT_ONCE", 3)

    assert rebuilt() == at_once
    assert len(statements) > 2 * len(daily)
    assert all(len(given["days"][1]) <= 3 and not given["everything"][1] for given in statements)
