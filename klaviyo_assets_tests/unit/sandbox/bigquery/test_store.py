"""Transactions, locks and kept results."""

import threading

import duckdb
import pytest

from klaviyo_assets.sandbox.bigquery.errors import ApiError, StartError
from klaviyo_assets.sandbox.bigquery.results import ResultFiles
from klaviyo_assets.sandbox.bigquery.store import Store, TableLocks, count_of, fetch_row


@pytest.fixture
def store(tmp_path):
    """An open store."""
    opened = Store(tmp_path / "x.duckdb")
    yield opened
    opened.close()


def insert_and_fail(store, sql):
    """Insert a row in a transaction that then fails."""
    with store.transaction() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
        cursor.execute(sql)
        raise RuntimeError


def test_a_transaction_that_raises_leaves_nothing(store):
    with store.transaction() as cursor:
        cursor.execute("CREATE TABLE t (n INTEGER)")
    with pytest.raises(RuntimeError):
        insert_and_fail(store, "INSERT INTO t VALUES (2)")
    with pytest.raises(duckdb.Error):
        insert_and_fail(store, "SELECT error('x')")

    with store.snapshot() as cursor:
        assert count_of(cursor, "SELECT count(*) FROM t") == 0


def test_a_snapshot_sees_one_moment(store):
    with store.transaction() as cursor:
        cursor.execute("CREATE TABLE t (n INTEGER)")
    with store.snapshot() as reader:
        before = fetch_row(reader, "SELECT count(*) FROM t")
        with store.transaction() as writer:
            writer.execute("INSERT INTO t VALUES (1)")
        after = fetch_row(reader, "SELECT count(*) FROM t")

    assert before == after == (0,)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "x.duckdb").write_bytes(b"x" * 10_000)

    with pytest.raises(StartError, match=r"x\.duckdb"):
        Store(tmp_path / "x.duckdb")


def test_a_writer_waits_for_the_other_writer_of_its_table_only():
    locks, entered = TableLocks(), []
    first_table, other_table = ("p", "d", "one"), ("p", "d", "other")

    def write(ref):
        with locks.writing([ref], lambda _: True):
            entered.append(ref)

    with locks.writing([first_table], lambda _: True):
        waiting, free = (threading.Thread(target=write, args=(ref,)) for ref in (first_table, other_table))
        waiting.start()
        free.start()
        free.join(60)
        assert entered == [other_table]
    waiting.join(60)
    assert entered == [other_table, first_table]


def test_a_writer_whose_table_vanished_while_it_waited_holds_the_dataset_too():
    locks, answers = TableLocks(), iter([True, False, False, False])
    blocked = []

    with locks.writing([("p", "d", "t")], lambda _: next(answers)):
        other = threading.Thread(target=lambda: blocked.append(locks.hold([("p", "d", "")]).__enter__()))
        other.start()
        other.join(0.1)
        assert blocked == []
    other.join(60)
    assert blocked == [None]


def test_results_are_paged_and_the_oldest_forgotten(store, tmp_path):
    results = ResultFiles(tmp_path / "results", files=2)
    with store.snapshot() as cursor:
        for name in ("a", "b", "c"):
            select = "SELECT i FROM range(100000) r(i) WHERE i < $n"
            assert results.write(cursor, name, ["n"], select, {"n": 70_000}) == 70_000

    page = results.page("c", 65_000, 1_000)

    assert page.column("n").to_pylist() == list(range(65_000, 66_000))
    assert results.page("c", 70_000, 5).num_rows == 0
    with pytest.raises(ApiError, match="keeps the last 2"):
        results.page("a", 0, 1)
