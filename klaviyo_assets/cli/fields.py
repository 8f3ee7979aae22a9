"""`klaviyo-assets fields`: which of Fivetran's raw fields becomes which column.

Here: the list, derived from the table specs alone. Not here: what the columns mean (docs/tables.md), and the mapping
itself (`tables/`). It asks no server.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from klaviyo_assets.cli.console import AsJson, Verbose, console, errors
from klaviyo_assets.cli.options import raw_table_names

if TYPE_CHECKING:
    from klaviyo_assets.model.spec import Column, TableSpec


@dataclass(frozen=True)
class MappedField:
    """One line of the mapping.

    `raw` is None for a computed column; `column` is None for a raw field that is only used by computed columns.
    `older_names` are read if the raw field is missing.
    """

    table: str
    raw: str | None
    older_names: tuple[str, ...]
    column: str | None
    type: str
    key: bool
    personal: bool
    description: str


def fields(
    table: Annotated[
        str | None,
        typer.Option("--table", "-t", metavar="NAME", help="Table, such as campaign. Default: a list of all.",
                     autocompletion=raw_table_names),
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Show which raw field becomes which column of the mapped table. With -v, also what each column means.

    Example: klaviyo-assets fields --table campaign
    """
    with errors(verbose=verbose):
        chosen = _chosen(table)
        if as_json:
            rows = [asdict(field) for spec in chosen for field in mapping(spec)]
            console().print_json(json.dumps(rows, ensure_ascii=False))
        elif table is None:
            console().print(overview(chosen))
            console().print("`klaviyo-assets fields --table NAME` shows the fields of one table.", style="dim")
        else:
            for spec in chosen:
                console().print(fields_table(spec, described=verbose))
                console().print(Text(_rest(spec), style="dim"))


def _chosen(name: str | None) -> "list[TableSpec]":
    from klaviyo_assets.cli.extract import table_named
    from klaviyo_assets.tables import TABLES

    if name is None:
        return list(TABLES.values())
    # `attribution` is computed, so there is no raw table of that name.
    return [TABLES[name]] if name in TABLES else [table_named(name)]


def mapping(spec: "TableSpec") -> Iterator[MappedField]:
    """Every raw field that is read by name and every mapped column, once each, in column order."""
    older = {raw.name: raw.older_names for raw in spec.raw}
    types = {raw.name: str(raw.type) for raw in spec.raw}
    older |= {f"property_{field.name}": field.older_names for field in spec.properties}
    copied = {column.raw for column in spec.columns}
    for column in spec.columns:
        yield _field(spec, column, older.get(column.raw or "", ()))
    for name in older:
        if name not in copied:
            yield MappedField(
                spec.name, name, older[name], None, types.get(name, "STRING"), key=False, personal=False,
                description="Read for the computed columns.",
            )  # fmt: skip


def _field(spec: "TableSpec", column: "Column", older_names: tuple[str, ...]) -> MappedField:
    return MappedField(
        spec.name, column.raw, older_names, column.name, str(column.type), key=column.name in spec.key,
        personal=column.personal, description=column.description,
    )  # fmt: skip


def overview(specs: "list[TableSpec]") -> Table:
    """All tables, with their numbers of columns and of raw fields."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("table", no_wrap=True)
    table.add_column("raw fields", justify="right", no_wrap=True)
    table.add_column("columns", justify="right", no_wrap=True)
    table.add_column("a row is", overflow="fold")
    for spec in specs:
        raw = len(spec.raw) + len(spec.properties)
        grain = spec.grain.removeprefix("One row per ").rstrip(".")
        table.add_row(spec.name, str(raw) if raw else "computed", str(len(spec.columns)), Text(grain))
    return table


def fields_table(spec: "TableSpec", *, described: bool = False) -> Table:
    """The mapping of one table."""
    table = Table(title=f"{spec.name}: {spec.grain}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("raw field", "column"):
        table.add_column(name, overflow="fold")
    table.add_column("type", no_wrap=True)
    table.add_column("", no_wrap=True)
    if described:
        table.add_column("meaning", overflow="fold", min_width=24)
    for field in mapping(spec):
        marks = [word for word, holds in (("key", field.key), ("personal", field.personal)) if holds]
        cells = [_raw(field), Text(field.column or "for computed", style="" if field.column else "dim")]
        table.add_row(*cells, field.type, ", ".join(marks), *([Text(field.description)] if described else []))
    return table


def _raw(field: MappedField) -> Text:
    if field.raw is None:
        return Text("every other field" if field.column == "properties" else "computed", style="dim")
    told = Text(field.raw)
    if field.older_names:
        told.append(f" or {', '.join(field.older_names)}", style="dim")
    return told


def _rest(spec: "TableSpec") -> str:
    if not spec.raw:
        return "Computed from other tables. docs/tables.md says what each column means."
    where = f" ({spec.custom_fields.prefix}* or {spec.custom_fields.packed})" if spec.custom_fields else ""
    return (
        f"Every other raw field{where} is in `properties`, under its plain name. Personal values are treated as the "
        "account's pii setting says. docs/tables.md says what each column means."
    )
