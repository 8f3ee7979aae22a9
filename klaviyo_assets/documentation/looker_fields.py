"""The field list of docs/looker_studio.md, written from the views and ratios themselves."""

from collections.abc import Iterable

from klaviyo_assets.reports.looker.fields import RATIOS, Field, Ratio, fields_of, ratios_of
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, TITLES, report_of
from klaviyo_assets.text import markdown_table


def field_list() -> str:
    """Markdown: the data sources, the ratios with their formulas, the metrics and the dimensions."""
    parts = {"Data sources": _sources(), "Ratios": _ratios(), "Metrics": _metrics(), "Dimensions": _dimensions()}
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items())


def _sources() -> str:
    rows = (
        (f"`{name}`", TITLES[name], f"`{_date_of(name)}`" if _date_of(name) else "", view.grain)
        for name, view in LOOKER_VIEWS.items()
    )
    return markdown_table(("data source and alias", "title", "date range dimension", "a row is"), rows)


def _date_of(view: str) -> str:
    report = report_of(view)
    return (report.day_column or "") if report else ""


def _ratios() -> str:
    rows = ((f"`{ratio.name}`", f"`{ratio.formula}`", ratio.format, _where(ratio), ratio.sentence)
            for ratio in RATIOS.values())  # fmt: skip
    return markdown_table(("calculated field", "formula", "type", "in", "meaning"), rows)


def _where(ratio: Ratio) -> str:
    return _view_list(name for name in LOOKER_VIEWS if ratio in ratios_of(name))


def _metrics() -> str:
    rows = ((f"`{field.name}`", field.format, _view_list(views), field.description)
            for field, views in _fields(is_metric=True))  # fmt: skip
    return markdown_table(("field (aggregation: Sum)", "type", "in", "meaning"), rows)


def _dimensions() -> str:
    rows = ((f"`{field.name}`", field.type, _view_list(views), field.description)
            for field, views in _fields(is_metric=False))  # fmt: skip
    return markdown_table(("field", "type", "in", "meaning"), rows)


def _fields(*, is_metric: bool) -> list[tuple[Field, list[str]]]:
    """Each field once, with the views that have it; one name may mean different things in different views."""
    views_of: dict[Field, list[str]] = {}
    for name in LOOKER_VIEWS:
        for field in fields_of(name):
            if field.is_metric is is_metric:
                views_of.setdefault(field, []).append(name)
    first = {field.name: place for place, field in reversed(list(enumerate(views_of)))}
    return sorted(views_of.items(), key=lambda item: first[item[0].name])


def _view_list(views: Iterable[str]) -> str:
    """Views in words: what has all its date bases is named without them."""
    kinds_and_bases = [_kind(view) for view in views]
    bases = {kind: tuple(basis for subject, basis in kinds_and_bases if subject == kind) for kind in _BASES}
    by_bases: dict[tuple[str, ...], list[str]] = {}
    for kind, own_bases in bases.items():
        if own_bases:
            by_bases.setdefault(() if own_bases == _BASES[kind] else own_bases, []).append(kind)
    return "; ".join(", ".join(kinds) + (f" ({', '.join(own)})" if own else "") for own, kinds in by_bases.items())


def _kind(view: str) -> tuple[str, str]:
    """What a view is about, and its date basis: the two parts of its title."""
    for words in (" by event date", " by send date", " over all time"):
        if TITLES[view].endswith(words):
            return TITLES[view].removesuffix(words).lower(), words.split(maxsplit=1)[1]
    return TITLES[view].lower(), ""


_BASES: dict[str, tuple[str, ...]] = {}
for _subject, _basis in map(_kind, LOOKER_VIEWS):
    _BASES[_subject] = (*_BASES.get(_subject, ()), _basis)
