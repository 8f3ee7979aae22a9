"""Where the product sends SQL to BigQuery, by its source; and what it sent from there, by a recorder.

Here: finding the calls, and noting statements while a test drives the product in this process. Not here: judging them.

Every statement goes through `BigQueryDataset.query`. `Warehouse.rows` passes statements of its callers on to it, so
these callers count as well.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets_tests.checkout import ROOT

PACKAGE = ROOT / "klaviyo_assets"
CHOKE_POINT = "klaviyo_assets/destinations/bigquery/dataset.py"
_SENDERS = frozenset({"query", "rows"})
# What else of Google's client takes SQL.
_SIDE_DOORS = frozenset({"query_and_wait", "QueryJobConfig", "view_query", "mview_query"})
# What is called `query` and sends nothing: the command, and a part of an address.
_NO_SENDERS = frozenset({"query.query", "urlsplit(str(link)).query", "parts.query"})


@dataclass(frozen=True, order=True)
class Site:
    """A call in the product's source that sends a statement."""

    file: str
    first_line: int
    last_line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.first_line}"


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if not path.is_relative_to(PACKAGE / "sandbox"):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def call_sites() -> set[Site]:
    """Every call of the product that sends SQL, but for the one inside the choke point."""
    return {
        Site(name, node.lineno, node.end_lineno or node.lineno)
        for name, module in _modules()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and _is_sender(node.func) and name != CHOKE_POINT
    }


def _is_sender(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in _SENDERS


def side_doors() -> set[str]:
    """Places that could send SQL past the choke point, or past the recorder."""
    return {
        f"{name}:{node.lineno}"
        for name, module in _modules()
        if name != CHOKE_POINT
        for node in _suspects(module)
    }  # fmt: skip


def _suspects(module: ast.Module) -> Iterator[ast.Attribute | ast.alias | ast.Name]:
    called = {id(node.func) for node in ast.walk(module) if isinstance(node, ast.Call)}
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            is_handed_on = id(node) not in called and ast.unparse(node) not in _NO_SENDERS
            is_of_client = ast.unparse(node.value).endswith("client")
            if node.attr in _SIDE_DOORS or (node.attr == "query" and (is_handed_on or is_of_client)):
                yield node
        elif (isinstance(node, ast.alias) and node.name in _SIDE_DOORS) or (
            isinstance(node, ast.Name) and node.id in _SIDE_DOORS
        ):
            yield node


@dataclass(frozen=True)
class Sent:
    """A statement that was sent, and what the stand-in answered: the columns of the result."""

    sql: str
    parameters: Mapping[str, tuple[str, Any]]
    dataset: BigQueryDataset
    lines: tuple[tuple[str, int], ...]
    columns: tuple[tuple[str, str, str], ...]


@dataclass
class Recording:
    """The statements that were sent."""

    statements: list[Sent] = field(default_factory=list)

    def reached(self) -> set[Site]:
        """The call sites that sent any of them."""
        lines = {line for sent in self.statements for line in sent.lines}
        return {
            site for site in call_sites()
            if any(file == site.file and site.first_line <= line <= site.last_line for file, line in lines)
        }  # fmt: skip

    @contextmanager
    def of_everything(self) -> Iterator[None]:
        """Note every statement that this process sends."""
        send = BigQueryDataset.query

        def query(dataset: BigQueryDataset, text: str, parameters: Any = None, **options: Any) -> Any:
            answer = send(dataset, text, parameters, **options)
            columns = tuple((column.name, column.field_type, column.mode) for column in answer.schema)
            self.statements.append(Sent(text, dict(parameters or {}), dataset, tuple(_product_lines()), columns))
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BigQueryDataset, "query", query)
            yield


def _product_lines() -> Iterator[tuple[str, int]]:
    """The lines of the product that lead to here, the nearest first."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            yield str(path.relative_to(ROOT)), frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
