"""When a number is unusual, and the sentence that says so.

Here: `Anomaly`, and the judgment on one number of one day. Not here: which numbers are watched (`watched.py`), and how
they are read (`__init__.py`).

A number is unusual if three conditions hold. It is far from the median of its weekday, measured by how much such days
differ (robustly: past oddities do not widen it) and by the randomness of small counts. It is outside the range that the
weekday had before; for counts by a clear margin, because nobody mails on a fixed plan. If it is higher than usual, it
is also outside the range of the other weekdays, so that a campaign on a new weekday is not an alarm. Shares are only
compared between days with similar numbers of emails in the denominator.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from statistics import median

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.anomalies.watched import Point, WatchedNumber

PERCENT = "%"
FEWEST_WEEKS = 4
# In standard deviations. A shop with a regular calendar has an alarm on fewer than one day in a thousand, a shop that
# mails on random days on one in a hundred (the tests measure it).
THRESHOLD = 4.0
# With fewer emails than this, a share means nothing.
FEWEST_EMAILS = 200
# A day's shares are compared with days that had at most this many times more or fewer emails.
COMPARABLE = 4.0
# A count (not a share) is unusual only if it is this many times above or below everything before.
CLEARLY = 1.5
# An absence is an alarm if there were never fewer than this, and usually twice as many.
FEWEST_MISSED = 5
# What lasts for several days is still news on the second day: the other weekdays of the last week do not count.
_RECENT = timedelta(days=7)
# This fraction of the other weekdays' shares may be farther out.
_TOLERATED = 0.05
_MAD_TO_DEVIATION = 1.4826
# The variance of the median of n numbers is this many times their variance, divided by n.
_OF_MEDIAN = math.pi / 2


@dataclass(frozen=True)
class Anomaly:
    """A number of an account's day that differs from the same weekday before.

    Attributes:
        account: Name of the account.
        day: The day, in the account's time zone.
        statistic: Name of the number: a count, an amount, or a share from 0 to 1.
        value: What it was.
        expected: The median of the weekday.
        low: The usual minimum of the weekday; with eight weeks or more, the second lowest value.
        high: The usual maximum, likewise.
        sentence: All of this in words.
        history: The weekday's values in the weeks before, oldest first.
        label: The number's name for people.
        unit: The unit of the value: a currency, `%` for a share, or else empty.
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


def anomaly_of(number: WatchedNumber, points: Mapping[date, Point], account: Account, day: date) -> Anomaly | None:
    """What is unusual about a number of a day, if anything is.

    Args:
        number: The number.
        points: Its values by day: the day to judge and the weeks before.
        account: The account.
        day: The day to judge.
    """
    point = points.get(day)
    if point is None:
        return None
    earlier_points = [points[on] for on in sorted(points) if on < day and _is_comparable(number, points[on], point)]
    peers = [earlier for earlier in earlier_points if earlier.day.weekday() == day.weekday()]
    other_days = [earlier for earlier in earlier_points if earlier.day.weekday() != day.weekday()]
    if len(peers) < FEWEST_WEEKS or (number.is_share and point.base < FEWEST_EMAILS):
        return None
    judge = _Judge(number, point, peers, other_days)
    return judge.anomaly(account) if judge.is_unusual else None


def _is_comparable(number: WatchedNumber, earlier: Point, point: Point) -> bool:
    if not number.is_share:
        return True
    return earlier.base > 0 and point.base / COMPARABLE <= earlier.base <= point.base * COMPARABLE


@dataclass(frozen=True)
class _Judge:
    """One number of one day against its weekday (`peers`) and the other days before."""

    number: WatchedNumber
    point: Point
    peers: Sequence[Point]
    other_days: Sequence[Point]

    @property
    def is_unusual(self) -> bool:
        if self._is_missed:
            return True
        is_more = self.point.value > self.expected
        if not (self.number.more if is_more else self.number.fewer):
            return False
        if abs(self.point.value - self.expected) < self.number.step:
            return False
        return abs(self._distance) >= THRESHOLD and self._is_outside(is_more=is_more)

    @cached_property
    def unit(self) -> float:
        """The unit of counting: 1, or the usual value of one order, so that chance in an amount can be estimated."""
        all_points = (*self.peers, *self.other_days)
        for points in (all_points, (self.point,)):
            makers, amount = sum(point.makers for point in points), sum(point.count for point in points)
            if self.number.is_money and makers and amount > 0:
                return amount / makers
        return 1.0

    @cached_property
    def expected(self) -> float:
        return median(peer.value for peer in self.peers)

    @property
    def _is_missed(self) -> bool:
        """Whether something is absent that every such day had."""
        counts = [peer.count / self.unit for peer in self.peers]
        is_usual = min(counts) >= FEWEST_MISSED and median(counts) >= 2 * FEWEST_MISSED
        return not self.number.is_share and self.point.count == 0 and is_usual

    @property
    def _distance(self) -> float:
        """The distance from the expected value, in standard deviations."""
        mean = self._rate * self.point.base / self.unit
        variance = self.number.noise + mean * self._spread**2
        uncertainty = 1 + _OF_MEDIAN / len(self.peers)
        return (_evened(self.point.count / self.unit) - _evened(mean)) / math.sqrt(variance * uncertainty)

    @property
    def _rate(self) -> float:
        """The expected number per email; for rare things, estimated from all days except the highest."""
        if not self.number.is_share or self.expected * self.point.base >= FEWEST_MISSED:
            return self.expected
        usual = sorted((*self.peers, *self.other_days), key=lambda point: point.value)[:-1]
        return sum(point.count for point in usual) / sum(point.base for point in usual)

    @cached_property
    def _spread(self) -> float:
        """How much such days differ, relatively."""
        by_weekday: dict[int, list[Point]] = {}
        for point in (*self.peers, *self.other_days):
            by_weekday.setdefault(point.day.weekday(), []).append(point)
        of_peers = self._residuals(self.peers)
        of_all = [
            residual for points in by_weekday.values() if len(points) >= FEWEST_WEEKS
            for residual in self._residuals(points)
        ]  # fmt: skip
        # A few numbers determine it poorly. All weekdays together determine it better, but each weekday differs a
        # little.
        spread = math.hypot(_deviation(of_peers), _deviation(of_all or of_peers)) / math.sqrt(2)
        return max(self.number.spread, spread)

    def _residuals(self, points: Sequence[Point]) -> list[float]:
        rate = median(point.value for point in points)
        means = [rate * point.base / self.unit for point in points]
        return [
            (_evened(point.count / self.unit) - _evened(mean)) / math.sqrt(max(mean, 1.0))
            for point, mean in zip(points, means, strict=True)
        ]

    def _is_outside(self, *, is_more: bool) -> bool:
        low, high = self._usual
        if not is_more:
            return self.point.value < low / self._margin
        return self.point.value > self._margin * max(high, self._most_of_others)

    @property
    def _margin(self) -> float:
        """Mailings follow no fixed plan: a count is unusual only if it is well outside the earlier range."""
        return 1.0 if self.number.is_share else CLEARLY

    @property
    def _most_of_others(self) -> float:
        """The maximum of the other weekdays."""
        if not self.number.is_share:
            return max((point.value for point in self.other_days), default=0.0)
        older = sorted(point.value for point in self.other_days if point.day < self.point.day - _RECENT)
        return older[-1 - int(len(older) * _TOLERATED)] if older else 0.0

    @cached_property
    def _usual(self) -> tuple[float, float]:
        """The usual range of the weekday; with eight weeks or more, without the lowest and the highest value."""
        values = sorted(peer.value for peer in self.peers)
        left_out = len(values) // 8
        return values[left_out], values[-1 - left_out]

    def anomaly(self, account: Account) -> Anomaly:
        as_shown = self.number.as_shown
        low, high = sorted(as_shown(bound) for bound in self._usual)
        anomaly = Anomaly(
            account=account.name, day=self.point.day, statistic=self.number.statistic,
            value=as_shown(self.point.value), expected=as_shown(self.expected), low=low, high=high,
            label=_label(self.number, account),
            unit=account.currency if self.number.is_money else PERCENT if self.number.is_share else "",
            sentence="", history=tuple((peer.day, as_shown(peer.value)) for peer in self.peers),
        )  # fmt: skip
        return replace(anomaly, sentence=_sentence(anomaly, self.number.of, is_missed=self._is_missed))


def _evened(count: float) -> float:
    """A count on a scale where its random variance is 1, whatever the mean is (Anscombe)."""
    return 2 * math.sqrt(max(count, 0.0) + 3 / 8)


def _deviation(residuals: Sequence[float]) -> float:
    """The standard deviation that the middle half of the numbers suggests."""
    if not residuals:
        return 0.0
    middle = median(residuals)
    return _MAD_TO_DEVIATION * median(abs(residual - middle) for residual in residuals)


def _label(number: WatchedNumber, account: Account) -> str:
    """The number's name for people; an account's conversions need not be orders."""
    is_of_orders = "order" in account.conversion_metric.lower()
    return number.label if is_of_orders else number.other_label or number.label


def _sentence(anomaly: Anomaly, whole: str, *, is_missed: bool) -> str:
    value, low, high = _figures((anomaly.value, anomaly.low, anomaly.high), anomaly.unit)
    tail = f" {anomaly.unit}" if anomaly.unit else ""
    usual = f"usually {low}{tail}" if low == high else f"usually {low} to {high}{tail}"
    on, weekday = f"{anomaly.day:%a} {anomaly.day}", f"{anomaly.weekday}s"
    if is_missed:
        history = f"each of the {len(anomaly.history)} before had some"
        return f"{anomaly.label} on {on}: none, {usual} on {weekday} ({history})"
    return f"{anomaly.label} on {on}: {value}{tail}{f' of {whole}' if whole else ''}, {usual} on {weekday}"


def _figures(values: tuple[float, float, float], unit: str) -> list[str]:
    """Numbers for people, with enough digits to distinguish them."""
    if unit != PERCENT:
        return [f"{value:,.{2 if unit else 0}f}" for value in values]
    smallest = min((100 * value for value in values if value), default=100.0)
    digits = 0 if smallest >= 10 else 1 if smallest >= 1 else 2 if smallest >= 0.01 else 3
    while digits < 3 and round(100 * values[0], digits) in {round(100 * bound, digits) for bound in values[1:]}:
        digits += 1
    return [f"{100 * value:.{digits}f}" for value in values]
