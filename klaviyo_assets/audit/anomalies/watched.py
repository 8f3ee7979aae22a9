"""The numbers of an account's day that are watched, and what one day has of each.

Here: which numbers, made of which columns of the report, and how they vary. Not here: when one is unusual
(`judging.py`).
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, kw_only=True)
class WatchedNumber:
    """A number that is looked at every day.

    Attributes:
        statistic: Its name, as in the catalogue of statistics where that has it.
        label: For people, in front of "on Tue 2026-11-17".
        other_label: The same where the account's conversions are no orders.
        sums: The report's columns that are added up.
        less: Columns that are taken off.
        per: Of a share: the column below the line. Shares are of e-mails alone.
        of: Of a share: what it is a share of, for people.
        spread: Days differ by at least so much, relatively, whatever the weeks before say.
        noise: The variance of a count over its mean: more than 1 where one person's act counts several times.
        step: A share that differs by less is nobody's concern.
        more: Whether more than usual is looked for.
        fewer: Whether less than usual is looked for.
        is_shown_inverted: Counted are those that failed, shown is the share of the others.
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
        return self.sums == ("conversion_value",)

    @property
    def is_share(self) -> bool:
        """Whether it is one count over another."""
        return bool(self.per)

    @property
    def columns(self) -> tuple[str, ...]:
        """The report's columns it is made of."""
        return (*self.sums, *self.less, *((self.per,) if self.per else ()))

    def as_shown(self, share: float) -> float:
        """As it is shown to people."""
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
    """A day's count or amount; for a share, what it is to be divided by; for an amount, by how many it was made."""

    day: date
    count: float
    base: float = 1.0
    makers: float = 0.0

    @property
    def value(self) -> float:
        """The number that is compared."""
        return self.count / self.base if self.base else 0.0
