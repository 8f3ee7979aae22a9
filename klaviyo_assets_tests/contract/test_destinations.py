"""The conformance suite that every destination passes: a day is replaced as a whole, or not at all."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier

import pyarrow.parquet as pq
import pytest

from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets_tests.contract.destinations import mapped_day

DAY, NEXT = date(2026, 1, 31), date(2026, 2, 1)


def write(destination, folder, ids, day=DAY):
    with mapped_day(day, ids, folder) as (file, record):
        destination.write(file, record, day)


def ids(destination, day=DAY):
    return [row["event_id"] for row in destination.read(day)]


def test_what_is_written_is_read_back_value_for_value(destination, tmp_path):
    with mapped_day(DAY, ["a", "b"], tmp_path) as (file, record):
        destination.write(file, record, DAY)
        expected = pq.read_table(file).to_pylist()
    assert destination.read(DAY) == expected
    assert isinstance(expected[0]["value"], Decimal)


def test_writing_a_day_twice_changes_nothing(destination, tmp_path):
    write(destination, tmp_path, ["a", "b"])
    before = destination.state()
    write(destination, tmp_path, ["a", "b"])
    assert destination.state() == before


def test_a_day_is_replaced_as_a_whole_and_no_other_is_touched(destination, tmp_path):
    write(destination, tmp_path, ["a", "b"])
    write(destination, tmp_path, ["n"], NEXT)
    write(destination, tmp_path, ["c"])
    assert (ids(destination), ids(destination, NEXT)) == (["c"], ["n"])


def test_a_day_can_go_back_to_what_it_was(destination, tmp_path):
    for written in (["a"], ["b"], ["a"]):
        write(destination, tmp_path, written)
    assert ids(destination) == ["a"]


def test_an_empty_day_empties_the_day(destination, tmp_path):
    write(destination, tmp_path, ["a"])
    write(destination, tmp_path, [])
    assert ids(destination) == []


def test_a_day_that_was_never_written_may_be_empty_from_the_start(destination, tmp_path):
    write(destination, tmp_path, [])
    assert ids(destination) == []


def test_of_writers_at_the_same_time_one_wins_as_a_whole(destination, tmp_path):
    """Both may succeed, one after the other; one that lost says that a rerun helps."""
    written = [["a", "b", "c"], ["x", "y"], ["k"], ["r", "s"]]
    write(destination, tmp_path, ["before"])
    together = Barrier(len(written))

    def attempt(chosen):
        together.wait()
        try:
            write(destination, tmp_path, chosen)
        except TransientError:
            return None
        return chosen

    with ThreadPoolExecutor(len(written)) as pool:
        done = [chosen for chosen in pool.map(attempt, written) if chosen]
    assert done, "at least one has written"
    assert ids(destination) in done


def test_a_file_that_is_not_what_its_record_says_is_refused_and_changes_nothing(destination, tmp_path):
    write(destination, tmp_path, ["a"])
    before = destination.state()
    with mapped_day(DAY, ["b"], tmp_path) as (file, record):
        file.write_bytes(b"not parquet at all")
        with pytest.raises(PermanentError):
            destination.write(file, replace(record, rows=1), DAY)
    assert ids(destination) == ["a"]
    assert destination.state() == before


def test_a_server_that_does_not_answer_is_a_passing_fault(destination, tmp_path):
    with pytest.raises(TransientError, match=r"archiving to s3://|dataset"):
        write(destination.out_of_reach(), tmp_path, ["a"])


@pytest.mark.timeout(30)
def test_reading_from_a_server_that_does_not_answer_ends_soon(destination):
    """Google's client would ask for ten minutes."""
    with pytest.raises(TransientError):
        destination.out_of_reach().read(DAY)


def test_a_place_or_login_that_is_refused_is_none(destination, tmp_path):
    """A rerun would not help, and the message says what is needed."""
    with pytest.raises(PermanentError, match=r"S3_BUCKET|credentials"):
        write(destination.refused(), tmp_path, ["a"])


@pytest.mark.parametrize("destination", ["bigquery"], indirect=True)
def test_bigquery_refuses_rows_of_another_day(destination, tmp_path):
    """In the archive a file's day is its key alone; in BigQuery every row says its own."""
    write(destination, tmp_path, ["a"])
    with mapped_day(DAY, ["b"], tmp_path, of=DAY + timedelta(days=1)) as (file, record):
        with pytest.raises(PermanentError, match="partition"):
            destination.write(file, record, DAY)
    assert ids(destination) == ["a"]


@pytest.mark.parametrize("destination", ["bigquery"], indirect=True)
def test_bigquery_loads_as_many_rows_as_the_record_says_or_fails(destination, tmp_path):
    with mapped_day(DAY, ["a", "b"], tmp_path) as (file, record):
        with pytest.raises(PermanentError, match="the file has 3 rows, but BigQuery reports 2"):
            destination.write(file, replace(record, rows=3), DAY)
