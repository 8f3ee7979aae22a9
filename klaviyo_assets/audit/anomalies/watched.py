"""The numbers of an account's day that are watched, and the value of each on one day.

Here: which numbers, from which columns of the report, and how much they vary. Not here: when one is unusual
(`judging.py`).
"""

from dataclasses import dataclass
from datetime import date

from klaviyo_assets.model.statistics import STATISTICS, Unit


@dataclass(frozen=True, kw_only=True)
class WatchedNumber:
    """A number that is checked every day.

    Attributes:
        statistic: Its name, from the catalogue of statistics if that has it.
        label: For people, in front of "on Tue 2026-11-17".
        other_label: The label if the account's conversions are not orders.
        sums: The report's columns that are added.
        less: The columns that are subtracted.
        per: For a share: the column of the denominator. Shares count emails only.
        of: For a share: the denominator in words.
        spread: The least relative difference between days that is assumed, whatever the weeks before say.
        noise: The variance of a count over its mean: more than 1 if one person's act can count several times.
        step: The smallest difference of a share that matters.
        more: Whether more than usual is an anomaly.
        fewer: Whether less than usual is an anomaly.
        is_shown_inverted: Whether failures are counted, while the share of successes is shown.
    """

    statistic: str
    label: str
    sums: tuple[str, ...]
    less: tuple[str, ...] = ()
    per: str = ""
    of: str = ""
    spread: float = 0.1
    noise: float = 1.0
    step: float = 0.0
    more: bool = True
    fewer: bool = True
    is_shown_inverted: bool = False
    other_label: str = ""

    @property
    def is_money(self) -> bool:
        """Whether it is an amount."""
        return not self.per and all(STATISTICS[name].unit is Unit.MONEY for name in self.sums)

    @property
    def is_share(self) -> bool:
        """Whether it is one count over another."""
        return bool(self.per)

    @property
    def columns(self) -> tuple[str, ...]:
        """The report's columns that it is computed from."""
        return (*self.sums, *self.less, *((self.per,) if self.per else ()))

    def as_shown(self, share: float) -> float:
        """The share that people see."""
        return 1 - share if self.is_shown_inverted else share


WATCHED: tuple[WatchedNumber, ...] = (
    WatchedNumber(statistic="recipients", label="Messages sent", sums=("recipients",)),
    WatchedNumber(statistic="delivery_rate", label="Delivery", sums=("recipients",), less=("delivered",),
                  per="recipients", of="e-mails sent", spread=0.15, step=0.02, fewer=False, is_shown_inverted=True),
    WatchedNumber(statistic="open_rate_excl_machine", label="Opens without machine opens", sums=("opens_excl_machine",),
                  per="delivered", of="delivered e-mails", spread=0.08, noise=2.0, step=0.03),
    WatchedNumber(statistic="click_rate_excl_bot", label="Clicks without bot clicks", sums=("clicks_excl_bot",),
                  per="delivered", of="delivered e-mails", spread=0.1, noise=2.0, step=0.003),
    WatchedNumber(statistic="unsubscribe_rate", label="Unsubscribes", sums=("unsubscribes",), per="delivered",
                  of="delivered e-mails", spread=0.15, step=0.001, fewer=False),
    WatchedNumber(statistic="spam_complaint_rate", label="Spam complaints", sums=("spam_complaints",), per="delivered",
                  of="delivered e-mails", spread=0.15, step=0.0003, fewer=False),
    WatchedNumber(statistic="conversion_value", label="Attributed revenue", sums=("conversion_value",), noise=2.0,
                  other_label="Attributed value"),
    WatchedNumber(statistic="orders", label="Orders", sums=("conversions", "conversions_unattributed"),
                  other_label="Conversions"),
)  # fmt: skip
COLUMNS: tuple[str, ...] = tuple(sorted({column for number in WATCHED for column in number.columns}))


@dataclass(frozen=True)
class Point:
    """A day's count or amount; `base`: the denominator of a share; `makers`: the number of acts behind an amount."""

    day: date
    count: float
    base: float = 1.0
    makers: float = 0.0

    @property
    def value(self) -> float:
        """The number that is compared."""
        return self.count / self.base if self.base else 0.0
