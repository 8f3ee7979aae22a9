"""How a diagnosis is shown: a table within 80 columns, two lines a finding, a verdict."""

import io

import pytest
from rich.console import Console

from klaviyo_assets.cli.doctor import show
from klaviyo_assets.diagnosis.findings import DoctorFinding, Level
from klaviyo_assets.diagnosis.run import SYSTEMS, Diagnosis

LONG = "a_quite_long_name_of_an_account_of_an_agency"
FINDINGS = (
    DoctorFinding(None, "postgres", Level.OK, "Postgres 18 answers"),
    DoctorFinding("acme", "postgres", Level.WARN, "no index on [datetime]", "Make it."),
    DoctorFinding("acme", "postgres", Level.OK, "27 tables are read"),
    DoctorFinding(LONG, "fivetran", Level.FAIL, "the connection is paused", "Enable it. Then sync."),
    DoctorFinding("acme", "s3", Level.FAIL, "there is no bucket", "Make one."),
)
DIAGNOSIS = Diagnosis(("acme", LONG, "bloom"), FINDINGS)


def printed_lines(diagnosis=DIAGNOSIS, *, width=80, **options):
    sink = io.StringIO()
    show(diagnosis, Console(file=sink, width=width, highlight=False), **options)
    return [line.rstrip() for line in sink.getvalue().splitlines()]


def test_the_table_has_a_row_per_account_and_a_column_per_system():
    lines = printed_lines()

    assert lines[0].split() == ["account", *SYSTEMS]
    assert lines[1].split() == ["(all)", "-", "OK", "-", "-", "-", "-", "-"]
    assert lines[2].split() == ["acme", "-", "WARN", "-", "FAIL", "-", "-", "-"]
    assert ["bloom", "-", "-", "-", "-", "-", "-", "-"] in [line.split() for line in lines]


@pytest.mark.parametrize("account", ["acme", LONG])
def test_the_table_fits_80_columns_with_every_system_failing(account):
    worst = tuple(DoctorFinding(account, system, Level.FAIL, "x", "y") for system in SYSTEMS)
    lines = printed_lines(Diagnosis((account,), worst), width=200)

    assert max(len(line) for line in lines if "FAIL  " in line or "account " in line) <= 80


def test_each_problem_is_two_lines_failures_of_an_account_first():
    lines = printed_lines()

    assert lines[-7:-1] == [
        "FAIL acme s3: there is no bucket", "  Make one.",
        "WARN acme postgres: no index on [datetime]", "  Make it.",
        f"FAIL {LONG} fivetran: the connection is paused", "  Enable it. Then sync.",
    ]  # fmt: skip


def test_the_verdict_names_the_accounts_that_do_not_work():
    assert printed_lines(width=200)[-1] == f"2 FAIL, 1 WARN; these accounts do not work: {LONG}, acme."
    assert printed_lines(Diagnosis(("acme",), FINDINGS[:1]))[-1] == "Everything works."


def test_what_is_well_is_shown_where_it_is_asked_for():
    assert "OK acme postgres: 27 tables are read" in printed_lines(everything=True)
    assert "OK acme postgres: 27 tables are read" not in printed_lines()
