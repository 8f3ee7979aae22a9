"""The table of faults: complete, readable again, and every cell within its limit."""

import re

import pytest

from klaviyo_assets.errors import TransientError
from klaviyo_assets_tests.faults.matrix import BEGIN, DOCUMENT, END, FAULTS, SYSTEMS, Cell, measured, read_table, table


def test_the_table_in_the_documentation_names_every_fault_and_no_cell_is_over_its_limit():
    cells = read_table(DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0])
    for fault in FAULTS:
        for system in ("Fivetran", "S3", "BigQuery"):
            outcome, seconds, limit = re.fullmatch(r"(\w+), ([\d.]+) of ([\d.]+) s", cells[fault, system]).groups()
            assert outcome in {"done", "transient", "permanent"}
            assert float(seconds) <= float(limit)


def test_a_table_is_read_as_it_was_written():
    cells = {(fault, system): f"{fault} {system}" for fault in FAULTS for system in SYSTEMS}
    assert {key: value for key, value in read_table(table(cells)).items() if key[0] in FAULTS} == cells


def test_what_takes_longer_than_its_limit_fails():
    with pytest.raises(AssertionError, match="the limit is 0 s"), measured("S3", "500", 0):
        raise TransientError("late")


def test_an_error_that_is_not_ours_is_not_swallowed():
    with pytest.raises(ValueError, match="crash"), measured("S3", "500", 60):
        raise ValueError("crash")


def test_a_cell_is_of_a_fault_and_a_system_that_there_are():
    with pytest.raises(AssertionError):
        Cell("S3", "an earthquake", 1)
