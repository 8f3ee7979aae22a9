"""What SQL decides about an event is what the mapping decides, whatever the row holds.

A receipt that SQL overlooks is never read, so no later stage could notice that it is missing.
"""

from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from klaviyo_assets.mapping.event import message_columns
from klaviyo_assets.model.arrow import table_to_frame
from klaviyo_assets.model.metrics import MESSAGE_ROLES, METRIC_KINDS, Metric, resolve_metrics
from klaviyo_assets.model.spec import BLANKS
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.source import event_rules
from klaviyo_assets.source.sql import RawTable, event_time, select
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.strategies import JUNK, TEXTS
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

COLUMNS = ("id", "metric_id", "type", "flow_message_id", "property_cohort_message_send_cohort", "property_message",
           "datetime", "timestamp")  # fmt: skip
NAMES = [name for kind in METRIC_KINDS for name in (kind.name, *kind.older_names)]
PADDING = st.text(BLANKS, max_size=2)
HOSTILE = st.one_of(st.none(), st.sampled_from(JUNK), TEXTS, st.text(BLANKS, max_size=3))
# Letters that one system counts as a K, an s or an i and another one does not, among the ordinary spellings.
ODD_NAMES = ["Clic\u212aed Email", "Received Text Me\u00dfage", "Received Pu\u017fh", "RECE\u0130VED EMAIL",
             "Received\u00a0Email", "received email", "RECEIVED EMAIL"]  # fmt: skip
SPELLINGS = st.sampled_from([*NAMES, *map(str.upper, NAMES), *map(str.swapcase, NAMES), *ODD_NAMES])
WRITTEN = st.one_of(HOSTILE, st.tuples(PADDING, SPELLINGS, PADDING).map("".join))
METRIC_IDS = st.sampled_from([None, "", " ", "\u3000", "a", "b", "c", "a\nb", "A", "gone"])
COHORT_TIMES = ["170000000", "1700000000", "17000000000", "\u0661" * 10, " 1700000000", "\n1700000000"]
COHORT_MESSAGES = ["m1", "", " ", "m1\n", "m\n1", "m\r1", "m\u20281", "01:ab"]
COHORTS = st.one_of(
    HOSTILE,
    st.tuples(st.sampled_from(COHORT_TIMES), st.just(":"), st.one_of(st.sampled_from(COHORT_MESSAGES), TEXTS)).map(
        "".join
    ),
)
TIMES = st.one_of(
    HOSTILE,
    st.sampled_from(["2024-01-31 12:00:00+00", "2024-02-30", "9999-12-31 00:00:00+00", "9998-12-31", "infinity",
                     "0001-01-01", "2024-01-31T12:00:00Z", "\u30002024-01-31\u2003", "2024-01-31 24:00:00"]),
)  # fmt: skip
ROW = st.tuples(METRIC_IDS, WRITTEN, HOSTILE, COHORTS, HOSTILE, TIMES, TIMES)
METRICS = st.dictionaries(METRIC_IDS.filter(bool), st.sampled_from(["", " ", "Signed My Guestbook", *NAMES]))


@pytest.fixture(scope="module")
def url():
    with throwaway_postgres() as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE TABLE event ({', '.join(f'{name} text' for name in COLUMNS)})")
        yield address


def read(url, rows, metrics):
    """The rows as the mapping gets them, and what SQL decides about each, both in order of id."""
    table = RawTable("public", "event", dict.fromkeys(COLUMNS, "text"))
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE event")
        with cursor.copy("COPY event FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((f"{number:04}", *row))
    narrow = select(EVENT, table, properties=False)
    is_message = event_rules.is_of_kind(table, metrics, lambda kind: kind.role in MESSAGE_ROLES)
    decided = sql.SQL(
        "SELECT t.id, {is_receipt} AS is_receipt, {is_message} AS is_message, {time} AS at, {message} AS message "
        "FROM event AS t JOIN ({narrow}) AS e ON e.id = t.id ORDER BY 1"
    ).format(
        is_receipt=event_rules.is_receipt(table, metrics), is_message=is_message, time=event_time(table),
        message=event_rules.message("e"), narrow=narrow,
    )  # fmt: skip
    with PostgresResource(url=url).snapshot() as snapshot:
        raw = snapshot.read(narrow + sql.SQL(" ORDER BY 1"))
        return table_to_frame(raw), snapshot.read(decided)


def assert_agreement(url, rows, names):
    metrics = resolve_metrics([Metric(*named) for named in names.items()], "Nobody's Metric")
    raw, decided = read(url, rows, metrics)
    mapped = message_columns(raw, metrics)

    assert decided["is_receipt"].to_pylist() == mapped.is_receipt.to_pylist()
    assert decided["is_message"].to_pylist() == mapped.of_message.to_pylist()
    assert decided["message"].to_pylist() == mapped.message.to_pylist()
    assert decided["at"].to_pylist() == mapped.at.to_pylist()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW, min_size=1, max_size=40), METRICS)
def test_sql_and_the_mapping_agree_on_kind_time_and_message(url, rows, names):
    assert_agreement(url, rows, names)


def test_they_agree_on_every_pairing_of_cells_that_were_ever_read_differently(url):
    written = [
        f"{before}{name}{after}" for name in ODD_NAMES for before in ("", "\t", "\u3000") for after in ("", "\x1c")
    ]
    cohorts = [f"{at}{colon}{name}" for at in COHORT_TIMES for colon in (":", "::", "") for name in COHORT_MESSAGES]
    kinds = [(metric_id, name, None, None, None, None, None) for metric_id in ("a", "gone", None) for name in written]
    messages = [(None, None, flow, cohort, "p", None, None) for flow in (None, "\u2003", "f") for cohort in cohorts]

    assert_agreement(url, [*kinds, *messages], {"a": "Received Email"})


def test_the_rows_reach_what_they_are_to_tell_apart(url):
    """Else the property above might compare nothing with nothing."""
    rows = [
        ("a", "Opened Email", None, "1700000000:m1", None, "2024-01-31", None),
        ("gone", "\u2003received SMS\u3000", "\u3000", "1700000000:m\n1", "m2", "0001-01-01", "2024-01-31"),
        ("b", "Received Email", "m3", None, None, None, None),
    ]
    metrics = resolve_metrics([Metric("a", "Received Email"), Metric("b", "Signed My Guestbook")], "x")
    _, decided = read(url, rows, metrics)

    assert decided["is_receipt"].to_pylist() == [True, True, False]
    assert decided["message"].to_pylist() == ["m1", "m2", "m3"]
    assert decided["at"].to_pylist() == [datetime(2024, 1, 31, tzinfo=UTC)] * 2 + [None]
