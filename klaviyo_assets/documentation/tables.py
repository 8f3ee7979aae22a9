"""Table specs as the reference page docs/tables.md.

Here: the text and its order, derived from nothing but specs, so that the page cannot say what the code does not do. Not
here: prose about the product.
"""

from collections.abc import Iterable, Iterator, Sequence

from klaviyo_assets.documentation.pages import COMMAND
from klaviyo_assets.model.arrow import is_required
from klaviyo_assets.model.spec import Column, TableSpec
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views.spec import ViewSpec
from klaviyo_assets.text import markdown_table

_INTRODUCTION = f"""# Tables

Every table of the archive and of BigQuery, every report and every view. `{COMMAND}` writes this page from the specs \
in `klaviyo_assets/tables/` and `klaviyo_assets/reports/`; edit those.

- `TIMESTAMP` is an instant in UTC, `DATE` a calendar day of the account's time zone, `NUMERIC` an exact decimal.
- `JSON` is JSON text in a `STRING` column.
- **required** columns are never null; the key is unique. A row that breaks a rule goes to `quarantine`.
- **personal** columns hold what the account's `pii` setting says: a keyed hash (`hash`, the default), the value \
(`keep`) or null (`drop`).
- *From* is the column that Fivetran writes, with the older names that are read if it is missing. If it is empty, the \
mapping computes the column.
"""
_QUESTIONS = """## Which table answers ...

Each question leads to a report or a view. `<report>_named` is the report with the names of campaigns, flows and \
messages; `looker_<report>` is what Looker Studio reads: the report with names, but without people and rates, which \
must not be summed.
"""


def tables_document(
    specs: Sequence[TableSpec], reports: Sequence[ReportSpec] = (), views: Sequence[ViewSpec] = ()
) -> str:
    """The whole page: what the types mean, an index by question, and a section for each table, report and view.

    Args:
        specs: Tables, in the order they shall appear.
        reports: Report tables, in the order they shall appear.
        views: Views, in the order they shall appear.

    Returns:
        Markdown that ends in one newline; the same specs give the same text.
    """
    parts = [_INTRODUCTION]
    if reports or views:
        parts += [_QUESTIONS, _questions((*reports, *views)), "## The tables\n"]
    parts += [_contents(specs), *(_section(spec) for spec in specs)]
    if reports:
        parts += ["# Reports\n", _contents(reports), *(_section(spec) for spec in reports)]
    if views:
        parts += ["# Views\n", _contents(views), *(_section(spec, is_view=True) for spec in views)]
    return "\n".join(parts)


def _questions(specs: Iterable[ReportSpec | ViewSpec]) -> str:
    """Each question once, with everything that answers it."""
    links: dict[str, list[str]] = {}
    for spec in specs:
        for question in spec.questions:
            links.setdefault(question, []).append(_link(spec))
    rows = ((question, ", ".join(answers)) for question, answers in links.items())
    return markdown_table(("question", "answer"), rows) + "\n"


def _contents(specs: Iterable[TableSpec]) -> str:
    return markdown_table(("table", "a row is"), ((_link(spec), spec.grain) for spec in specs)) + "\n"


def _link(spec: TableSpec) -> str:
    return f"[`{spec.name}`](#{spec.name})"


def _section(spec: TableSpec, *, is_view: bool = False) -> str:
    facts = [f"Grain: {spec.grain}"] if is_view else _facts(spec)
    rows = (_row(spec, column) for column in spec.columns)
    columns = markdown_table(("column", "type", "marks", "from", "meaning"), rows)
    return "\n".join((f"## {spec.name}", "", spec.description, "", *(f"- {fact}" for fact in facts), "", columns, ""))


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


def _row(spec: TableSpec, column: Column) -> tuple[str, ...]:
    marks = [word for word, holds in (("key", column.name in spec.key), ("required", is_required(spec, column)),
                                      ("personal", column.personal)) if holds]  # fmt: skip
    rules = "".join(f" Rule: {rule.description}." for rule in column.constraints)
    return f"`{column.name}`", str(column.type), ", ".join(marks), _origin(spec, column), column.description + rules


def _origin(spec: TableSpec, column: Column) -> str:
    if column.raw is None:
        return ""
    older = [item.older_names for item in spec.raw if item.name == column.raw]
    older += [item.older_names for item in spec.properties if f"property_{item.name}" == column.raw]
    return _names((column.raw, *(name for names in older for name in names)))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
