"""How the columns of a raw table are spelled: the names under which they are read, and the earlier ones that are gone.

Here: source naming (`personId` for `person_id`), and comparing what a table has with what it had. Not here: the SELECT
(`source/sql.py`), and what follows from a column that is gone (`stages/vanished.py`).
"""

import dataclasses
from collections.abc import Iterable, Iterator

from psycopg import sql

from klaviyo_assets.model.spec import TableSpec, squash
from klaviyo_assets.source.sql import RawTable, plan


def with_known_names(spec: TableSpec, table: RawTable) -> RawTable:
    """The table with its columns under the names of the spec, if Fivetran writes them in the source's own naming.

    A column that exists in both spellings, for example while Fivetran changes from one to the other, is read from the
    first that holds a value.
    """
    sources = _sources(spec, table.columns)
    if all(list(names) == [name] for name, names in sources.items()):
        return table
    columns = {name: _type(table, names) for name, names in sources.items()}
    chosen = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(_value(table, names), sql.Identifier(name)) for name, names in sources.items()
    )
    relation = sql.SQL("(SELECT {} FROM {} AS s)").format(chosen, table.identifier)
    return dataclasses.replace(table, columns=columns, relation=relation)


def _sources(spec: TableSpec, columns: Iterable[str]) -> dict[str, list[str]]:
    """Column name -> the columns that spell it, the plain spelling first."""
    spellings = [name for raw in spec.raw for name in (raw.name, *raw.older_names)]
    spellings += [spec.custom_fields.packed] if spec.custom_fields else []
    by_letters = {squash(name): name for name in reversed(spellings)}
    sources: dict[str, list[str]] = {}
    for column in sorted(columns, key=lambda column: column not in spellings):
        name = column if column in spellings else by_letters.get(squash(column), column)
        sources.setdefault(name, []).append(column)
    return sources


def _type(table: RawTable, names: list[str]) -> str:
    types = {table.columns[name] for name in names}
    return types.pop() if len(types) == 1 else "text"


def _value(table: RawTable, names: list[str]) -> sql.Composable:
    cast = sql.SQL("" if len({table.columns[name] for name in names}) == 1 else "::text")
    values = [sql.SQL("s.{}").format(sql.Identifier(name)) + cast for name in names]
    return values[0] if len(values) == 1 else sql.SQL("coalesce({})").format(sql.SQL(", ").join(values))


def columns_read(spec: TableSpec, table: RawTable, *, unlisted: bool = True) -> list[str]:
    """A table's readable columns: those of the spec under its names, and (if wanted) all others as they are spelled."""
    chosen = plan(spec, table)
    read = [name for name, present in chosen.listed.items() if present]
    read += [f"{_prefix(spec)}{name}" for name, present in chosen.properties.items() if present]
    read += [chosen.packed] if chosen.packed else []
    return sorted({*read, *(chosen.unlisted if unlisted else ())})


def columns_gone(spec: TableSpec, before: Iterable[str], now: Iterable[str]) -> list[str]:
    """The columns that were read earlier and no longer exist in any spelling.

    Custom fields that Fivetran now packs into one column, or now writes as separate columns, are not gone.
    """
    return sorted(_gone(spec, before, {squash(name) for name in now}))


def _gone(spec: TableSpec, before: Iterable[str], now: set[str]) -> Iterator[str]:
    packed = squash(spec.custom_fields.packed) if spec.custom_fields else ""
    prefix = squash(_prefix(spec))
    for name in before:
        letters = squash(name)
        is_custom = bool(prefix) and letters.startswith(prefix) and letters != packed
        replaced = (is_custom and packed in now) or (
            letters == packed != "" and any(other.startswith(prefix) for other in now)
        )
        if letters not in now and not replaced:
            yield name


def _prefix(spec: TableSpec) -> str:
    return spec.custom_fields.prefix if spec.custom_fields else ""
