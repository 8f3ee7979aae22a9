"""What a run was to do, as far as it matters to whether another one made up for it: assets, and days of daily ones.

Here: adding such works up and taking them from each other. Not here: reading them from runs (`runs.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

# First and last day, both included, as YYYY-MM-DD.
Span = tuple[str, str]
# What is not cut into days: an account's whole table, or what belongs to no account.
WHOLE: Span = ("", "")
# By asset, such as `bigquery/event`.
Work = Mapping[str, tuple[Span, ...]]
_DAY = timedelta(days=1)


def joined(one: Work, other: Work) -> dict[str, tuple[Span, ...]]:
    """Everything that is in either."""
    return {asset: _union((*one.get(asset, ()), *other.get(asset, ()))) for asset in sorted({*one, *other})}


def without(work: Work, done: Work) -> dict[str, tuple[Span, ...]]:
    """What is left of a work when another one is done; assets of which nothing is left are gone."""
    left = {asset: _difference(spans, done.get(asset, ())) for asset, spans in work.items()}
    return {asset: spans for asset, spans in left.items() if spans}


def days_of(work: Work) -> Span | None:
    """The first and the last day of a work; None where none of it is cut into days."""
    spans = [span for listed in work.values() for span in listed if span != WHOLE]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _union(spans: Iterable[Span]) -> tuple[Span, ...]:
    found = sorted(set(spans))
    merged = [WHOLE] if WHOLE in found else []
    for first, last in (span for span in found if span != WHOLE):
        if merged and merged[-1] != WHOLE and first <= _next(merged[-1][1]):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _difference(spans: Iterable[Span], done: Iterable[Span]) -> tuple[Span, ...]:
    left = list(spans)
    for taken in done:
        left = [part for span in left for part in _minus(span, taken)]
    return tuple(left)


def _minus(span: Span, taken: Span) -> Iterable[Span]:
    if WHOLE in {span, taken} or taken[1] < span[0] or span[1] < taken[0]:
        return () if span == taken else (span,)
    parts = ((span[0], _before(taken[0])), (_next(taken[1]), span[1]))
    return tuple(part for part in parts if part[0] <= part[1])


def _next(day: str) -> str:
    return (date.fromisoformat(day) + _DAY).isoformat()


def _before(day: str) -> str:
    return (date.fromisoformat(day) - _DAY).isoformat()
