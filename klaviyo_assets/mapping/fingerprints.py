"""Fingerprints of what decides mapped rows, besides the raw rows themselves.

Here: the version of the mapping, and one fingerprint for a day's events and one for its credits. A partition whose
fingerprint differs from the ledger's is mapped again. Not here: comparing them (`stages/planning.py`), and what the
settings of an account are (`accounts.py`).
"""

from collections.abc import Iterable
from typing import Any

from klaviyo_assets.accounts import Account, fingerprint_of
from klaviyo_assets.model.metrics import AccountMetrics
from klaviyo_assets.tables import METRIC

# The version of the mapping's meaning: raising it rebuilds every partition.
MAPPING_VERSION = 3
# The partition of events without a usable time: they belong to no day.
UNDATED = "undated"
# They are read together with this table, which every account has.
UNDATED_WITH = METRIC


def event_settings(account: Account) -> dict[str, Any]:
    """The settings that decide mapped events, kept with each load so that a change can be named."""
    return account.event_settings | {
        "conversion metric": account.conversion_metric,
        "conversion integration": account.conversion_integration,
        "mapping version": MAPPING_VERSION,
    }


def event_fingerprint(account: Account, metrics: AccountMetrics, seen: Iterable[str | None]) -> str:
    """Fingerprint of what decides a day's mapped events: the settings, and the names of the day's own metrics.

    A metric that is renamed, or becomes the conversion metric, concerns only the days that have events of it.
    """
    metric_names = _names(metrics, seen)
    converting = sorted(metrics.conversion_ids & {metric for metric, _ in metric_names})
    return f"{account.table_fingerprint}:{fingerprint_of([MAPPING_VERSION, metric_names, converting])}"


def attribution_fingerprint(account: Account, source: str, metrics: AccountMetrics, seen: Iterable[str | None]) -> str:
    """Fingerprint of what decides a day's credits: their source, and the names of the day's and its touches' metrics.

    `source` is `native` or `touch`; windows matter only if the last touch is computed.
    """
    settings = fingerprint_of([MAPPING_VERSION, account.attribution_settings(source)])
    return f"{settings}:{fingerprint_of(_names(metrics, seen))}"


def _names(metrics: AccountMetrics, seen: Iterable[str | None]) -> list[tuple[str, str | None]]:
    return sorted({(metric, metrics.names.get(metric)) for metric in seen if metric}, key=str)
