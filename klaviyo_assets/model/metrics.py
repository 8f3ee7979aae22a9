"""Klaviyo's vocabulary: which metrics (kinds of event) there are, and what each means for a message.

Here: canonical metric names, their older names, channel and role, and finding an account's conversion metric. Not
here: statistics (`model/statistics.py`), SQL (`reports/`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Any

from klaviyo_assets.errors import SettingsError


class Role(StrEnum):
    """What an event of a metric means for a message's statistics."""

    RECEIVED = "received"
    BOUNCED = "bounced"
    FAILED = "failed"
    DROPPED = "dropped"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    SUBSCRIBED = "subscribed"
    SPAM = "spam"
    SENT = "sent"
    OTHER = "other"


@dataclass(frozen=True)
class MetricKind:
    """A metric that Klaviyo names: one canonical name, whatever it has been called over the years."""

    name: str
    channel: str | None
    role: Role
    older_names: tuple[str, ...] = ()


def _kind(name: str, channel: str | None, role: Role, *older_names: str) -> MetricKind:
    return MetricKind(name, channel, role, older_names)


METRIC_KINDS: tuple[MetricKind, ...] = (
    _kind("Received Email", "email", Role.RECEIVED),
    _kind("Opened Email", "email", Role.OPENED),
    _kind("Clicked Email", "email", Role.CLICKED),
    _kind("Bounced Email", "email", Role.BOUNCED),
    _kind("Dropped Email", "email", Role.DROPPED),
    _kind("Marked Email as Spam", "email", Role.SPAM),
    _kind("Unsubscribed from Email Marketing", "email", Role.UNSUBSCRIBED, "Unsubscribed"),
    _kind("Unsubscribed from List", "email", Role.UNSUBSCRIBED),
    _kind("Subscribed to Email Marketing", "email", Role.SUBSCRIBED),
    _kind("Subscribed to List", "email", Role.SUBSCRIBED),
    _kind("Received Text Message", "sms", Role.RECEIVED, "Received SMS"),
    _kind("Clicked Text Message", "sms", Role.CLICKED, "Clicked SMS"),
    _kind("Sent Text Message", "sms", Role.SENT, "Sent SMS"),
    _kind("Failed to Deliver Text Message", "sms", Role.FAILED, "Failed to Deliver SMS"),
    _kind("Failed to Deliver Automated Response Text Message", "sms", Role.OTHER,
          "Failed to Deliver Automated Response SMS"),
    _kind("Received Automated Response Text Message", "sms", Role.OTHER, "Received Automated Response SMS"),
    _kind("Unsubscribed from Text Message Marketing", "sms", Role.UNSUBSCRIBED,
          "Unsubscribed from SMS", "Unsubscribed from SMS Marketing", "Unsubscribed from Text Message"),
    _kind("Subscribed to Text Message Marketing", "sms", Role.SUBSCRIBED,
          "Consented to Receive SMS", "Subscribed to SMS Marketing", "Subscribed to SMS"),
    _kind("Received Push", "mobile_push", Role.RECEIVED),
    _kind("Opened Push", "mobile_push", Role.OPENED),
    _kind("Clicked Push", "mobile_push", Role.CLICKED),
    _kind("Bounced Push", "mobile_push", Role.BOUNCED),
    _kind("Received WhatsApp", "whatsapp", Role.RECEIVED),
    _kind("Opened WhatsApp", "whatsapp", Role.OPENED, "Read WhatsApp"),
    _kind("Clicked WhatsApp", "whatsapp", Role.CLICKED),
    _kind("Failed to Deliver WhatsApp", "whatsapp", Role.FAILED),
    _kind("Active on Site", None, Role.OTHER),
    _kind("Viewed Product", None, Role.OTHER),
    _kind("Added to Cart", None, Role.OTHER),
    _kind("Checkout Started", None, Role.OTHER, "Started Checkout"),
    _kind("Placed Order", None, Role.OTHER),
    _kind("Ordered Product", None, Role.OTHER),
    _kind("Fulfilled Order", None, Role.OTHER),
    _kind("Cancelled Order", None, Role.OTHER, "Canceled Order"),
    _kind("Refunded Order", None, Role.OTHER),
)  # fmt: skip

# One letter of a dozen added, missing or different; "Ordered Product" is not a slip of "Placed Order".
_NEARLY = 0.9
_SMALL_LETTERS = str.maketrans(ascii_uppercase, ascii_lowercase)


def spelling(name: str) -> str:
    """A metric's name without outer spaces and with A to Z in lower case: names with the same result are the same.

    `source/event_rules.py` does the same in SQL, where `lower` depends on the database's locale.
    """
    return name.strip().translate(_SMALL_LETTERS)


_BY_SPELLING = {spelling(name): kind for kind in METRIC_KINDS for name in (kind.name, *kind.older_names)}
# Roles whose events belong to one message that was sent to one person.
MESSAGE_ROLES = frozenset(Role) - {Role.OTHER, Role.SUBSCRIBED}


def metric_kind(name: str | None) -> MetricKind | None:
    """The kind that a metric name stands for, in any case and under any of its older names; None for custom metrics."""
    return _BY_SPELLING.get(spelling(name)) if name else None


def canonical_metric(name: str) -> str:
    """The canonical name of a metric; custom metrics keep theirs."""
    kind = metric_kind(name)
    return kind.name if kind else name.strip()


@dataclass(frozen=True)
class Metric:
    """One metric of one account, as its `metric` table has it."""

    metric_id: str
    name: str
    integration: str | None = None
    integration_id: str | None = None
    is_deleted: bool = False

    @property
    def canonical(self) -> str:
        """Its canonical name."""
        return canonical_metric(self.name)


@dataclass(frozen=True)
class KindTest:
    """Decides whether an event's metric is of a chosen kind, from the event's metric id and written name alone.

    Attributes:
        ids: The metric ids that the account gives a name of a chosen kind.
        named_ids: The metric ids that the account gives any name: there the written name does not matter.
        spellings: The written names of the chosen kinds, each as `spelling` gives it.
    """

    ids: tuple[str, ...]
    named_ids: tuple[str, ...]
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class AccountMetrics:
    """The metrics of one account, with the conversion metric identified.

    `conversion_ids` is empty while the account has no such metric; `problem` then says so.
    """

    metrics: tuple[Metric, ...] = ()
    conversion_ids: frozenset[str] = frozenset()
    problem: str | None = None
    names: dict[str, str] = field(default_factory=dict)

    def name_of(self, metric_id: str | None, written: str | None) -> str | None:
        """The canonical name of an event's metric.

        Args:
            metric_id: The event's metric id. It is unique, so the account's name for it comes first.
            written: The name on the event itself. It is used if the account has no name for the id.
        """
        return self.names.get(metric_id or "") or (canonical_metric(written) if written else None)

    def test_of(self, is_chosen: Callable[[MetricKind], bool]) -> "KindTest":
        """`name_of` as data, for SQL: which ids and which written names are those of a chosen kind."""
        kinds = {metric_id: metric_kind(name) for metric_id, name in self.names.items() if name and metric_id.strip()}
        return KindTest(
            ids=tuple(sorted(metric_id for metric_id, kind in kinds.items() if kind and is_chosen(kind))),
            named_ids=tuple(sorted(kinds)),
            spellings=tuple(sorted(name for name, kind in _BY_SPELLING.items() if is_chosen(kind))),
        )

    @property
    def details(self) -> dict[str, Any]:
        """The metrics as a frame's record keeps them, as JSON."""
        rows = [[m.metric_id, m.name, m.integration, m.integration_id, m.is_deleted] for m in self.metrics]
        return {"metrics": rows}


def read_metrics(details: Mapping[str, Any]) -> list[Metric]:
    """The metrics that a frame's record keeps (`AccountMetrics.details`)."""
    return [Metric(*row) for row in details.get("metrics", [])]


def resolve_metrics(
    metrics: Iterable[Metric], conversion_metric: str, conversion_integration: str | None = None
) -> AccountMetrics:
    """Find an account's conversion metric by id, or by name and integration.

    Raises:
        SettingsError: the name fits several metrics; the message lists them with their integrations.
    """
    listed = tuple(sorted(metrics, key=lambda metric: metric.metric_id))
    by_id = [metric for metric in listed if metric.metric_id == conversion_metric]
    named = [
        metric
        for metric in listed
        if metric.canonical.casefold() == canonical_metric(conversion_metric).casefold()
        and _integration_fits(metric, conversion_integration)
    ]
    # The events of a metric that was deleted in Klaviyo stay, and remain conversions if there is no newer metric.
    matches = by_id or [metric for metric in named if not metric.is_deleted] or (named if len(named) == 1 else [])
    if len(matches) > 1:
        candidates = "; ".join(f"{m.metric_id} ({m.name}, integration {m.integration or 'none'})" for m in matches)
        raise SettingsError(
            f"conversion_metric {conversion_metric!r} matches {len(matches)} metrics: {candidates}",
            "Set conversion_metric to one of these ids, or set conversion_integration.",
        )
    problem = None if matches else _missing_conversion(listed, conversion_metric, conversion_integration)
    return AccountMetrics(
        listed,
        frozenset(metric.metric_id for metric in matches),
        problem,
        {m.metric_id: m.canonical for m in listed},
    )


def metric_names(name: str) -> tuple[str, ...]:
    """All names that a metric's name stands for: today's and the older ones; a custom metric has one."""
    kind = metric_kind(name)
    return (kind.name, *kind.older_names) if kind else (name.strip(),)


def misspelled(metrics: Iterable[Metric], wanted: str) -> str | None:
    """The metric that was most likely meant by an unknown name; None if no name is nearly the same."""
    names = {metric.canonical.casefold(): metric.canonical for metric in metrics if metric.name.strip()}
    if canonical_metric(wanted).casefold() in names:
        return None
    near = get_close_matches(wanted.strip().casefold(), names, n=1, cutoff=_NEARLY)
    return names[near[0]] if near else None


def _integration_fits(metric: Metric, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return wanted.casefold() in {
        (metric.integration or "").casefold(),
        (metric.integration_id or "").casefold(),
    }


def _missing_conversion(metrics: tuple[Metric, ...], wanted: str, integration: str | None) -> str:
    where = f" of integration {integration!r}" if integration else ""
    names = ", ".join(sorted({metric.canonical for metric in metrics})) or "none yet"
    return f"no metric {wanted!r}{where} in this account, so no event counts as a conversion; it has: {names}"
