"""When a number is unusual, and the sentence that says so.

Here: `Anomaly`, and the judgment over one number of one day. Not here: which numbers are looked at (`watched.py`), and
where they are read (`__init__.py`).

A number is unusual when these hold. It is far from the median of its weekday, measured in the spread that such days
have (robust: what was odd in the past does not widen it) and in the chance that small counts have in any case. It lies
outside of what the weekday had before; counts by a clear margin, for mailings come as somebody likes. And for more than
usual: also outside of what the other weekdays had, so that a campaign on another day than always is no alarm. Shares
are only compared between days with about as many e-mails below the line.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from statistics import median

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies.watched import Point, Watched

PERCENT = "%"
FEWEST_WEEKS = 4
# In standard deviations. A shop with a regular calendar then has an alarm on less than one day in a thousand, one that
# mails on any day it likes on one in a hundred (the tests measure it).
THRESHOLD = 4.0
# Below so many e-mails a share says nothing.
FEWEST_EMAILS = 200
# Shares are compared with those of days that had at most so many times more or fewer e-mails.
COMPARABLE = 4.0
# What is counted, not shared, is odd only by so many times more than ever, or fewer.
CLEARLY = 1.5
# An absence is an alarm where there were never fewer than this, and usually twice as many.
FEWEST_MISSED = 5
# What lasts for days is still news on the second: other weekdays' last week is no yardstick.
_RECENT = timedelta(days=7)
# Of other weekdays' shares so many in a hundred may be farther out.
_TOLERATED = 0.05
_MAD_TO_DEVIATION = 1.4826
# The variance of a median of n numbers is so many times theirs, over n.
_OF_MEDIAN = math.pi / 2


@dataclass(frozen=True)
class Anomaly:
    """A number of an account's day that is unlike those of the same weekday before.

    Attributes:
        account: Name of the account.
        day: The day, in the account's time zone.
        statistic: Name of the number: a count, an amount, or a share from 0 to 1.
        value: What it was.
        expected: The median of the weekday.
        low: What the weekday usually has at least; of eight weeks and more, the lowest but one.
        high: What it usually has at most.
        sentence: All of it for people.
        history: The weekday's values in the weeks before, oldest first.
        label: What the number is called for people.
        unit: Of the value: a currency, `%` for a share, else empty.
    """

    account: str
    day: date
    statistic: str
    value: float
    expected: float
    low: float
    high: float
    sentence: str
    history: tuple[tuple[date, float], ...]
    label: str
    unit: str

    @property
    def weekday(self) -> str:
        """Such as Tuesday."""
        return f"{self.day:%A}"


def judged(watched: Watched, points: Mapping[date, Point], account: Account, day: date) -> Anomaly | None:
    """What is unusual about a number of a day, if anything is.

    Args:
        watched: The number.
        points: Its value by day: the day's, and those of the weeks before.
        account: Whose it is.
        day: The day to judge.
    """
    point = points.get(day)
    if point is None:
        return None
    before = [points[on] for on in sorted(points) if on < day and _is_comparable(watched, points[on], point)]
    peers = [one for one in before if one.day.weekday() == day.weekday()]
    others = [one for one in before if one.day.weekday() != day.weekday()]
    if len(peers) < FEWEST_WEEKS or (watched.is_share and point.base < FEWEST_EMAILS):
        return None
    judge = _Judge(watched, point, peers, others)
    return judge.anomaly(account) if judge.is_unusual else None


def _is_comparable(watched: Watched, one: Point, other: Point) -> bool:
    if not watched.is_share:
        return True
    return one.base > 0 and other.base / COMPARABLE <= one.base <= other.base * COMPARABLE


@dataclass(frozen=True)
class _Judge:
    """One number of one day against its weekday (`peers`) and the other days before."""

    watched: Watched
    point: Point
    peers: Sequence[Point]
    others: Sequence[Point]

    @property
    def is_unusual(self) -> bool:
        if self._is_missed:
            return True
        more = self.point.value > self.expected
        if not (self.watched.more if more else self.watched.fewer):
            return False
        if abs(self.point.value - self.expected) < self.watched.step:
            return False
        return abs(self._distance) >= THRESHOLD and self._is_outside(more=more)

    @cached_property
    def unit(self) -> float:
        """What is counted: one; of an amount, what one order usually brings, so that the chance in it can be told."""
        before = (*self.peers, *self.others)
        for points in (before, (self.point,)):
            makers, amount = sum(one.makers for one in points), sum(one.count for one in points)
            if self.watched.is_money and makers and amount > 0:
                return amount / makers
        return 1.0

    @cached_property
    def expected(self) -> float:
        return median(peer.value for peer in self.peers)

    @property
    def _is_missed(self) -> bool:
        """None of what every such day had some of."""
        counts = [peer.count / self.unit for peer in self.peers]
        is_usual = min(counts) >= FEWEST_MISSED and median(counts) >= 2 * FEWEST_MISSED
        return not self.watched.is_share and self.point.count == 0 and is_usual

    @property
    def _distance(self) -> float:
        """From what was to be expected, in standard deviations."""
        mean = self._rate * self.point.base / self.unit
        variance = self.watched.noise + mean * self._spread**2
        missing = 1 + _OF_MEDIAN / len(self.peers)
        return (_evened(self.point.count / self.unit) - _evened(mean)) / math.sqrt(variance * missing)

    @property
    def _rate(self) -> float:
        """What is expected per e-mail; of rare things all days together, but for the oddest, say it better."""
        if not self.watched.is_share or self.expected * self.point.base >= FEWEST_MISSED:
            return self.expected
        usual = sorted((*self.peers, *self.others), key=lambda one: one.value)[:-1]
        return sum(one.count for one in usual) / sum(one.base for one in usual)

    @cached_property
    def _spread(self) -> float:
        """By how much such days differ, relatively."""
        by_weekday: dict[int, list[Point]] = {}
        for one in (*self.peers, *self.others):
            by_weekday.setdefault(one.day.weekday(), []).append(one)
        of_peers = self._residuals(self.peers)
        of_all = [
            residual for points in by_weekday.values() if len(points) >= FEWEST_WEEKS
            for residual in self._residuals(points)
        ]  # fmt: skip
        # Of few numbers it is little known; all weekdays together know it better, and each a little differently.
        both = math.hypot(_deviation(of_peers), _deviation(of_all or of_peers)) / math.sqrt(2)
        return max(self.watched.spread, both)

    def _residuals(self, points: Sequence[Point]) -> list[float]:
        rate = median(point.value for point in points)
        means = [rate * point.base / self.unit for point in points]
        return [
            (_evened(point.count / self.unit) - _evened(mean)) / math.sqrt(max(mean, 1.0))
            for point, mean in zip(points, means, strict=True)
        ]

    def _is_outside(self, *, more: bool) -> bool:
        low, high = self._usual
        if not more:
            return self.point.value < low / self._margin
        return self.point.value > self._margin * max(high, self._most_of_others)

    @property
    def _margin(self) -> float:
        """Mailings come as somebody likes: how many there are is odd only well outside of what was."""
        return 1.0 if self.watched.is_share else CLEARLY

    @property
    def _most_of_others(self) -> float:
        """What the other weekdays had at most."""
        if not self.watched.is_share:
            return max((one.value for one in self.others), default=0.0)
        older = sorted(one.value for one in self.others if one.day < self.point.day - _RECENT)
        return older[-1 - int(len(older) * _TOLERATED)] if older else 0.0

    @cached_property
    def _usual(self) -> tuple[float, float]:
        """What the weekday usually had; of eight weeks and more, without the lowest and the highest."""
        values = sorted(peer.value for peer in self.peers)
        left_out = len(values) // 8
        return values[left_out], values[-1 - left_out]

    def anomaly(self, account: Account) -> Anomaly:
        shown = self.watched.shown
        low, high = sorted(shown(bound) for bound in self._usual)
        found = Anomaly(
            account=account.name, day=self.point.day, statistic=self.watched.statistic, value=shown(self.point.value),
            expected=shown(self.expected), low=low, high=high, label=_label(self.watched, account),
            unit=account.currency if self.watched.is_money else PERCENT if self.watched.is_share else "",
            sentence="", history=tuple((peer.day, shown(peer.value)) for peer in self.peers),
        )  # fmt: skip
        return replace(found, sentence=_sentence(found, self.watched.of, is_missed=self._is_missed))


def _evened(count: float) -> float:
    """A count on a scale where chance has the variance 1 whatever the mean is (Anscombe)."""
    return 2 * math.sqrt(max(count, 0.0) + 3 / 8)


def _deviation(residuals: Sequence[float]) -> float:
    """The standard deviation that the middle half of the numbers suggests."""
    if not residuals:
        return 0.0
    middle = median(residuals)
    return _MAD_TO_DEVIATION * median(abs(residual - middle) for residual in residuals)


def _label(watched: Watched, account: Account) -> str:
    """The number's name for people; an account may count something else than orders as its conversions."""
    is_of_orders = "order" in account.conversion_metric.lower()
    return watched.label if is_of_orders else watched.other_label or watched.label


def _sentence(anomaly: Anomaly, of: str, *, is_missed: bool) -> str:
    value, low, high = _figures((anomaly.value, anomaly.low, anomaly.high), anomaly.unit)
    tail = f" {anomaly.unit}" if anomaly.unit else ""
    usual = f"usually {low}{tail}" if low == high else f"usually {low} to {high}{tail}"
    on, weekday = f"{anomaly.day:%a} {anomaly.day}", f"{anomaly.weekday}s"
    if is_missed:
        before = f"each of the {len(anomaly.history)} before had some"
        return f"{anomaly.label} on {on}: none, {usual} on {weekday} ({before})"
    return f"{anomaly.label} on {on}: {value}{tail}{f' of {of}' if of else ''}, {usual} on {weekday}"


def _figures(values: tuple[float, float, float], unit: str) -> list[str]:
    """Numbers for people, with as many digits as tell them apart."""
    if unit != PERCENT:
        return [f"{value:,.{2 if unit else 0}f}" for value in values]
    smallest = min((100 * value for value in values if value), default=100.0)
    digits = 0 if smallest >= 10 else 1 if smallest >= 1 else 2 if smallest >= 0.01 else 3
    while digits < 3 and round(100 * values[0], digits) in {round(100 * bound, digits) for bound in values[1:]}:
        digits += 1
    return [f"{100 * value:.{digits}f}" for value in values]
