"""The fields of Looker Studio: what each column becomes there, and the ratios of their sums.

Here: labels, types and formulas, all derived from the catalogue of statistics and from the views. Not here: what a
statistic counts (`model/statistics.py`), and which columns a view has (`reports/views/looker.py`).

A ratio in a chart is a quotient of sums, never an average of ratios. Klaviyo's rates count people, who must not be
summed; numbers that may be summed take their place: sends that were opened, clicked or converted, and acts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import ADDITIVE_TWINS, STATISTICS, Kind, Statistic, Unit
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, report_of
from klaviyo_assets.reports.views.looker import additive, sums_of


class Format(StrEnum):
    """How a number is shown."""

    NUMBER = "number"
    PERCENT = "percent"
    MONEY = "money"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A calculated field: the quotient of two sums.

    Attributes:
        name: Klaviyo's name of the rate.
        numerator: The additive column above the line.
        denominator: The additive column below the line.
        label: What users read.
        format: A share of 1 as percent, money in the account's currency, or a plain number.
        sentence: What it means, and what takes the place of people in it.
        sums: The sum above and the sum below the line.
    """

    name: str
    numerator: str
    denominator: str
    label: str
    format: Format
    sentence: str
    sums: tuple[str, str]

    @property
    def formula(self) -> str:
        """The calculated field as Looker Studio takes it; null if the denominator is 0."""
        return " / ".join(self.sums)

    @property
    def sql(self) -> str:
        """The same in GoogleSQL: an aggregate over any rows of a view."""
        return f"SAFE_DIVIDE({', '.join(self.sums)})"


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column of a view as a field of Looker Studio.

    Attributes:
        name: The column.
        label: What users read.
        type: Looker Studio's name of the type.
        is_metric: Whether it is summed (aggregation Sum); if not, it is a dimension.
        format: How a metric is shown.
        description: The column's own.
    """

    name: str
    label: str
    type: str
    is_metric: bool
    format: Format
    description: str


_LABELS: Mapping[str, str] = {
    "occurred_on": "Event date", "send_on": "Send date", "is_final": "Is final", "data_through": "Data through (UTC)",
    "events": "All events", "recipients": "Recipients (attempted)", "text_message_roi": "Text message ROI",
}  # fmt: skip
_TYPES: Mapping[LogicalType, str] = {
    LogicalType.DATE: "Date", LogicalType.TIMESTAMP: "Date & Time", LogicalType.BOOLEAN: "Boolean",
    LogicalType.INTEGER: "Number", LogicalType.NUMERIC: "Number", LogicalType.FLOAT: "Number",
}  # fmt: skip
_FORMATS: Mapping[Unit, Format] = {Unit.MONEY: Format.MONEY, Unit.SHARE: Format.PERCENT}
_STANDS_FOR = {
    "sends_opened": "sends that were opened", "sends_opened_excl_machine": "sends that were opened",
    "sends_clicked": "sends that were clicked", "sends_clicked_excl_bot": "sends that were clicked",
    "sends_converted": "sends that led to a conversion", "unsubscribes": "acts of unsubscribing",
}  # fmt: skip


def label(name: str) -> str:
    """What people read for a column or ratio: its name in words."""
    if name in _LABELS:
        return _LABELS[name]
    words = [{"id": "ID", "utm": "UTM", "excl": "excl."}.get(word, word) for word in name.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _ratio(rate: Statistic) -> Ratio:
    people = [ADDITIVE_TWINS[name] for name in (rate.numerator, rate.denominator) if name in ADDITIVE_TWINS]
    acts = " and ".join(dict.fromkeys(_STANDS_FOR[name] for name in people))
    note = f" It counts {acts}, not people, so that it is right for any rows." if acts else ""
    return Ratio(
        name=rate.name, numerator=additive(rate.numerator), denominator=additive(rate.denominator),
        label=label(rate.name), format=_FORMATS.get(rate.unit, Format.NUMBER),
        sentence=f"{rate.meaning}{note}", sums=sums_of(rate),
    )  # fmt: skip


_RATES = {statistic.name: statistic for statistic in STATISTICS.values() if statistic.kind is Kind.RATE}
RATIOS: Mapping[str, Ratio] = {name: _ratio(rate) for name, rate in _RATES.items()}
# Complaints follow a message soon, and mailbox providers measure them by the day as well.
_BY_DOMAIN = ("spam_complaint_rate",)


def fields_of(view: str) -> tuple[Field, ...]:
    """The fields of a view, in the order of its columns.

    Raises:
        UnknownNameError: Looker Studio does not read that view.
    """
    if view not in LOOKER_VIEWS:
        raise UnknownNameError("view for Looker Studio", view, LOOKER_VIEWS)
    report = report_of(view)
    statistics = report.statistics if report else ()
    additive_statistics = {statistic.name: statistic for statistic in statistics if statistic.is_additive}
    return tuple(_field(column, additive_statistics.get(column.name)) for column in LOOKER_VIEWS[view].columns)


def ratios_of(view: str) -> tuple[Ratio, ...]:
    """The ratios that mean something over a view's rows.

    By send date and over all time, numerator and denominator are about the same sends. By event date this is so only if
    both count the same events: a bounce is one of the attempts of its day, but an open may belong to a delivery of a
    different day.

    Raises:
        UnknownNameError: Looker Studio does not read that view.
    """
    names = {field.name for field in fields_of(view) if field.is_metric}
    report = report_of(view)
    has_rates = report is not None and any(statistic.kind is Kind.RATE for statistic in report.statistics)
    by_domain = _BY_DOMAIN if "email_domain" in LOOKER_VIEWS[view].column_names else ()
    return tuple(
        ratio
        for name, ratio in RATIOS.items()
        if {ratio.numerator, ratio.denominator} <= names
        and (has_rates or _is_of_the_same_events(_RATES[name]) or name in by_domain)
    )


def _is_of_the_same_events(rate: Statistic) -> bool:
    above, below = STATISTICS[rate.numerator], STATISTICS[rate.denominator]
    return bool(above.facts) and set(above.facts) <= set(below.facts) and Kind.PEOPLE not in (above.kind, below.kind)


def _field(column: Column, statistic: Statistic | None) -> Field:
    return Field(
        name=column.name, label=label(column.name), type=_TYPES.get(column.type, "Text"),
        is_metric=statistic is not None,
        format=_FORMATS.get(statistic.unit, Format.NUMBER) if statistic else Format.NUMBER,
        description=column.description,
    )  # fmt: skip
