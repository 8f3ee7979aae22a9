"""From extracted frames to mapped frames: what every table's mapping shares.

Here: parsing copied columns, treating personal values, gathering `properties`, and the notes on what cannot be
right. Not here: what one table means (`tables/<table>.py`), files, and Dagster.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.accounts import Account
from klaviyo_assets.mapping import documents
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.mapping.values import having_a_day, parse
from klaviyo_assets.model.arrow import arrow_type, table_to_frame
from klaviyo_assets.model.metrics import AccountMetrics
from klaviyo_assets.model.spec import PACKED, UNLISTED, Column, TableSpec, free_key, packed_keys, plain_spelling, squash


@dataclass(frozen=True)
class MappingContext:
    """What a mapping needs to know besides the rows.

    `day` is the calendar day of a daily partition; None for account tables.
    """

    account: Account
    metrics: AccountMetrics
    privacy: Privacy
    day: date | None = None


@dataclass(frozen=True)
class Note:
    """Something in a raw row that cannot be right: one row of the `quarantine` table.

    `dropped` means that the whole row is missing from the mapped table; otherwise only `field` is null in it.
    """

    table: str
    row_id: str | None
    field: str
    rule: str
    reason: str
    value: str | None = None
    dropped: bool = False


@dataclass
class Mapped:
    """A mapped chunk: its rows, as the spec's columns, and the notes on what did not pass."""

    rows: pd.DataFrame
    notes: list[Note] = field(default_factory=list)


def column(raw: pd.DataFrame, name: str) -> pa.Array:
    """A raw column as one Arrow array; all null if the frame lacks it."""
    if name not in raw.columns:
        return pa.nulls(len(raw))
    values = pa.array(raw[name])
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def row_ids(spec: TableSpec, raw: pd.DataFrame) -> pa.Array:
    """The name of each raw row in a note: its key, parts joined with `|`."""
    sources = [spec.column(name).raw for name in spec.key]
    parts = [pc.fill_null(column(raw, source).cast(pa.string()), "") for source in sources if source]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "|")


def copy_columns(spec: TableSpec, raw: pd.DataFrame, context: MappingContext) -> tuple[dict[str, pa.Array], list[Note]]:
    """Parse and treat every column that copies a raw one.

    Returns:
        Mapped column name -> values, and one note for each cell that could not be parsed.
    """
    columns: dict[str, pa.Array] = {}
    notes: list[Note] = []
    ids = row_ids(spec, raw)
    for wanted in spec.columns:
        if wanted.raw is None:
            continue
        cells = column(raw, wanted.raw)
        parsed = having_a_day(parse(cells, wanted.type)) if wanted.has_day else parse(cells, wanted.type)
        columns[wanted.name] = context.privacy.column(parsed.values) if wanted.personal else parsed.values
        notes += unparsed(spec, wanted, cells, ids, parsed.reasons, context.privacy)
    return columns, notes


def unparsed(
    spec: TableSpec, wanted: Column, cells: pa.Array, ids: pa.Array, reasons: dict[int, str], privacy: Privacy
) -> Iterator[Note]:
    """One note for each cell that could not be parsed as its column's type."""
    for row, reason in reasons.items():
        value = shown_value(cells[row], privacy, personal=wanted.personal)
        yield Note(spec.name, ids[row].as_py(), wanted.name, f"parse_{wanted.type.lower()}", reason, value)


_MICROSECONDS_OF_A_YEAR = 31_556_952_000_000


def shown_value(cell: pa.Scalar, privacy: Privacy, *, personal: bool = False) -> str | None:
    """What a note shows of a cell; nothing of a whole document, which may name people in any place."""
    try:
        text = str(cell.as_py())
    except (OverflowError, ValueError):
        # Python's calendar ends with the year 9999.
        text = f"the year {1970 + cell.value // _MICROSECONDS_OF_A_YEAR}"
    if text.lstrip().startswith(("{", "[")):
        return None
    treated_text = privacy.treat(text) if personal else privacy.scrub(text)
    return treated_text and treated_text[:200]


def gather_properties(spec: TableSpec, raw: pd.DataFrame, privacy: Privacy) -> tuple[pa.Array, list[Note]]:
    """The `properties` column: unlisted raw columns and packed custom fields in one JSON document per row.

    Returns:
        The documents, and a note for each row with one that could not be read, or not as it is.
    """
    merged, reasons = _merge(column(raw, UNLISTED), column(raw, PACKED), frozenset(packed_keys(spec)))
    personal = frozenset(map(squash, spec.personal_properties))
    ids = row_ids(spec, raw) if reasons else []
    notes = [Note(spec.name, ids[row].as_py(), "properties", "parse_json", reason) for row, reason in reasons.items()]
    return privacy.json_column(_sound(merged), personal), notes


def _sound(texts: pa.Array) -> pa.Array:
    wrong = pc.fill_null(pc.match_substring_regex(texts, r"\\u[dD][89a-fA-F]"), False)
    if not pc.any(wrong).as_py():
        return texts
    return pc.replace_with_mask(texts, wrong, pa.array(map(documents.sound, texts.filter(wrong).to_pylist())))


def _merge(unlisted: pa.Array, packed: pa.Array, listed: Set[str]) -> tuple[pa.Array, dict[int, str]]:
    """One document per row, and a reason for each row in which something went wrong."""
    if pa.types.is_null(packed.type) or packed.null_count == len(packed):
        return unlisted.cast(pa.string()), {}
    reasons: dict[int, str] = {}
    merged: list[str | None] = []
    for row, (plain, custom) in enumerate(zip(unlisted.to_pylist(), packed.to_pylist(), strict=True)):
        is_there = custom and custom.strip()
        document, reason = _one_document(plain, custom, listed) if is_there else (plain, None)
        merged.append(document)
        reasons |= {row: reason} if reason else {}
    return pa.array(merged, pa.string()), reasons


def _one_document(unlisted: str | None, packed: str, listed: Set[str]) -> tuple[str | None, str | None]:
    try:
        fields = documents.read(packed)
    except (ValueError, RecursionError) as error:
        return unlisted, f"the packed document is left out: {_FAULTS[isinstance(error, RecursionError)]}"
    if not isinstance(fields, dict):
        fields = {"custom_fields": fields}
    try:
        document: dict[str, Any] = documents.read(unlisted) if unlisted else {}
        for name, value in fields.items():
            document[free_key(document, _plain_spelling(name), name)] = value
        return (documents.write(document) if document else None), _reservation(packed, fields, listed)
    except RecursionError:
        return documents.write(fields), f"the other columns are left out: {_FAULTS[True]}"


_FAULTS = {False: "it is not JSON", True: "it is nested too deeply"}


def _reservation(packed: str, fields: dict[str, Any], listed: Set[str]) -> str | None:
    """Why a document is incomplete or changed: Postgres could not read it, or put U+FFFD into it."""
    if not listed.isdisjoint(fields):
        return "Postgres cannot look into the packed document (a number out of range): columns read from it are empty"
    if "\ufffd" in packed:
        return "U+FFFD is in place of what no text can hold"
    return None


_plain_spelling = lru_cache(maxsize=65_536)(plain_spelling)


def build_frame(spec: TableSpec, columns: dict[str, pa.Array]) -> pd.DataFrame:
    """A mapped frame with exactly the spec's columns, Arrow-backed, in the spec's order."""
    types = {wanted.name: arrow_type(wanted.type) for wanted in spec.columns}
    return table_to_frame(pa.table({name: columns[name].cast(types[name]) for name in spec.column_names}))


def map_copied(spec: TableSpec, raw: pd.DataFrame, context: MappingContext) -> Mapped:
    """Map a table whose columns are all copied.

    Args:
        spec: Made by `spec.copied_table`.
        raw: Rows as extracted: the spec's raw columns, `_properties` and `_packed`.
        context: Account, metrics and privacy.

    Returns:
        One mapped row per raw row; `is_deleted` is False if Fivetran states nothing.
    """
    columns, notes = copy_columns(spec, raw, context)
    columns["properties"], unread = gather_properties(spec, raw, context.privacy)
    if "is_deleted" in columns:
        columns["is_deleted"] = pc.fill_null(columns["is_deleted"], False)
    return Mapped(build_frame(spec, columns), notes + unread)


QUARANTINE_COLUMNS = ("table_name", "partition", "row_id", "field", "rule", "reason", "value", "is_dropped")


def notes_frame(notes: Iterable[Note], partition: str) -> pd.DataFrame:
    """Notes as rows of the `quarantine` table, in a total order."""
    rows = sorted(
        (n.table, partition, n.row_id, n.field, n.rule, n.reason, n.value, n.dropped)
        for n in (replace(note, row_id=note.row_id or "", value=note.value or "") for note in notes)
    )
    return pd.DataFrame(rows, columns=list(QUARANTINE_COLUMNS))


def bad_row_notes(spec: TableSpec, rows: pd.DataFrame, bad: pd.DataFrame, keys: Sequence[str]) -> list[Note]:
    """Notes for rows that broke a rule of the spec: those rows do not reach the mapped table."""
    broken_rules = zip(*(bad[name].tolist() for name in ("row_number", "field", "rule", "reason")), strict=True)
    return [
        Note(spec.name, "|".join(_key_part(rows[key].iloc[number]) for key in keys), name, rule, reason, dropped=True)
        for number, name, rule, reason in broken_rules
    ]


def _key_part(value: Any) -> str:
    return "" if pd.isna(value) else str(value)
