"""GoogleSQL types: their DuckDB equivalents, their API names, and the implicit coercions.

Here: facts about types. Not here: casts that look at values (`casts`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt
from klaviyo_assets.sandbox.bigquery.sql.model import Field, invalid, unsupported


@dataclass(frozen=True, slots=True)
class Type:
    """A GoogleSQL type. Kind NULL is the type of an untyped NULL and of the elements of `[]`."""

    kind: str
    element: "Type | None" = None
    fields: tuple[tuple[str, "Type"], ...] = ()

    def __str__(self) -> str:
        """As BigQuery spells it in messages."""
        if self.kind == "ARRAY":
            return f"ARRAY<{self.element}>"
        if self.kind == "STRUCT":
            return f"STRUCT<{', '.join(f'{name} {kind}'.strip() for name, kind in self.fields)}>"
        return self.kind

    @property
    def duckdb(self) -> str:
        """The DuckDB type that holds the values."""
        if self.element is not None:
            return f"{self.element.duckdb}[]"
        if self.kind == "STRUCT":
            members = (
                f"{quoted_name(member)} {kind.duckdb}"
                for member, (_, kind) in zip(member_names(self), self.fields, strict=True)
            )
            return f"STRUCT({', '.join(members)})"
        return DUCKDB[self.kind]

    @property
    def is_numeric(self) -> bool:
        """INT64, NUMERIC or FLOAT64."""
        return self.kind in NUMERIC_ORDER


DUCKDB = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "NUMERIC": "DECIMAL(38,9)",
    "BOOL": "BOOLEAN",
    "STRING": "VARCHAR",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMPTZ",
    "JSON": "JSON",
    "NULL": "BIGINT",  # BigQuery types a lone NULL as INT64
}
NUMERIC_ORDER = {"INT64": 0, "NUMERIC": 1, "FLOAT64": 2}
API_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "NULL": "INTEGER"}
KINDS = {
    **{kind: kind for kind in DUCKDB if kind != "NULL"},
    **{api: kind for kind, api in API_NAMES.items() if kind != "NULL"},
    **dict.fromkeys(("INT", "SMALLINT", "BIGINT", "TINYINT", "BYTEINT"), "INT64"),
    "DECIMAL": "NUMERIC",
    "DOUBLE": "FLOAT64",
}
FROM_DUCKDB = {
    **{spelling: kind for kind, spelling in DUCKDB.items() if kind != "NULL"},
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TEXT": "STRING",
    "BOOL": "BOOL",
}

INT64, FLOAT64, NUMERIC, BOOL = Type("INT64"), Type("FLOAT64"), Type("NUMERIC"), Type("BOOL")
STRING, BYTES, JSON = Type("STRING"), Type("BYTES"), Type("JSON")
DATE, DATETIME, TIME, TIMESTAMP = Type("DATE"), Type("DATETIME"), Type("TIME"), Type("TIMESTAMP")
NULL = Type("NULL")


def array_of(element: Type) -> Type:
    """ARRAY<element>; BigQuery has no arrays of arrays."""
    if element.kind == "ARRAY":
        raise invalid("Cannot construct array with element type ARRAY because nested arrays are not supported")
    return Type("ARRAY", element)


def quoted_name(name: str) -> str:
    """A DuckDB identifier, quoted."""
    return exp.to_identifier(name, quoted=True).sql("duckdb")


def text(value: str) -> str:
    """A DuckDB string literal."""
    return exp.Literal.string(value).sql("duckdb")


def member_names(struct: Type) -> list[str]:
    """DuckDB member names of a STRUCT; nameless members have the API's names."""
    names = [name or f"_field_{place}" for place, (name, _) in enumerate(struct.fields, start=1)]
    if len({name.lower() for name in names}) < len(names):
        raise unsupported("a STRUCT with two fields of one name")
    return names


def from_field(column: Field) -> Type:
    """The type of an API column."""
    if column.type in ("RECORD", "STRUCT"):
        base = Type("STRUCT", None, tuple((part.name, from_field(part)) for part in column.fields))
    else:
        base = type_named(column.type)
    return array_of(base) if column.mode == "REPEATED" else base


def to_field(name: str, kind: Type) -> Field:
    """The API column for a type."""
    if kind.element is not None:
        inner = to_field(name, kind.element)
        return Field(name, inner.type, "REPEATED", inner.fields)
    members = member_names(kind) if kind.kind == "STRUCT" else []
    parts = tuple(to_field(member, part) for member, (_, part) in zip(members, kind.fields, strict=True))
    return Field(name, API_NAMES.get(kind.kind, kind.kind), "NULLABLE", parts)


def type_named(spelling: str) -> Type:
    """A scalar type by any of its GoogleSQL names."""
    kind = KINDS.get(spelling.upper())
    if kind is None:
        raise unsupported(f"the type {spelling}")
    return Type(kind)


def parse(spelling: str) -> Type:
    """A type from its GoogleSQL text, e.g. `ARRAY<STRUCT<a INT64, b STRING>>`."""
    spelling = spelling.strip()
    if match := re.fullmatch(r"ARRAY\s*<(.*)>", spelling, re.IGNORECASE | re.DOTALL):
        return array_of(parse(match[1]))
    if match := re.fullmatch(r"STRUCT\s*<(.*)>", spelling, re.IGNORECASE | re.DOTALL):
        return Type("STRUCT", None, tuple(_member(part) for part in split_top(match[1])))
    return type_named(spelling)


def _member(part: str) -> tuple[str, Type]:
    if match := re.fullmatch(r"`?(\w+)`?\s+(\w.*)", part.strip(), re.DOTALL):
        return match[1], parse(match[2])
    return "", parse(part)


def split_top(list_text: str) -> list[str]:
    """Split at the commas outside brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(list_text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(list_text[start:place])
            start = place + 1
    return [*parts, list_text[start:]]


_SQLGLOT_KINDS = {
    "BIGINT": "INT64",
    "INT": "INT64",
    "SMALLINT": "INT64",
    "TINYINT": "INT64",
    "DOUBLE": "FLOAT64",
    "DECIMAL": "NUMERIC",
    "BOOLEAN": "BOOL",
    "TEXT": "STRING",
    "VARCHAR": "STRING",
    "BINARY": "BYTES",
    "VARBINARY": "BYTES",
    "DATE": "DATE",
    "DATETIME": "DATETIME",
    "TIMESTAMP": "DATETIME",
    "TIME": "TIME",
    "TIMESTAMPTZ": "TIMESTAMP",
    "JSON": "JSON",
}


def from_sqlglot(node: exp.DataType) -> Type:
    """The type written in a CAST, a constructor or a column definition."""
    name = node.this.name if isinstance(node.this, exp.DType) else str(node.this)
    if name in ("ARRAY", "STRUCT") and not node.expressions:
        raise invalid(f"Syntax error: {name} without a type")
    if name == "ARRAY":
        return array_of(from_sqlglot(node.expressions[0]))
    if name == "STRUCT":
        return Type("STRUCT", None, tuple(_struct_member(part) for part in node.expressions))
    if name not in _SQLGLOT_KINDS:
        raise unsupported(f"the type {excerpt(node)}")
    if node.expressions:
        raise unsupported(f"a parameterized type: {excerpt(node)}")
    return Type(_SQLGLOT_KINDS[name])


def _struct_member(part: exp.Expr) -> tuple[str, Type]:
    if isinstance(part, exp.ColumnDef):
        return part.name, from_sqlglot(part.args["kind"])
    return "", from_sqlglot(part)  # type: ignore[arg-type]


def from_duckdb(spelling: str) -> Type:
    """The GoogleSQL type of a DuckDB result column."""
    spelling = spelling.strip()
    if spelling.endswith("[]"):
        return array_of(from_duckdb(spelling[:-2]))
    if match := re.fullmatch(r"STRUCT\((.*)\)", spelling, re.DOTALL):
        members = (re.fullmatch(r'\s*("(?:[^"]|"")*"|\S+)\s+(.*)', part) for part in split_top(match[1]))
        pairs = ((m[1].strip('"').replace('""', '"'), from_duckdb(m[2])) for m in members if m)
        return Type("STRUCT", None, tuple(pairs))
    if spelling.upper() not in FROM_DUCKDB:
        raise unsupported(f"a column of the DuckDB type {spelling}")
    return Type(FROM_DUCKDB[spelling.upper()])


def promoted(kinds: Sequence[Type]) -> Type | None:
    """The type that several types widen to without a cast; None if there is none."""
    typed_kinds = [kind for kind in kinds if kind.kind != "NULL"]
    if not typed_kinds:
        return NULL
    if all(kind == typed_kinds[0] for kind in typed_kinds):
        return typed_kinds[0]
    if all(kind.is_numeric for kind in typed_kinds):
        return max(typed_kinds, key=lambda kind: NUMERIC_ORDER[kind.kind])
    if {kind.kind for kind in typed_kinds} == {"DATE", "DATETIME"}:
        return DATETIME
    if all(kind.kind == "ARRAY" for kind in typed_kinds):
        distinct_kinds = {kind for kind in typed_kinds if kind.element != NULL}
        return distinct_kinds.pop() if len(distinct_kinds) == 1 else None
    if all(kind.kind == "STRUCT" for kind in typed_kinds):
        return _promoted_struct(typed_kinds)
    return None


def _promoted_struct(structs: Sequence[Type]) -> Type | None:
    if len({len(struct.fields) for struct in structs}) != 1:
        return None
    members = []
    for place, (name, _) in enumerate(structs[0].fields):
        member = promoted([struct.fields[place][1] for struct in structs])
        if member is None:
            return None
        members.append((name, member))
    return Type("STRUCT", None, tuple(members))
