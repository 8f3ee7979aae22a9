"""The work that a run left undone or a later run did: assets, with days (or Mondays) if they have any.

Here: union, difference and words. Not here: reading work from runs (`defs/run_history.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

from klaviyo_assets.stages.keys import parts_of

# First and last day, both included, as YYYY-MM-DD.
Span = tuple[str, str]
# Work without days: an account's whole table, or what belongs to no account.
WHOLE: Span = ("", "")
# By asset, such as `bigquery/event`.
Work = Mapping[str, tuple[Span, ...]]
_DAY = timedelta(days=1)


def union_of(work: Work, other_work: Work) -> dict[str, tuple[Span, ...]]:
    """Everything in either of the two."""
    return {asset: _union((*work.get(asset, ()), *other_work.get(asset, ()))) for asset in sorted({*work, *other_work})}


def without(work: Work, done_work: Work) -> dict[str, tuple[Span, ...]]:
    """The work that remains when `done_work` is done; finished assets are not in it."""
    rest = {asset: _difference(spans, done_work.get(asset, ())) for asset, spans in work.items()}
    return {asset: spans for asset, spans in rest.items() if spans}


def work_of(partitions: Iterable[tuple[str, str]]) -> dict[str, tuple[Span, ...]]:
    """Assets and partition keys of one account as work."""
    spans: dict[str, list[Span]] = {}
    for asset, key in partitions:
        _, day = parts_of(key)
        spans.setdefault(asset, []).append((day, day) if day else WHOLE)
    return {asset: _union(listed) for asset, listed in sorted(spans.items())}


def days_in(spans: Iterable[Span]) -> list[str]:
    """Every day of some spans; an empty text for work without days."""
    return [
        (date.fromisoformat(first) + ahead * _DAY).isoformat() if first else ""
        for first, last in spans
        for ahead in range((date.fromisoformat(last) - date.fromisoformat(first)).days + 1 if first else 1)
    ]


def sentences(work: Work) -> list[str]:
    """Work in words: stage by stage, the tables and the exact days."""
    stages: dict[tuple[str, tuple[Span, ...]], list[str]] = {}
    for asset, spans in work.items():
        stage, _, table = asset.partition("/")
        stages.setdefault((stage, tuple(spans)), []).append(table)
    return [
        f"{stage}: {', '.join(tables)}".removesuffix(": ") + _days_text(spans)
        for (stage, spans), tables in stages.items()
    ]  # fmt: skip


def _days_text(spans: Iterable[Span]) -> str:
    days = ", ".join(first if first == last else f"{first} to {last}" for first, last in spans if first)
    return f" of {days}" if days else ""


def days_of(work: Work) -> Span | None:
    """The first and the last day of some work; None if it has no days."""
    spans = [span for listed in work.values() for span in listed if span != WHOLE]
    return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None


def _union(spans: Iterable[Span]) -> tuple[Span, ...]:
    unique_spans = sorted(set(spans))
    merged_spans = [WHOLE] if WHOLE in unique_spans else []
    for first, last in (span for span in unique_spans if span != WHOLE):
        if merged_spans and merged_spans[-1] != WHOLE and first <= _day_after(merged_spans[-1][1]):
            merged_spans[-1] = (merged_spans[-1][0], max(merged_spans[-1][1], last))
        else:
            merged_spans.append((first, last))
    return tuple(merged_spans)


def _difference(spans: Iterable[Span], done_spans: Iterable[Span]) -> tuple[Span, ...]:
    rest = list(spans)
    for span_done in done_spans:
        rest = [part for span in rest for part in _minus(span, span_done)]
    return tuple(rest)


def _minus(span: Span, span_done: Span) -> Iterable[Span]:
    if WHOLE in {span, span_done} or span_done[1] < span[0] or span[1] < span_done[0]:
        return () if span == span_done else (span,)
    parts = ((span[0], _day_before(span_done[0])), (_day_after(span_done[1]), span[1]))
    return tuple(part for part in parts if part[0] <= part[1])


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + _DAY).isoformat()


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - _DAY).isoformat()
