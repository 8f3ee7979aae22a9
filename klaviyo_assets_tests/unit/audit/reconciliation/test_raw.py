"""Counting raw events: money is parsed as the mapping parses it, and added exactly."""

from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation.raw import RawDay, account_table_rows, raw_days, undated_rows
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.source.sql import RawTable

DAY = date(2024, 5, 1)
ACCOUNT = Account("acme", "klaviyo_acme", timezone="Europe/Berlin", currency="EUR")
SCHEMA = pa.schema([("day", pa.date32()), ("deleted", pa.string()), ("value", pa.string()), ("currency", pa.string()),
                    ("rows", pa.int64())])  # fmt: skip


class Answers:
    """A snapshot that gives these groups of rows, and keeps what it was asked."""

    def __init__(self, *rows: tuple) -> None:
        self.batch = pa.RecordBatch.from_pylist(
            [dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA
        )
        self.asked: list[str] = []

    @contextmanager
    def stream(self, query):
        self.asked.append(query.as_string(None))
        yield pa.RecordBatchReader.from_batches(SCHEMA, [self.batch])


def counted(*rows: tuple) -> dict[date, RawDay]:
    columns = {"id": "text", "datetime": "timestamptz", "property_value": "text", "property_currency": "text"}
    source = AccountSource(ACCOUNT, Answers(*rows), {"event": RawTable("klaviyo_acme", "event", columns)})
    return raw_days(source, DAY, DAY)


def test_equal_rows_count_as_often_as_there_are():
    raw_days = counted((DAY, None, "19.99", "EUR", 3), (DAY, None, None, None, 10))

    assert raw_days == {DAY: RawDay(13, 0, 0, {"EUR": Decimal("59.97")})}


def test_deleted_rows_count_but_bring_no_money_and_no_unreadable_values():
    raw_days = counted((DAY, "true", "19.99", "EUR", 2), (DAY, "t", "n.a.", None, 1), (DAY, "false", "5", None, 1))

    assert raw_days == {DAY: RawDay(4, 3, 0, {"EUR": Decimal(5)})}


def test_a_currency_is_read_as_the_mapping_reads_it_and_its_absence_is_the_accounts_own():
    raw_days = counted((DAY, None, "1", " usd ", 1), (DAY, None, "2", "dollar", 1), (DAY, None, "4", "", 1))

    assert raw_days[DAY].money == {"USD": Decimal(1), "EUR": Decimal(6)}


def test_values_that_are_no_number_are_counted_not_added():
    raw_days = counted((DAY, None, "1,234", "EUR", 2), (DAY, None, "inf", "EUR", 1), (DAY, None, "1.234,50", "EUR", 1))

    assert raw_days == {DAY: RawDay(4, 0, 3, {"EUR": Decimal("1234.5")})}


def test_sums_of_more_digits_than_decimals_usual_28_are_exact():
    raw_days = counted(
        (DAY, None, "9999999999999999999999999999.123456789", "EUR", 1), (DAY, None, "0.000000001", "EUR", 1)
    )

    assert raw_days[DAY].money["EUR"] == Decimal("9999999999999999999999999999.123456790")


def test_without_an_event_table_there_is_nothing():
    source = AccountSource(ACCOUNT, SimpleNamespace(), {})

    assert (raw_days(source, DAY, DAY), undated_rows(source)) == ({}, 0)
    assert set(account_table_rows(source).values()) == {0}
