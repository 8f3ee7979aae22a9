"""The check `unusual`: an account's days unlike the same weekday in the weeks before, with sentences and plots.

Here: which days a run judges, and what the UI shows about them. Not here: when a day is unusual (`audit/anomalies/`).

It warns and never fails: the numbers are right, but somebody should look at what they say. There is one check for all
numbers, because each check adds events to the log of every run.
"""

import base64
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies import WEEKS, Anomaly, anomalies_of
from klaviyo_assets.defs.stage_run import Check
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.errors import contained
from klaviyo_assets.text import markdown_table

UNUSUAL = "unusual"
# What happened on a Friday is still there on Monday.
DAYS = 3
# A plot takes a fifth of a second, and the picture stays in the event log.
_DRAWN = 3


def unusual_spec(asset: dg.AssetKey, partitions_def: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The check as the UI describes it, on the report that is judged."""
    return dg.AssetCheckSpec(
        UNUSUAL, asset=asset, partitions_def=partitions_def,
        description=f"Compares each of the last {DAYS} days that are over with the same weekday of the {WEEKS} weeks "
        "before: messages sent, delivery, opens, clicks, unsubscribes, spam complaints, attributed revenue, orders. "
        "It warns if a number is far outside its usual range, and never fails a run.",
    )  # fmt: skip


def unusual(
    dataset: BigQueryDataset, account: Account, entries: Mapping[tuple[str, str], Entry], data_through: datetime
) -> Check:
    """Check whether one of the last days that are over is unusual.

    Args:
        dataset: The account's dataset, its report `account_by_event_date` up to date.
        account: The account.
        entries: The newest ledger row of every partition, by table and partition.
        data_through: The moment up to which the account's data are complete.
    """
    newest = data_through.astimezone(account.zone).date()
    days = [newest - timedelta(days=ago) for ago in range(1, DAYS + 1)]
    looked_at = f"{days[-1]} to {days[0]}"
    try:
        anomalies = anomalies_of(dataset, account, days, entries)
    except Exception as error:  # noqa: BLE001  a number that cannot be judged is no reason to fail a run
        description = f"the days {looked_at} could not be checked: {contained(error)}"
        return _check(passed=False, description=description, metadata={})
    newest_first = sorted(anomalies, key=lambda anomaly: anomaly.day, reverse=True)
    if not newest_first:
        return _check(passed=True, description=None, metadata={"days": looked_at})
    description = "; ".join(anomaly.sentence for anomaly in newest_first)
    return _check(
        passed=False, description=description, metadata={"days": looked_at, **_anomaly_metadata(newest_first)}
    )


def _check(*, passed: bool, description: str | None, metadata: Mapping[str, Any]) -> Check:
    return Check(
        UNUSUAL, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata, description=description
    )


def _anomaly_metadata(anomalies: Sequence[Anomaly]) -> dict[str, Any]:
    rows = ((f"{one.day:%a} {one.day}", one.sentence) for one in anomalies)
    plots = "\n\n".join(_as_markdown(one) for one in anomalies[:_DRAWN])
    return {
        "unusual": dg.MetadataValue.md(markdown_table(("day", "what"), rows)),
        "plots": dg.MetadataValue.md(plots),
    }


def _as_markdown(anomaly: Anomaly) -> str:
    return f"![{anomaly.sentence}](data:image/png;base64,{base64.b64encode(_drawn(anomaly)).decode()})"


def _drawn(anomaly: Anomaly) -> bytes:
    """A plot of the weekday's values in the weeks before, with the usual range, and the day itself marked."""
    import pandas as pd

    from klaviyo_assets.publishing import charts

    days: list[tuple[date, float]] = [*anomaly.history, (anomaly.day, anomaly.value)]
    rows = pd.DataFrame(days, columns=["day", "value"]).assign(low=anomaly.low, high=anomaly.high)
    rows["odd"] = rows["day"] == anomaly.day
    title = f"{anomaly.label}, {anomaly.weekday}s"
    return charts.png(charts.history(rows, title=title, unit=anomaly.unit, width=420, height=110), scale=1.0)
