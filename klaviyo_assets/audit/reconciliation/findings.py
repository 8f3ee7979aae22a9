"""Equations and findings: what has to be equal, and what is reported if it is not.

Here: the vocabulary, and comparing two sides. Not here: the equations' own numbers (`stages.py`, `report_equations.py`)
and reading them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal
from enum import StrEnum

Amount = int | Decimal | str | None
# More digits than any sum of NUMERIC values has; Python's default context rounds at 28.
EXACT = Context(prec=60)


class Severity(StrEnum):
    """Whether a finding means that numbers are wrong."""

    ERROR = "error"
    WARN = "warning"


@dataclass(frozen=True)
class Equation:
    """Something that has to hold.

    Attributes:
        name: For programs.
        sentence: What has to hold, in words.
        left: Whose number the left side is.
        right: Whose number the right side is.
    """

    name: str
    sentence: str
    left: str
    right: str


@dataclass(frozen=True)
class Discrepancy:
    """An equation that does not hold, or a warning.

    Attributes:
        account: The account's name.
        day: The account's calendar day; None if it belongs to no single day.
        equation: What does not hold.
        left: The left side's number or text; None if there is none.
        right: The right side's.
        severity: ERROR: numbers are wrong or missing. WARN: worth a look, numbers are conserved.
        fix: What to do about it.
        subject: Which table, currency, statistic or message it is about.
    """

    account: str
    day: date | None
    equation: Equation
    left: Amount
    right: Amount
    severity: Severity
    fix: str
    subject: str = ""

    @property
    def difference(self) -> int | Decimal | None:
        """Left minus right; None if a side is not a number."""
        if isinstance(self.left, int | Decimal) and isinstance(self.right, int | Decimal):
            return difference(self.left, self.right)
        return None

    def __str__(self) -> str:
        """In one line: where, what does not hold, both sides, and what to do."""
        where = " ".join(str(part) for part in (self.day, self.subject) if part)
        sides = f"{self.equation.left} {self.left}, {self.equation.right} {self.right}"
        return f"{where + ': ' if where else ''}{self.equation.sentence} {sides}. {self.fix}"


@dataclass
class Findings:
    """Compares sides for one account, and keeps what does not hold.

    Attributes:
        account: The account's name.
        found: The findings so far.
        compared: How many equations were checked, including those that hold.
    """

    account: str
    discrepancies: list[Discrepancy] = field(default_factory=list)
    compared: int = 0

    def compare(
        self, equation: Equation, left: Amount, right: Amount, fix: str, *, day: date | None = None, subject: str = "",
        severity: Severity = Severity.ERROR,
    ) -> bool:  # fmt: skip
        """Note a finding unless both sides are equal; return whether they are."""
        self.compared += 1
        if left == right:
            return True
        self.discrepancies.append(Discrepancy(self.account, day, equation, left, right, severity, fix, subject))
        return False

    @property
    def errors(self) -> list[Discrepancy]:
        """The findings that mean wrong or missing numbers."""
        return [finding for finding in self.discrepancies if finding.severity is Severity.ERROR]

    @property
    def by_weight(self) -> list[Discrepancy]:
        """Errors first, then warnings, each in the order they were found."""
        return sorted(self.discrepancies, key=lambda finding: finding.severity is Severity.WARN)


def difference(left: int | Decimal, right: int | Decimal) -> int | Decimal:
    """Left minus right, exactly."""
    if isinstance(left, int) and isinstance(right, int):
        return left - right
    return EXACT.subtract(Decimal(left), Decimal(right))


def exact_sum(amounts: Iterable[Decimal | int | None]) -> Decimal:
    """The exact sum; null counts as nothing."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, Decimal(amount or 0))
    return total


def run_command(account: str, first: date, last: date, *options: str) -> str:
    """The command that rebuilds days, for the sentence that says what to do."""
    parts = ["klaviyo-assets run", f"--start {first}", f"--end {last}", f"--account {account}", *options]
    return f"`{' '.join(parts)}`"
