"""Function calls: how the allow-list works.

A scalar function is an entry of `SCALARS`: signatures with DuckDB templates, or a handler of its own where
arguments are more than values (date parts, formats, paths). A name that is not on a list is refused. The lists:
`functions` (numbers, conditions), `texts`, `dates`, `documents` (JSON), `arrays`, `aggregates`, `windows`.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from klaviyo_assets.sandbox.bigquery.sql.binder import Binder, binds
from klaviyo_assets.sandbox.bigquery.sql.binding import Bound, coerce, combine, mismatch
from klaviyo_assets.sandbox.bigquery.sql.dialect import excerpt
from klaviyo_assets.sandbox.bigquery.sql.model import invalid, unsupported
from klaviyo_assets.sandbox.bigquery.sql.scopes import Scope
from klaviyo_assets.sandbox.bigquery.sql.types import Type


@dataclass
class Call:
    """A call as written: upper-case name, argument nodes, and its context.

    `over` is the DuckDB text of an OVER clause when the function is called analytically.
    """

    name: str
    nodes: Sequence[exp.Expr]
    binder: Binder
    scope: Scope
    over: str | None = None

    def arity(self, least: int, maximum: int | None = None) -> None:
        """Check the number of arguments."""
        if not least <= len(self.nodes) <= (least if maximum is None else maximum):
            raise invalid(f"Number of arguments does not match for function {self.name}")

    def bind(self, place: int) -> Bound:
        """Bind the argument at `place`, from 0."""
        return self.binder.bind(self.nodes[place], self.scope)

    def values(self) -> list[Bound]:
        """Bind all arguments."""
        return [self.binder.bind(node, self.scope) for node in self.nodes]

    def literal(self, place: int, noun: str) -> str:
        """The value of an argument that must be a literal, because the translation depends on it."""
        value = self.bind(place)
        if value.literal is None or value.is_parameter:
            raise unsupported(f"{self.name} with a {noun} that is not a literal")
        return value.literal

    def whole(self, place: int, noun: str) -> int:
        """The value of an argument that must be an integer literal."""
        spelling = self.literal(place, noun)
        if not spelling.lstrip("-").isdigit():
            raise invalid(f"{self.name}: {noun} must be an INT64 literal, not {spelling!r}")
        return int(spelling)


Handler = Callable[[Call], Bound]
SCALARS: dict[str, Handler] = {}
AGGREGATES: dict[str, Handler] = {}
ANALYTICS: dict[str, Handler] = {}


def scalar(*names: str) -> Callable[[Handler], Handler]:
    """Allow a scalar function under `names`."""
    return _registrar(SCALARS, names)


def aggregate(*names: str) -> Callable[[Handler], Handler]:
    """Allow an aggregate function under `names`."""
    return _registrar(AGGREGATES, names)


def analytic(*names: str) -> Callable[[Handler], Handler]:
    """Allow a function that is only called with OVER."""
    return _registrar(ANALYTICS, names)


def _registrar(table: dict[str, Handler], names: Sequence[str]) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        table.update(dict.fromkeys(names, handler))
        return handler

    return register


@dataclass(frozen=True)
class Signature:
    """Argument types, result type, and DuckDB template of one overload."""

    params: tuple[Type, ...]
    result: Type
    template: str


def signature(template: str, result: Type, *params: Type) -> Signature:
    """An overload, e.g. `signature("lower({0})", STRING, STRING)`."""
    return Signature(params, result, template)


def allow(name: str, *overloads: Signature) -> None:
    """Allow a scalar function that needs only types and templates."""
    SCALARS[name] = lambda call: pick(call.name, overloads, call.values())


def pick(name: str, overloads: Sequence[Signature], values: list[Bound]) -> Bound:
    """Apply the overload that coerces the fewest arguments."""
    best: tuple[tuple[int, int], Signature, list[Bound]] | None = None
    for overload in overloads:
        if len(overload.params) != len(values):
            continue
        coerced = [coerce(value, kind) for value, kind in zip(values, overload.params, strict=True)]
        fitting = [value for value in coerced if value is not None]
        if len(fitting) < len(values):
            continue
        coerced_values = [old for old, new in zip(values, fitting, strict=True) if old.type != new.type]
        cost = sum(value.literal is None for value in coerced_values), len(coerced_values)
        if best is None or cost < best[0]:
            best = cost, overload, fitting
    if best is None:
        raise mismatch(f"function {name}", values)
    _, signature_chosen, arguments = best
    return combine(_fill(signature_chosen.template, arguments), signature_chosen.result, values)


def _fill(template: str, arguments: Sequence[Bound]) -> str:
    pieces = []
    for literal_text, place, _, _ in string.Formatter().parse(template):
        pieces.append(literal_text)
        if place is not None:
            pieces.append(arguments[int(place)].sql)
    return "".join(pieces)


@binds(exp.Anonymous)
def _call(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    return call(binder, node.name, node.expressions, scope)


def call(binder: Binder, name: str, nodes: Sequence[exp.Expr], scope: Scope) -> Bound:
    """A function call without OVER."""
    function_call = Call(name.upper(), nodes, binder, scope)
    if function_call.name in SCALARS:
        return SCALARS[function_call.name](function_call)
    if function_call.name in AGGREGATES:
        return AGGREGATES[function_call.name](function_call)
    if function_call.name in ANALYTICS:
        raise invalid(f"Analytic function {function_call.name} cannot be called without an OVER clause")
    raise unsupported(f"the function {function_call.name}")


@binds(exp.SafeFunc)
def _safe(binder: Binder, node: exp.Expr, scope: Scope) -> Bound:
    inner = node.this
    if not isinstance(inner, exp.Anonymous) or inner.name.upper() not in SCALARS:
        raise unsupported(f"the SAFE. prefix in {excerpt(node)}")
    value = binder.bind(inner, scope)
    return value.as_type(f"TRY({value.sql})", value.type)
