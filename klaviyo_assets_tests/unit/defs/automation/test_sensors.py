"""Reports after loads: asked for once the last load of an account has ended, of every account it was of."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from klaviyo_assets.defs.automation.sensors import _covers, build_report_sensors
from klaviyo_assets.stages.keys import range_tags

NAMES = ["acme", "bloom", "zoo"]
SENSORS = {sensor.name: sensor for sensor in build_report_sensors(NAMES, None)}


@dg.job
def events() -> None:
    """Stands for the job of the name: what it holds does not matter here."""


@dg.job
def reports() -> None:
    """Loads nothing."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral_instance:
        yield ephemeral_instance


def of(first: str, last: str) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": f"{first}|2026-01-01",
        "dagster/asset_partition_range_end": f"{last}|2026-01-03",
    }


def ended(instance: dg.DagsterInstance, tags: dict[str, str], job: dg.JobDefinition = events) -> list[str]:
    """The accounts that reports are asked for when a run of these tags ends."""
    return asked_after(instance, job.execute_in_process(instance=instance, tags=tags))


def asked_after(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[str]:
    """The accounts that reports are asked for after a run."""
    context = dg.build_run_status_sensor_context(
        "reports_after_loads", result.get_run_success_event(), instance, result.dagster_run
    )
    asked = SENSORS["reports_after_loads"](context)
    assert isinstance(asked, dg.SensorResult)
    assert asked.run_requests or asked.skip_reason, "what is not done is said"
    return [str(request.partition_key) for request in asked.run_requests or ()]


def test_a_load_of_one_account_restates_its_reports(instance):
    assert ended(instance, of("acme", "acme")) == ["acme"]
    assert ended(instance, {"dagster/partition": "zoo"}) == ["zoo"]


def test_a_load_of_several_accounts_restates_the_reports_of_each(instance):
    assert ended(instance, of("acme", "bloom")) == ["acme", "bloom"]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_while_another_load_of_the_account_is_to_end_that_one_is_awaited(instance, status):
    instance.create_run_for_job(events, tags=of("acme", "acme"), status=status)

    assert ended(instance, of("acme", "bloom")) == ["bloom"]


def test_of_loads_that_have_all_ended_the_last_one_is_followed(instance):
    earlier, later = (events.execute_in_process(instance=instance, tags=of("acme", "acme")) for _ in range(2))

    assert asked_after(instance, earlier) == []
    assert asked_after(instance, later) == ["acme"]


def test_reports_under_way_are_not_awaited(instance):
    instance.create_run_for_job(reports, tags={"dagster/partition": "acme"})

    assert ended(instance, of("acme", "acme")) == ["acme"]


@pytest.mark.parametrize(
    "tags", [{}, {"dagster/partition": "gone"}, of("acme", "acme") | {"klaviyo/started_by": "cli"}]
)
def test_what_loaded_nothing_of_an_account_asks_for_nothing(instance, tags):
    assert ended(instance, tags) == []


def test_reports_ask_for_no_reports(instance):
    assert ended(instance, {"dagster/partition": "acme"}, reports) == []


def test_failed_and_canceled_loads_loaded_their_good_days():
    assert set(SENSORS) == {"reports_after_loads", "reports_after_partial_loads", "reports_after_canceled_loads"}


def waiting(job: str, tags: dict[str, str], *keys: str) -> dg.DagsterRun:
    chosen = frozenset(dg.AssetKey(key.split("/")) for key in keys) or None
    return dg.DagsterRun(job_name=job, tags=tags, asset_selection=chosen, status=dg.DagsterRunStatus.NOT_STARTED)


def days(account: str, first: int, last: int) -> dict[str, str]:
    return range_tags(account, date(2026, 1, first), date(2026, 1, last))


ASKED = dg.RunRequest(job_name="events", tags=days("acme", 9, 11))
CREDITS = dg.RunRequest(
    job_name="events", tags=days("acme", 9, 11), asset_selection=[dg.AssetKey(["mapped", "attribution"])]
)
TABLES = dg.RunRequest(
    job_name="dimensions", partition_key="acme", asset_selection=[dg.AssetKey(["mapped", "campaign"])]
)


@pytest.mark.parametrize(
    ("run", "asked", "covered"),
    [
        (waiting("events", days("acme", 9, 11)), ASKED, True),
        (waiting("events", days("acme", 8, 12)), ASKED, True),
        (waiting("events", days("acme", 9, 10)), ASKED, False),
        (waiting("events", days("acme", 10, 12)), ASKED, False),
        (waiting("events", days("bloom", 8, 12)), ASKED, False),
        (waiting("reports", days("acme", 8, 12)), ASKED, False),
        (waiting("events", days("acme", 8, 12), "mapped/attribution"), ASKED, False),
        (waiting("events", days("acme", 8, 12), "mapped/attribution"), CREDITS, True),
        (waiting("events", days("acme", 8, 12)), CREDITS, True),
        (waiting("dimensions", {"dagster/partition": "acme"}), TABLES, True),
        (waiting("dimensions", {"dagster/partition": "acme"}, "mapped/campaign", "mapped/flow"), TABLES, True),
        (waiting("dimensions", {"dagster/partition": "acme"}, "mapped/flow"), TABLES, False),
        (waiting("dimensions", {"dagster/partition": "bloom"}), TABLES, False),
    ],
)
def test_what_a_waiting_run_will_do_is_not_asked_for_again(run, asked, covered):
    assert _covers(run, asked) is covered


@pytest.mark.parametrize("tag", ["dagster/is_resume_retry", "dagster/is_asset_resume_retry", "dagster/step_selection"])
def test_a_waiting_run_that_repeats_another_is_not_counted_on(tag):
    """Of its range it does only what that one left undone: what changed on the other days would be missed."""
    again = dg.DagsterRun(
        job_name="events", tags={**days("acme", 8, 12), tag: "true"}, parent_run_id="failed", root_run_id="failed"
    )

    assert not _covers(again, ASKED)
