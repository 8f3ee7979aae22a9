"""Which names an expression may use: range variables, columns, SELECT aliases, and those of outer queries.

Here: name resolution after BigQuery's rules. Not here: how a FROM clause gets its columns (`relations`).
"""

from dataclasses import dataclass, field

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, ColumnUse, combine
from klaviyo_assets.sandbox.bigquery.sql.model import SqlError, invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.types import Type, member_names, quoted_name, text


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a range variable: its GoogleSQL name ("" when it has none), DuckDB text, type."""

    name: str
    sql: str
    type: Type


@dataclass(frozen=True, slots=True)
class Range:
    """A range variable. `value` is set for UNNEST, whose alias means the element itself."""

    name: str
    columns: tuple[Column, ...]
    value: Column | None = None

    def find(self, name: str) -> Column | None:
        """The column called `name`; an error when there are two."""
        matches = [column for column in self.columns if column.name.lower() == name.lower()]
        if len(matches) > 1:
            raise invalid(f"Column name {name} is ambiguous")
        return matches[0] if matches else None


@dataclass(frozen=True, slots=True)
class Output:
    """An output column of a query: GoogleSQL name ("" when it has none), DuckDB name, type."""

    name: str
    physical: str
    type: Type


@dataclass(frozen=True, slots=True)
class Query:
    """A translated query, the columns of outer queries it uses, and whether it is SELECT AS STRUCT."""

    sql: str
    outputs: tuple[Output, ...]
    outer: frozenset[ColumnUse] = frozenset()
    is_value_table: bool = False

    def as_columns(self) -> None:
        """Refuse SELECT AS STRUCT in a query that must return columns, not a value."""
        if self.is_value_table:
            raise unsupported("SELECT AS STRUCT outside of ARRAY(...) and scalar subqueries")

    def as_range(self, name: str, alias: str) -> Range:
        """The query as the range variable of a FROM clause."""
        self.as_columns()
        columns = (
            Column(each.name, f"{quoted_name(alias)}.{quoted_name(each.physical)}", each.type) for each in self.outputs
        )
        return Range(name, tuple(columns))


@dataclass
class Scope:
    """The names of one query level.

    `visible` is what * expands to, `merged_columns` holds the columns of JOIN USING, `group_keys` the DuckDB texts of
    GROUP BY once they are known,
    `aliases` the SELECT aliases where they are visible, `used_outside` what reaches into the queries around.
    """

    number: int
    parent: "Scope | None" = None
    ctes: dict[str, Query] = field(default_factory=dict)
    ranges: list[Range] = field(default_factory=list)
    visible: list[Column] = field(default_factory=list)
    merged_columns: dict[str, Column] = field(default_factory=dict)
    group_keys: frozenset[str] | None = None
    aliases: dict[str, Bound] = field(default_factory=dict)
    used_outside: set[ColumnUse] = field(default_factory=set)
    windows: dict[str, exp.Expr] = field(default_factory=dict)

    def add(self, range_variable: Range) -> None:
        """Add a range variable; its name must be new."""
        if range_variable.name and self.range_named(range_variable.name):
            raise invalid(f"Duplicate table alias {range_variable.name} in the same FROM clause")
        self.ranges.append(range_variable)

    def range_named(self, name: str) -> Range | None:
        """The range variable of that name at this level."""
        return next((each for each in self.ranges if each.name and each.name.lower() == name.lower()), None)

    def cte(self, name: str) -> Query | None:
        """The WITH query of that name, at this level or around."""
        scope: Scope | None = self
        while scope is not None:
            if name.lower() in scope.ctes:
                return scope.ctes[name.lower()]
            scope = scope.parent
        return None

    def resolve(self, parts: list[str]) -> Bound:
        """The expression a dotted name stands for.

        Raises:
            SqlError: There is no such name, or more than one.
        """
        inner_scopes: list[Scope] = []
        scope: Scope | None = self
        while scope is not None:
            value = scope.lookup(parts)
            if value is not None:
                for inner in inner_scopes:
                    inner.used_outside |= value.ungrouped
                return value
            inner_scopes.append(scope)
            scope = scope.parent
        raise _unknown(parts)

    def lookup(self, parts: list[str]) -> Bound | None:
        """Resolve a name at this level only."""
        first, field_names = parts[0], parts[1:]
        if first.lower() in self.aliases:
            return self.as_group_key(members(self.aliases[first.lower()], field_names))
        owner = self.range_named(first)
        if owner is not None and owner.value is None:
            # The name of a table hides a column of the same name, and means the whole row.
            return self._of_table(owner, first, field_names)
        column = self._column(first)
        if owner is not None and field_names and owner.find(field_names[0]) is not None:
            return self.as_group_key(members(self.use(owner.find(field_names[0]), first), field_names[1:]))
        if column is not None:
            return self.as_group_key(members(self.use(column), field_names))
        if owner is None:
            return None
        return self.as_group_key(members(self.use(owner.value), field_names))

    def _of_table(self, owner: Range, name: str, field_names: list[str]) -> Bound:
        if not field_names:
            return self._row(owner)
        column = owner.find(field_names[0])
        if column is None:
            raise invalid(f"Name {field_names[0]} not found inside {name}")
        return self.as_group_key(members(self.use(column, name), field_names[1:]))

    def as_group_key(self, value: Bound) -> Bound:
        """`value` without its ungrouped columns, if the whole expression is a GROUP BY key."""
        if self.group_keys is None or value.sql not in self.group_keys:
            return value
        outer_uses = frozenset(use for use in value.ungrouped if use[0] != self.number)
        return combine(value.sql, value.type, [Bound("", value.type, ungrouped=outer_uses)])

    def ungrouped_names(self, value: Bound) -> list[str]:
        """Names of this level's columns that `value` uses outside aggregates and GROUP BY keys."""
        return sorted(name for number, name in value.ungrouped if number == self.number)

    def use(self, column: Column | None, owner: str = "") -> Bound:
        """A column of this level as an expression."""
        assert column is not None  # noqa: S101 - callers looked it up just now
        full_name = f"{owner}.{column.name}" if owner else column.name
        use = Bound(column.sql, column.type, ungrouped=frozenset({(self.number, full_name)}))
        return self.as_group_key(use)

    def _column(self, name: str) -> Column | None:
        if name.lower() in self.merged_columns:
            return self.merged_columns[name.lower()]
        candidates = [each.find(name) for each in self.ranges]
        matches = [column for column in candidates if column is not None]
        if len(matches) > 1:
            raise invalid(f"Column name {name} is ambiguous")
        return matches[0] if matches else None

    def _row(self, owner: Range) -> Bound:
        """A whole row as a STRUCT, as in TO_JSON_STRING(t)."""
        kind = Type("STRUCT", None, tuple((column.name, column.type) for column in owner.columns))
        pairs = zip(member_names(kind), owner.columns, strict=True)
        packed = ", ".join(f"{quoted_name(name)} := {column.sql}" for name, column in pairs)
        return combine(f"struct_pack({packed})", kind, [self.use(column) for column in owner.columns])


def members(value: Bound, names: list[str]) -> Bound:
    """Fields of a STRUCT, one inside the other."""
    for name in names:
        value = member(value, name)
    return value


def member(value: Bound, name: str) -> Bound:
    """One field of a STRUCT.

    Raises:
        SqlError: The value is not a STRUCT, or has no such field.
    """
    if value.type.kind == "JSON":
        raise unsupported(f"the field {name} of a JSON value: use JSON_VALUE or JSON_QUERY")
    if value.type.kind != "STRUCT":
        raise invalid(f"Cannot access field {name} on a value with type {value.type}")
    for duckdb_name, (field_name, kind) in zip(member_names(value.type), value.type.fields, strict=True):
        if field_name.lower() == name.lower():
            return combine(f"struct_extract({value.sql}, {text(duckdb_name)})", kind, [value])
    raise invalid(f"Field name {name} does not exist in {value.type}")


def _unknown(parts: list[str]) -> SqlError:
    return invalid(f"Unrecognized name: {'.'.join(parts)}")
