"""What a view is: columns with their descriptions, and the GoogleSQL that computes them.

Here: the vocabulary, and copying a column from the spec of a table or report. Not here: any view, and the statement
that creates one (`statement.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from klaviyo_assets.model.spec import Column, TableSpec


@dataclass(frozen=True, kw_only=True)
class ViewSpec(TableSpec):
    """A view: columns like those of any table, and the query behind them.

    `key` is empty and no column is required because BigQuery knows neither for a view; `order` is the grain.

    Attributes:
        reads: The tables, reports and other views that have to exist before the view is created.
        sql: A SELECT with the columns in the spec's order. It names tables without their dataset, and may use
            `@account` (its name), `@timezone` and `@currency`, which are written into the view as literals.
        questions: The questions that it answers, in a marketer's words; docs/tables.md lists them.
    """

    reads: tuple[str, ...]
    sql: str
    questions: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view, and the GoogleSQL expression that computes it."""

    column: Column
    sql: str


def copied(
    spec: TableSpec, name: str, *, sql: str = "", as_: str = "", older: tuple[TableSpec, str] | None = None,
    note: str = "",
) -> ViewColumn:  # fmt: skip
    """A column of a table, report or view, with its type and description.

    Args:
        spec: The spec that has it.
        name: Its name there.
        sql: The expression; `<table>.<name>` by default.
        as_: A different name in the view. The description then also says where the column comes from.
        older: The table and column that have the value in an older schema, for the description.
        note: A sentence after the description.
    """
    source = spec.column(name)
    fallback = f", or else `{older[0].name}.{older[1]}`" if older else ""
    origin = f"From `{spec.name}.{name}`{fallback}." if as_ or older else ""
    description = " ".join(part for part in (source.description, note, origin) if part)
    # Rules are checked where the value is first written; a view only shows it.
    column = replace(source, name=as_ or name, description=description, raw=None, required=False, constraints=())
    return ViewColumn(column, sql or f"{spec.name}.{name}")


def view(
    *, name: str, grain: str, description: str, order: tuple[str, ...], reads: Iterable[TableSpec],
    columns: Iterable[ViewColumn], source: str, questions: tuple[str, ...], ctes: str = "",
) -> ViewSpec:  # fmt: skip
    """A view of these columns.

    Args:
        name: The name of the view.
        grain: What a row is.
        description: What the view is for.
        order: The columns that tell rows apart.
        reads: The tables, reports and views that `source` and `ctes` name.
        columns: The columns, in order.
        source: The query's FROM clause and what follows it.
        questions: The questions that it answers.
        ctes: Common table expressions before the SELECT, without WITH.
    """
    view_columns = tuple(columns)
    outputs = ",\n  ".join(f"{column.sql} AS {column.column.name}" for column in view_columns)
    with_clause = f"WITH {ctes}\n" if ctes else ""
    return ViewSpec(
        name=name, grain=grain, description=description, key=(), order=order,
        columns=tuple(column.column for column in view_columns), reads=tuple(spec.name for spec in reads),
        sql=f"{with_clause}SELECT\n  {outputs}\n{source}", questions=questions,
    )  # fmt: skip
