"""Comparing two sides: exact, with a difference where both are numbers."""

from datetime import date
from decimal import Decimal

from klaviyo_assets.audit.reconciliation.findings import Equation, Findings, Severity, exact_sum, run_command

EQUATION = Equation("rows", "Rows are rows.", "one", "other")


def test_equal_sides_leave_no_finding_and_are_counted():
    findings = Findings("acme")

    assert findings.compare(EQUATION, 1, Decimal("1.000"), "Fix it.")
    assert (findings.discrepancies, findings.compared) == ([], 1)


def test_a_difference_is_exact_and_only_between_numbers():
    findings = Findings("acme")
    findings.compare(EQUATION, Decimal("99999999999999999999999999999.01"), Decimal("0.02"), "Fix it.")
    findings.compare(EQUATION, "a", "b", "Fix it.")
    findings.compare(EQUATION, 1, None, "Fix it.")

    assert [finding.difference for finding in findings.discrepancies] == [
        Decimal("99999999999999999999999999998.99"), None, None,
    ]  # fmt: skip


def test_errors_come_before_warnings():
    findings = Findings("acme")
    findings.compare(EQUATION, 1, 2, "Fix it.", severity=Severity.WARN)
    findings.compare(EQUATION, 3, 4, "Fix it.")

    assert [finding.left for finding in findings.by_weight] == [3, 1]
    assert [finding.left for finding in findings.errors] == [3]


def test_sums_take_null_for_nothing():
    assert exact_sum([Decimal("0.01"), None, 2]) == Decimal("2.01")


def test_a_command_to_mend_with_can_be_pasted():
    assert run_command("acme", date(2024, 5, 1), date(2024, 5, 2), "--no-sync") == (
        "`klaviyo-assets run --start 2024-05-01 --end 2024-05-02 --account acme --no-sync`"
    )


def test_a_finding_in_one_line_says_where_what_how_much_and_what_to_do():
    findings = Findings("acme")
    findings.compare(EQUATION, 3, 2, "Fix it.", day=date(2024, 5, 1), subject="event")
    findings.compare(EQUATION, 3, 2, "Fix it.")

    assert list(map(str, findings.discrepancies)) == [
        "2024-05-01 event: Rows are rows. one 3, other 2. Fix it.",
        "Rows are rows. one 3, other 2. Fix it.",
    ]
