"""How a reconciliation is shown: rows and money per stage, discrepancies and their fixes, and JSON.

Here: layout, at most 80 columns wide. Not here: the equations (`audit/reconciliation/`).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from klaviyo_assets.audit.reconciliation.findings import EXACT
from klaviyo_assets.cli.query_output import json_value
from klaviyo_assets.text import plural

if TYPE_CHECKING:
    from klaviyo_assets.audit.reconciliation import Discrepancy, Reconciliation

_MOST_SHOWN = 20
_STYLES = {"error": "red", "warning": "yellow"}


def show(reconciliation: "Reconciliation", console: Console) -> None:
    """One account: a table of its stages, its findings, and a verdict."""
    console.print(_stages(reconciliation))
    for finding in reconciliation.findings[:_MOST_SHOWN]:
        _show_finding(finding, console)
    more = len(reconciliation.findings) - _MOST_SHOWN
    if more > 0:
        console.print(f"and {more:,} more; --json lists all")
    console.print(_verdict(reconciliation))


def _stages(reconciliation: "Reconciliation") -> Table:
    title = f"{reconciliation.account}, {reconciliation.first} to {reconciliation.last}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("stage", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("money", justify="right", no_wrap=True)
    for stage in reconciliation.stages:
        rows = "" if stage.rows is None else _number(stage.rows)
        table.add_row(Text(stage.stage), rows, _money(stage.money or {}))
    return table


def _money(amounts: Mapping[str, Decimal]) -> str:
    """One line per currency; `all` for a sum over currencies, which is a checksum, not an amount."""
    return "\n".join(f"{_amount(amount)} {currency or 'all'}" for currency, amount in amounts.items())


def _amount(amount: Decimal) -> str:
    """An amount with two decimals, or with as many as it has."""
    decimals = max(2, -int(amount.normalize(EXACT).as_tuple().exponent))
    return f"{amount:,.{decimals}f}"


def _number(value: object) -> str:
    """A number with thousands separators and all its decimals; a text as it is."""
    if isinstance(value, Decimal):
        return f"{value.normalize(EXACT):,f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _show_finding(finding: "Discrepancy", console: Console) -> None:
    head = Text(f"{finding.severity}: ", style=f"bold {_STYLES[finding.severity]}")
    where = " ".join(str(part) for part in (finding.day, finding.subject) if part)
    head.append(f"{where + ': ' if where else ''}{finding.equation.sentence}")
    console.print(head, soft_wrap=not console.is_terminal)
    sides = f"{finding.equation.left} {_side(finding.left)}, {finding.equation.right} {_side(finding.right)}"
    apart = "" if finding.difference is None else f"; difference {_number(finding.difference)}"
    for line in (f"{sides}{apart}", finding.fix):
        # In a pipe, a line stays one line and is not padded to the width of a screen.
        text = Padding(Text(line), (0, 0, 0, 2)) if console.is_terminal else Text(f"  {line}")
        console.print(text, soft_wrap=not console.is_terminal)


def _side(value: object) -> str:
    return "nothing" if value is None else _number(value)


def _verdict(reconciliation: "Reconciliation") -> Text:
    errors = sum(finding.severity == "error" for finding in reconciliation.findings)
    warnings = len(reconciliation.findings) - errors
    noted = f", {plural(warnings, 'warning')}" if warnings else ""
    if not errors:
        return Text(
            f"{reconciliation.account}: all of {reconciliation.compared:,} equations hold{noted}", style="green"
        )
    return Text(
        f"{reconciliation.account}: {errors:,} of {reconciliation.compared:,} equations do not hold{noted}",
        style="bold red",
    )


def as_json(reconciliation: "Reconciliation") -> dict[str, Any]:
    """The JSON document. Exact numbers are text, because readers of JSON turn its numbers into doubles."""
    stages = [
        {"stage": stage.stage.strip(), "rows": stage.rows, "money": dict(stage.money or {})}
        for stage in reconciliation.stages
    ]
    document = {
        "account": reconciliation.account, "start": reconciliation.first, "end": reconciliation.last,
        "holds": reconciliation.holds, "equations": reconciliation.compared, "stages": stages,
        "findings": [_finding_json(finding) for finding in reconciliation.findings],
    }  # fmt: skip
    plain: dict[str, Any] = json_value(_shortest(document))
    return plain


def _shortest(value: Any) -> Any:
    """Exact decimals without trailing zeros: 12.500000000 is 12.5."""
    if isinstance(value, Mapping):
        return {name: _shortest(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shortest(inner) for inner in value]
    return value.normalize(EXACT) if isinstance(value, Decimal) else value


def _finding_json(finding: "Discrepancy") -> dict[str, Any]:
    equation = finding.equation
    return {
        "severity": str(finding.severity), "day": finding.day, "equation": equation.name,
        "sentence": equation.sentence, "subject": finding.subject, "left": finding.left, "right": finding.right,
        "difference": finding.difference, "fix": finding.fix,
    }  # fmt: skip
