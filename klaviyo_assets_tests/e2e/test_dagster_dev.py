"""The Dagster side end to end: real webserver, daemon and browser on real servers.

One file, so that its tests share one project wherever they are distributed. A person looks and clicks; the daily
schedules load; then a backfill fills the history, doing it again changes nothing, and the sensor loads the rest.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import FloatRect, expect

from klaviyo_assets.definitions import build_definitions
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.stages.keys import day_key, range_tags
from klaviyo_assets.tables import ACCOUNT_TABLES
from klaviyo_assets_tests.e2e.dagster_dev import EVENT_CHAIN, DagsterDev, Run, days_between, turn_on_schedules
from klaviyo_assets_tests.e2e.pages import Ui
from klaviyo_assets_tests.e2e.project import HISTORY, Project

STAGES = ("fivetran", "extracted", "mapped", "s3_archive", "bigquery", "report")
MAPPED_EVENT = ("mapped", "event")
FIRST, LAST = 31, 2  # days ago; 30 days
# Where the folded graph is drawn in a window of `SIZE`, and the unfolded one in a window of `LARGE`.
STRIP: FloatRect = {"x": 570.0, "y": 500.0, "width": 1000.0, "height": 130.0}
GRAPH: FloatRect = {"x": 400.0, "y": 110.0, "width": 1300.0, "height": 1370.0}
COLUMNS: FloatRect = {"x": 240.0, "y": 0.0, "width": 1360.0, "height": 760.0}
CLICKED = 12  # days ago: before the days that the schedules restate later


def test_the_graph_shows_every_stage(ui: Ui) -> None:
    ui.go("/asset-groups", until="report")

    ui.picture("asset_groups", clip=STRIP)
    for stage in STAGES:
        expect(ui.text(stage)).to_be_visible()


def test_a_day_materialized_by_clicking_turns_green_with_its_check_and_metadata(
    ui: Ui, project: Project, dagster_dev: DagsterDev
) -> None:
    account, day = project.account.name, project.day(CLICKED)
    assert day not in dagster_dev.materialized_days(MAPPED_EVENT)

    ui.materialize_job("events", account, day, day)
    dagster_dev.ended_runs(lambda run: run.tags.get("dagster/partition") == day_key(account, day), at_least=1)

    ui.go(f"/assets/mapped/event?view=partitions&partition={account}%7C{day}", until="Materialized")
    for entry in ("dagster/partition_row_count", "sha256", "rows_quarantined", "preview"):
        expect(ui.text(entry)).to_be_visible()
    expect(ui.page.get_by_role("columnheader", name="occurred_at")).to_be_visible()
    ui.picture("partition")

    ui.go("/assets/mapped/event?view=checks&checkDetail=schema", until="Latest execution")
    expect(ui.text("Passed").or_(ui.text("Warning")).first).to_be_visible()
    expect(ui.page.get_by_text(re.compile(rf"^{account}\|\d{{4}}-\d\d-\d\d$")).first).to_be_visible()
    assert dagster_dev.check_verdicts(MAPPED_EVENT, "schema")[day_key(account, day)] == "SUCCEEDED"
    ui.picture("check")
    for key in EVENT_CHAIN:
        assert day in dagster_dev.materialized_days(key), key


@pytest.mark.slow
def test_the_daily_schedules_load_and_the_reports_follow(project: Project, dagster_dev: DagsterDev) -> None:
    """Each missed tick of a schedule starts one run; after them, the sensor has restated the reports."""
    account = project.account
    names = {f"daily_{job}_{account.name}" for job in ("dimensions", "events")}
    schedules = build_definitions(accounts=project.accounts).schedules or []
    # A day is 25 hours long when the clocks go back, and while this runs it may turn five: one tick, or two.
    since = datetime.now(UTC) - timedelta(hours=25)
    turn_on_schedules(project, [each for each in schedules if each.name in names], since)
    loads = dagster_dev.ended_runs(_of_schedules, at_least=2, seconds=240)
    dagster_dev.settle()
    reports = [run for run in dagster_dev.runs() if run.job == "reports"]

    for name in names:
        ticks = dagster_dev.ticks(name)
        assert ticks
        assert all((tick["status"], len(tick["runIds"])) == ("SUCCESS", 1) for tick in ticks)
    assert {(run.job, run.status) for run in loads} == {("dimensions", "SUCCESS"), ("events", "SUCCESS")}
    assert {run.status for run in reports} == {"SUCCESS"}
    assert {run.tags["klaviyo/started_by"] for run in reports} == {"sensor"}
    expected = {*REPORTS, *(table.name for table in ACCOUNT_TABLES), "event", "attribution"}
    assert expected - HISTORY <= project.table_hashes().keys()


@pytest.mark.slow
def test_the_lineage_of_a_column_leads_from_the_report_to_the_raw_field(ui: Ui) -> None:
    """By the links in the columns' descriptions: the open-source UI draws no graph of columns."""
    ui.go("/assets/report/account_by_event_date?view=overview", until="Columns")
    ui.filter_columns("conversion_value")
    ui.picture("lineage", clip=COLUMNS)

    for asset, column in (
        ("bigquery/attribution", "value"), ("mapped/attribution", "value"), ("extracted/event", "property_value"),
        ("fivetran/event", "property_value"),
    ):  # fmt: skip
        ui.page.get_by_role("link", name=asset, exact=True).first.click()
        ui.page.wait_for_url(f"**/assets/{asset}**")
        ui.filter_columns(column)


@pytest.mark.slow
def test_a_backfill_of_thirty_days_is_one_run_and_fills_every_stage(project: Project, dagster_dev: DagsterDev) -> None:
    account, first, last = project.account.name, project.day(FIRST), project.day(LAST)

    backfill = dagster_dev.backfill(EVENT_CHAIN, account, first, last)
    runs = dagster_dev.ended_runs(lambda run: run.tags.get("dagster/backfill") == backfill, at_least=1, seconds=240)

    assert [(run.status, run.account_and_days) for run in runs] == [
        ("SUCCESS", f"{day_key(account, first)}..{day_key(account, last)}")
    ]
    days = set(days_between(first, last))
    assert len(days) == 30
    for key in EVENT_CHAIN:
        assert days <= dagster_dev.materialized_days(key), key
    verdicts = dagster_dev.check_verdicts(MAPPED_EVENT, "schema")
    assert {verdicts[day_key(account, day)] for day in days} == {"SUCCEEDED"}


@pytest.mark.slow
def test_running_partitions_again_leaves_s3_and_bigquery_as_they_are(project: Project, dagster_dev: DagsterDev) -> None:
    """Nothing is written to S3, and every table has the rows it had; of a range, a single day and account tables."""
    account, first, last = project.account.name, project.day(FIRST), project.day(LAST)
    dagster_dev.settle()
    archive, tables = project.archive_state(), project.table_hashes()
    assert len(archive) > 2 * 2 * 30
    assert {name for name, told in tables.items() if told.startswith("0 rows")} <= {"quarantine"}

    single = {"dagster/partition": day_key(account, last - timedelta(days=3))}
    range_of_days = range_tags(account, first, last)
    launches = [("events", range_of_days), ("dimensions", {"dagster/partition": account}), ("events", single)]
    again = {dagster_dev.launch(job, tags) for job, tags in launches}
    dagster_dev.settle()

    assert {run.status for run in dagster_dev.runs()} == {"SUCCESS"}
    assert again <= {run.id for run in dagster_dev.runs()}
    assert project.archive_state() == archive
    assert project.table_hashes() == tables


@pytest.mark.slow
def test_the_sensor_of_syncs_loads_what_is_left_and_the_graph_is_green(
    ui: Ui, project: Project, dagster_dev: DagsterDev
) -> None:
    """Turned on, it records the raw tables of the sync that was before, and loads the days that never were."""
    account = project.account
    never = set(days_between(account.start_date, account.today())) - dagster_dev.materialized_days(MAPPED_EVENT)
    assert never

    dagster_dev.start_sensor("fivetran_syncs")
    runs = dagster_dev.ended_runs(lambda run: run.tags.get("klaviyo/started_by") == "fivetran_syncs", at_least=1)
    # Where UTC's day has begun and the account's has not, the graph has a day that no event can be of yet.
    dagster_dev.launch("events", {"dagster/partition": day_key(account.name, datetime.now(UTC).date())})
    dagster_dev.settle()

    assert {run.status for run in runs} == {"SUCCESS"}
    # The schedules have loaded the account tables: whether a sync has changed them since depends on the hour.
    assert {"events"} <= {run.job for run in runs} <= {"dimensions", "events"}
    for key in EVENT_CHAIN:
        assert never <= dagster_dev.materialized_days(key), key
    ui.expanded_graph('key:"*/event" or key:"*/attribution" or key:"*/campaign" or group:report', STAGES)
    ui.picture("asset_graph", clip=GRAPH)


def _of_schedules(run: Run) -> bool:
    """Whether it is a daily load: the digest's schedule is on by itself, and may start one as well."""
    return run.tags.get("klaviyo/started_by") == "schedule" and run.job in {"dimensions", "events"}
