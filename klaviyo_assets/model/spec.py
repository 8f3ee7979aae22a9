"""What a table is: its columns, their types, what must hold, and where each value comes from.

Here: the vocabulary (`TableSpec`, `Column`, `RawColumn`, `Property`, `Constraint`) of the files in `tables/` and
`reports/`. Not here: any particular table, and anything that knows Postgres, Arrow, pandera, BigQuery or Dagster;
other modules translate a spec into those, one library per file.
"""

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from typing import Any

import pandas as pd


class LogicalType(StrEnum):
    """The types that a column may have; every translator handles all of them."""

    STRING = "STRING"
    INTEGER = "INTEGER"  # 64 bits, signed
    FLOAT = "FLOAT"  # for measurements and predictions, never for money
    NUMERIC = "NUMERIC"  # 38 digits, 9 behind the point: BigQuery's NUMERIC; all money
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP"  # an instant, UTC, microseconds
    DATE = "DATE"  # a calendar day of the account's time zone
    JSON = "JSON"  # JSON text; BigQuery cannot load its JSON type from Parquet, so it lands as STRING


class Partitioning(StrEnum):
    """How a table is divided into pieces that are replaced as a whole."""

    ACCOUNT = "account"  # one piece per account
    ACCOUNT_DAY = "account_day"  # one piece per account and calendar day of the account's time zone


# The names in an extracted frame of the two sources of `properties`: unlisted columns, and the packed JSON column.
UNLISTED = "_properties"
PACKED = "_packed"


_LEAP_YEAR = r"(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DATE = (
    r"(?!0000)(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_ZONE = r"(?:Z| ?UTC| ?GMT|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
INSTANT_TEXT = rf"^{_DATE}(?:[T ]{_TIME}{_ZONE}?)?$"
"""The form of a text that is a time, for Python and Postgres alike: both read all of these in the same way.

A text that they read differently would be a row of one day for Python and of a different day for Postgres.
"""

BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001))))
"""What Python and Arrow strip from the ends of a text; by default, Postgres's `btrim` strips only the plain space."""


FIRST_INSTANT = datetime(1, 1, 2, tzinfo=UTC)
LAST_INSTANT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
"""The times that a mapped column may hold: Python and BigQuery have no others, and the first has a day everywhere."""
END_OF_EVENTS = datetime(9999, 12, 31, tzinfo=UTC)
"""Events are before this, so that their day exists in every time zone."""


@dataclass(frozen=True)
class Constraint:
    """Something that must hold for every non-null value: a sentence with its test, so that they cannot drift apart."""

    name: str
    description: str
    holds: Callable[["pd.Series[Any]"], "pd.Series[bool]"]


def at_least(bound: int) -> Constraint:
    """Values are at least `bound`."""
    return Constraint(f"at_least_{bound}", f"at least {bound}", lambda values: values >= bound)


def one_of(*allowed: str) -> Constraint:
    """Values are one of a closed list."""
    return Constraint("one_of", f"one of {', '.join(allowed)}", lambda values: values.isin(allowed))


def matches(name: str, pattern: str, description: str) -> Constraint:
    """Values match a regular expression as a whole."""
    return Constraint(name, description, lambda values: values.str.fullmatch(pattern))


NOT_EMPTY = Constraint("not_empty", "not the empty text", lambda values: values != "")
CURRENCY_CODE = matches("currency_code", "[A-Z]{3}", "a three-letter ISO 4217 code in capitals")


@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """A column as Fivetran writes it.

    `older_names` are read, in order, if the column is missing: older connector schemas used them.
    """

    name: str
    type: LogicalType
    older_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Property:
    """A custom field that the product reads by name, whatever its spelling in the raw data.

    Fivetran writes custom fields three ways: as `property_email_domain`, as `propertyEmailDomain`, or as the key `Email
    Domain` of one packed JSON column. `name` is the plain spelling, `email_domain`. In extracted frames the column is
    called `property_<name>` and is text (JSON text if the raw cell is JSON).
    """

    name: str
    older_names: tuple[str, ...] = ()
    stays_in_properties: bool = False


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a mapped table or a report.

    `raw` names the raw column whose value is copied; None: the table's mapping function computes it, from the raw
    columns that `made_of` names (of a table without raw columns: from columns of mapped events). `personal` values are
    hashed, kept or dropped as the account's `pii` setting says. `is_previewed`: the first values are shown in Dagster's
    UI, to anyone who can open it, and stay in its event log. Set it only for a column that says nothing about a person
    and that nobody types freely. `has_day`: Reports use the account's calendar day of the instant, so there must be one
    in every time zone.
    """

    name: str
    type: LogicalType
    description: str
    raw: str | None = None
    made_of: tuple[str, ...] = ()
    required: bool = False
    personal: bool = False
    is_previewed: bool = False
    has_day: bool = False
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CustomFields:
    """Where a table's custom fields are: unpacked columns with a prefix, or one packed JSON column."""

    prefix: str
    packed: str


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """One noun of the catalogue: the raw table that Fivetran writes, and the mapped table built from it.

    `order` is the total order of mapped rows: the same source gives the same bytes.
    `raw` is empty for a table that is computed from others (`attribution`).
    """

    name: str
    grain: str
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    raw: tuple[RawColumn, ...] = ()
    properties: tuple[Property, ...] = ()
    custom_fields: CustomFields | None = None
    partitioning: Partitioning = Partitioning.ACCOUNT
    order: tuple[str, ...] = ()
    day_column: str | None = None
    cluster: tuple[str, ...] = ()
    personal_properties: tuple[str, ...] = ()
    source: str = "https://fivetran.com/docs/connectors/applications/klaviyo"

    def __post_init__(self) -> None:
        """Refuse a spec that contradicts itself; the error names the column."""
        for fault in _faults(self):
            raise ValueError(f"table {self.name!r}: {fault}")

    def column(self, name: str) -> Column:
        """The mapped column of that name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Mapped column names, in the order in which they are written."""
        return tuple(column.name for column in self.columns)

    @property
    def total_order(self) -> tuple[str, ...]:
        """The mapped columns by which rows are sorted; the key unless the spec says otherwise."""
        return self.order or self.key

    @property
    def is_daily(self) -> bool:
        """Whether the table is divided by account and day."""
        return self.partitioning is Partitioning.ACCOUNT_DAY


def _faults(spec: TableSpec) -> Iterator[str]:
    names = [column.name for column in spec.columns]
    raw_names = {column.name for column in spec.raw} | {f"property_{field.name}" for field in spec.properties}
    yield from (f"column {name!r} appears twice" for name in {n for n in names if names.count(n) > 1})
    for role in ("key", "order", "cluster"):
        yield from (f"{role} column {name!r} is not a column" for name in getattr(spec, role) if name not in names)
    if spec.is_daily and spec.day_column not in names:
        yield f"a daily table needs a day_column; {spec.day_column!r} is not a column"
    for column in spec.columns:
        if column.is_previewed and (column.personal or column.type is LogicalType.JSON):
            yield f"column {column.name!r} may hold personal values, so it cannot be previewed"
        if column.raw is not None and column.raw not in raw_names:
            yield f"column {column.name!r} copies the raw column {column.raw!r}, which the spec does not list"
        yield from (
            f"column {column.name!r} is made of the raw column {name!r}, which the spec does not list"
            for name in column.made_of if spec.raw and name not in raw_names
        )  # fmt: skip
    yield from (f"{name!r} is not snake_case" for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name))


@dataclass(frozen=True, kw_only=True)
class Field:
    """A raw column and the mapped column that copies it, declared once (for tables that are mapped one to one)."""

    name: str
    type: LogicalType
    description: str
    raw: str = ""
    older_names: tuple[str, ...] = ()
    required: bool = False
    personal: bool = False
    has_day: bool = False
    constraints: tuple[Constraint, ...] = ()

    @property
    def raw_column(self) -> RawColumn:
        """The raw side."""
        return RawColumn(name=self.raw or self.name, type=self.type, older_names=self.older_names)

    @property
    def column(self) -> Column:
        """The mapped side."""
        return Column(
            name=self.name, type=self.type, description=self.description, raw=self.raw or self.name,
            required=self.required, personal=self.personal, has_day=self.has_day, constraints=self.constraints,
        )  # fmt: skip


SYNCED_AT = Field(
    name="synced_at", raw="_fivetran_synced", type=LogicalType.TIMESTAMP,
    description="Start of the Fivetran sync that wrote the row (UTC).",
)  # fmt: skip
IS_DELETED = Field(
    name="is_deleted", raw="_fivetran_deleted", type=LogicalType.BOOLEAN,
    description="Whether the row was deleted in Klaviyo; Fivetran keeps it and marks it.",
)  # fmt: skip
PROPERTIES = Column(
    name="properties", type=LogicalType.JSON,
    description="Every other raw field as JSON text, keys in the plain spelling (`email_domain`); read it with "
    "`JSON_VALUE(properties, '$.key')`. Personal values are treated as the account's `pii` setting says.",
)  # fmt: skip


def copied_table(
    *, name: str, grain: str, description: str, key: tuple[str, ...], fields: tuple[Field, ...],
    previewed: tuple[str, ...] = (), custom_fields: CustomFields | None = None,
    personal_properties: tuple[str, ...] = (), deletes: bool = True,
) -> TableSpec:  # fmt: skip
    """The spec of a table whose mapped columns copy raw columns one to one, plus what every such table has.

    Appends `properties`, `is_deleted` (where Fivetran captures deletes) and `synced_at`. `previewed` names the columns
    whose `is_previewed` holds.
    """
    book_keeping = (IS_DELETED, SYNCED_AT) if deletes else (SYNCED_AT,)
    columns = (*(field.column for field in fields), PROPERTIES, *(field.column for field in book_keeping))
    if unknown := set(previewed) - {column.name for column in columns}:
        raise ValueError(f"table {name!r}: previewed columns {sorted(unknown)} are not columns of the table")
    return TableSpec(
        name=name, grain=grain, description=description, key=key,
        raw=tuple(field.raw_column for field in (*fields, *book_keeping)),
        columns=tuple(replace(column, is_previewed=column.name in previewed) for column in columns),
        custom_fields=custom_fields, personal_properties=personal_properties,
    )  # fmt: skip


def squash(name: str) -> str:
    """A field name without case, separators and `$`: equal for all spellings of one custom field."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def plain_spelling(name: str) -> str:
    """A custom field's name in snake_case: `Email Domain`, `emailDomain` and `$email_domain` are `email_domain`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or name


def free_key(taken: Container[str], *wanted: str) -> str:
    """The first wanted key that is not taken, else the first wanted key with a number: nothing is lost."""
    numbered = (f"{wanted[0]}_{number}" for number in count(2))
    return next(key for keys in (wanted, numbered) for key in keys if key not in taken)


def packed_spellings(field: Property) -> list[str]:
    """The keys under which a packed document may hold a property: `$value`, `value`, `Value`, `Email Domain`, ..."""
    keys: dict[str, None] = {}
    for name in (field.name, *field.older_names):
        words = name.split("_")
        camel = words[0] + "".join(word.capitalize() for word in words[1:])
        spaced = " ".join(word.capitalize() for word in words)
        spoken = [spaced, re.sub(r"\bId\b", "ID", spaced), spaced.lower()]
        keys |= dict.fromkeys([f"${name}", name, *spoken, camel, f"${camel}", spaced.replace(" ", "_")])
    return list(keys)


def packed_keys(spec: TableSpec) -> list[str]:
    """The keys of a packed document that are read as properties and go nowhere else."""
    return [key for field in spec.properties if not field.stays_in_properties for key in packed_spellings(field)]
