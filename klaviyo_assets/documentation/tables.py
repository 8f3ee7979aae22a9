"""Table specs as the reference page `docs/tables.md`.

Here: the text and its order, derived from nothing but specs, so that the page cannot say what the code does not do. Not
here: prose about the product. Refresh the page with `python -m klaviyo_assets.documentation.tables > docs/tables.md`.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence

from klaviyo_assets.model.arrow import is_required
from klaviyo_assets.model.spec import Column, TableSpec

REFRESH_COMMAND = "python -m klaviyo_assets.documentation.tables > docs/tables.md"
_INTRODUCTION = f"""# Tables

Every table of the catalogue as it stands in the archive and in BigQuery. Written by `{REFRESH_COMMAND}` from the \
specs in `klaviyo_assets/tables/`; edit those.

- `TIMESTAMP` is an instant in UTC, `DATE` a calendar day of the account's time zone, `NUMERIC` an exact decimal.
- `JSON` is JSON text in a `STRING` column.
- **required** columns are never null; the key is unique. A row that breaks a rule goes to `quarantine`.
- **personal** columns hold what the account's `pii` setting says: a keyed hash (`hash`, the default), the value \
(`keep`) or null (`drop`).
- *From* is the column Fivetran writes, with the older names read where it is missing; no entry: the mapping \
computes it.
"""


def tables_document(
    specs: Sequence[TableSpec], reports: Sequence[TableSpec] = (), views: Sequence[TableSpec] = ()
) -> str:
    """The whole page: what the types mean, a list of tables, and a section for each table, report and view.

    Args:
        specs: Tables, in the order they shall appear.
        reports: Report tables, in the order they shall appear.
        views: Views, in the order they shall appear.

    Returns:
        Markdown that ends in one newline; the same specs give the same text.
    """
    parts = [_INTRODUCTION, _contents(specs)]
    parts += [_section(spec) for spec in specs]
    if reports:
        parts += ["# Reports\n", _contents(reports), *(_section(spec) for spec in reports)]
    if views:
        parts += ["# Views\n", _contents(views), *(_section(spec, is_view=True) for spec in views)]
    return "\n".join(parts)


def _contents(specs: Iterable[TableSpec]) -> str:
    rows = (f"| [`{spec.name}`](#{spec.name}) | {_cell(spec.grain)} |" for spec in specs)
    return "\n".join(("| table | a row is |", "|---|---|", *rows)) + "\n"


def _section(spec: TableSpec, *, is_view: bool = False) -> str:
    facts = [f"Grain: {spec.grain}"] if is_view else _facts(spec)
    lines = [f"## {spec.name}", "", spec.description, "", *(f"- {line}" for line in facts), ""]
    lines += ["| column | type | | from | meaning |", "|---|---|---|---|---|"]
    lines += [_row(spec, column) for column in spec.columns]
    return "\n".join(lines) + "\n"


def _facts(spec: TableSpec) -> Iterator[str]:
    yield f"Grain: {spec.grain}"
    if spec.key:
        yield f"Key: {_names(spec.key)}"
    if spec.is_daily:
        yield f"Partitioned by account and day (`{spec.day_column}`)"
    elif spec.day_column:
        yield f"Partitioned by account; in BigQuery by `{spec.day_column}`"
    else:
        yield "Partitioned by account"
    if spec.cluster:
        yield f"Clustered by {_names(spec.cluster)}"
    if spec.total_order != spec.key:
        yield f"Sorted by {_names(spec.total_order)}"
    if spec.raw:
        yield f"Source: Fivetran's table `{spec.name}` ([documentation]({spec.source}))"
    else:
        yield "Source: computed from other tables"
    if spec.custom_fields:
        fields = spec.custom_fields
        yield (
            f"Custom fields: columns `{fields.prefix}*`, or packed in `{fields.packed}`; those not listed below are "
            "in `properties`"
        )
    if spec.personal_properties:
        yield f"Personal in `properties`: {_names(spec.personal_properties)}"


def _row(spec: TableSpec, column: Column) -> str:
    marks = [word for word, holds in (("key", column.name in spec.key), ("required", is_required(spec, column)),
                                      ("personal", column.personal)) if holds]  # fmt: skip
    rules = "".join(f" Rule: {rule.description}." for rule in column.constraints)
    cells = (f"`{column.name}`", str(column.type), ", ".join(marks), _origin(spec, column), column.description + rules)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _origin(spec: TableSpec, column: Column) -> str:
    if column.raw is None:
        return ""
    older = [item.older_names for item in spec.raw if item.name == column.raw]
    older += [item.older_names for item in spec.properties if f"property_{item.name}" == column.raw]
    return _names((column.raw, *(name for names in older for name in names)))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    """Write the page of the whole catalogue to standard output."""
    # Tables import schemas (a mapping needs Arrow types): only this program looks the other way.
    from klaviyo_assets.reports import REPORTS
    from klaviyo_assets.reports.views import VIEWS
    from klaviyo_assets.tables import TABLES

    sys.stdout.write(tables_document(tuple(TABLES.values()), tuple(REPORTS.values()), tuple(VIEWS.values())))


if __name__ == "__main__":
    main()
