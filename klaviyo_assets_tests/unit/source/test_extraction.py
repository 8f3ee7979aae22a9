"""A day is extracted with everything its mapping needs: alone it comes out as it would with the whole table at hand."""

import json
import random
from datetime import UTC, date, datetime, timedelta

import psycopg
import pyarrow as pa
import pytest
from psycopg import sql

from klaviyo_assets.accounts import Account, AttributionSettings
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.source.extraction import AccountSource, extract_day, extract_undated
from klaviyo_assets.source.sql import order_by, select
from klaviyo_assets.stages.mapping import AccountMapping
from klaviyo_assets.tables import EVENT
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

PRIVACY = Privacy("hash", b"0123456789abcdef")
START = datetime(2026, 3, 1, 5, tzinfo=UTC)
DAYS = [date(2026, 3, 1) + timedelta(days=ahead) for ahead in range(9)]
METRICS = {
    "rec": "Received Email", "ope": "Opened Email", "cli": "Clicked SMS", "sms": "Received SMS", "bou": "Bounced Email",
    "ord": "Placed Order", "act": "Active on Site", "sub": "Subscribed to List",
}  # fmt: skip
CREATE = """
    DROP SCHEMA IF EXISTS k CASCADE; CREATE SCHEMA k;
    CREATE TABLE k.metric (id text, name text);
    CREATE TABLE k.event (
        id text PRIMARY KEY, datetime {time}, person_id text, metric_id text, type text, campaign_id text,
        flow_id text, flow_message_id text, _variation text, _fivetran_deleted boolean,
        property_attribution jsonb, property_cohort_message_send_cohort text, property_message text,
        property_value text
    )
"""


@pytest.fixture(scope="module")
def url():
    with throwaway_postgres() as address:
        yield address


@pytest.fixture
def database(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def create(database, rows, time="timestamptz"):
    database.execute(CREATE.format(time=time))
    for metric in METRICS.items():
        database.execute("INSERT INTO k.metric VALUES (%s, %s)", metric)
    for row in rows:
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        values = [json.dumps(value) if isinstance(value, dict | list) else value for value in row.values()]
        database.execute(
            sql.SQL("INSERT INTO k.event ({}) VALUES ({})").format(
                names, sql.SQL(", ").join([sql.Placeholder()] * len(row))
            ),
            values,
        )


def random_event(dice, number):
    """An event of anything: own ids, recorded ids that lead somewhere or not, sends stated or not, ids written ''."""
    metric = dice.choice([*METRICS, "rec", "ope", "ord", "gone"])
    owner = dice.choice([{}, {"campaign_id": "c1"}, {"campaign_id": "c2"}, {"flow_id": "f1", "flow_message_id": "m1"},
                         {"flow_id": "f1", "flow_message_id": ""}, {"flow_id": "f2"}])  # fmt: skip
    if metric in {"ord", "act", "sub", "gone"} and dice.random() < 0.6:
        owner = {}
    named = {"attributed-event": {"data": {"id": f"e{dice.randrange(160)}"}}} if dice.random() < 0.7 else {}
    direct = dice.choice([{}, {}, {"campaign": {"data": {"id": "c1"}}},
                          {"flow": {"data": {"id": "f1"}}, "flow-message": {"data": {"id": "m1"}}}])  # fmt: skip
    return {
        "id": f"e{number}",
        "datetime": START + timedelta(seconds=dice.randrange(9 * 24) * 3600),
        "person_id": dice.choice(["ann", "bob", "cat", None, ""]),
        "metric_id": dice.choice([metric, metric, None]),
        "type": METRICS.get(metric, "Received Email").upper(),
        "_variation": dice.choice([None, "v1", "v2"]),
        "_fivetran_deleted": dice.random() < 0.05,
        "property_attribution": {"relationships": named | direct} if dice.random() < 0.6 else None,
        "property_cohort_message_send_cohort": dice.choice([None, None, "1772000000:m1", "1772100000:m2", "junk"]),
        "property_message": dice.choice([None, "m1", "m2", " "]),
        "property_value": "10",
        **owner,
    }


@pytest.mark.parametrize("mode", ["native", "touch"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_day_alone_is_mapped_as_with_the_whole_table_at_hand(database, url, tmp_path, mode, seed):
    dice = random.Random(seed)
    create(database, [random_event(dice, number) for number in range(160)])
    account = Account("acme", "k", timezone="America/New_York", attribution=AttributionSettings(mode))
    frames = FrameStore(url=str(tmp_path))
    mapping = AccountMapping(frames, account, PRIVACY, quarantine_share=1.0)
    credited = 0

    for day in (DAYS[2], DAYS[5], DAYS[7]):
        with PostgresResource(url=url).snapshot() as snapshot:
            source = AccountSource.open(account, snapshot)
            key = FrameKey("extracted", "acme", "event", day.isoformat())
            with frames.write(key) as writer:
                extract_day(source, day, writer)
            alone = everything_of(frames, mapping, day)
            with_everything_at_hand(source, frames, key)
        assert alone == everything_of(frames, mapping, day)
        credited += len(alone[1])

    assert credited, "the shop has to have something to find"


def everything_of(frames, mapping, day):
    mapping.map_events(day)
    mapping.map_attribution(day)
    return [
        frames.open(FrameKey("mapped", "acme", table, day.isoformat()), name).read().to_pylist()
        for table, name in [("event", "rows"), ("attribution", "rows"), ("attribution", "quarantine")]
    ]


def with_everything_at_hand(source, frames, key):
    """The same extracted frame with every event of the account among its touches."""
    record, rows = frames.record(key), frames.open(key).read()
    table = source.table(EVENT)
    query = sql.SQL("{} {}").format(select(EVENT, table, properties=False), order_by(EVENT, table))
    with frames.write(key) as writer:
        writer.append(rows)
        writer.append(source.snapshot.read(query), "touches")
        writer.finish(rows_raw=record.rows_raw, details=record.details | {"needs_receipts": True})


def test_what_a_day_read_is_kept_so_that_a_change_there_is_noticed(database, url, tmp_path):
    later = START + timedelta(days=6)
    create(database, [
        {"id": "order", "datetime": later, "person_id": "ann", "metric_id": "ord",
         "property_attribution": [{"$attributed_event_id": "click"}, {"$attributed_event_id": "gone"}]},
        {"id": "click", "datetime": START, "person_id": "ann", "metric_id": "cli", "campaign_id": "c1"},
    ])  # fmt: skip
    account = Account("acme", "k", timezone="America/New_York")
    frames = FrameStore(url=str(tmp_path))
    with PostgresResource(url=url).snapshot() as snapshot:
        source = AccountSource.open(account, snapshot)
        with frames.write(FrameKey("extracted", "acme", "event", DAYS[6].isoformat())) as writer:
            record = extract_day(source, DAYS[6], writer)

        assert record.details["reads"] == {"2026-03-01": source.digests([DAYS[0]])[DAYS[0]]}
    assert record.details["missing"] == ["gone"]


TIMES = {
    "2026-03-02 00:30:00": DAYS[0], "2026-03-02T12:00:00Z": DAYS[1], " 2026-03-03 12:00:00.5 UTC ": DAYS[2],
    "2026-03-04 01:00:00+02": DAYS[2], "2026-03-04 23:00:00-0400": DAYS[3], "2026-03-06": DAYS[4],
    "2024-02-29 12:00": date(2024, 2, 29), "2000-02-29 12:00": date(2000, 2, 29),
}  # fmt: skip
NO_TIMES = ["", "soon", "2026-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "0000-01-01", "2026-03-01 24:00:00",
            "2026-03-01 12:60", "20260301", "1772000000", "infinity", "now", "2026-03-01 12:00:00+99", "2026-W10-1",
            "2026-03-01 12:00:00 Europe/Berlin", "March 1, 2026"]  # fmt: skip


def test_times_written_as_texts_find_their_day_and_texts_that_are_none_are_undated(database, url, tmp_path):
    """One text that is no time takes no other event with it, and Postgres and the mapping agree on every one."""
    texts = [*TIMES, *NO_TIMES]
    create(database, [{"id": text or "(empty)", "datetime": text, "metric_id": "act"} for text in texts], "text")
    account = Account("acme", "k", timezone="America/New_York", start_date=date(2000, 1, 1))
    frames = FrameStore(url=str(tmp_path))
    mapping = AccountMapping(frames, account, PRIVACY)
    with PostgresResource(url=url).snapshot() as snapshot:
        source = AccountSource.open(account, snapshot)
        for day in set(TIMES.values()):
            with frames.write(FrameKey("extracted", "acme", "event", day.isoformat())) as writer:
                extract_day(source, day, writer)
        with frames.write(FrameKey("extracted", "acme", "event", "undated")) as writer:
            extract_undated(source, writer)

    for day in set(TIMES.values()):
        assert mapping.map_events(day).rows_quarantined == 0
        rows = frames.open(FrameKey("mapped", "acme", "event", day.isoformat())).read()
        assert set(rows["event_id"].to_pylist()) == {text for text, found in TIMES.items() if found == day}
    mapping.map_undated()
    undated = frames.open(FrameKey("mapped", "acme", "event", "undated"), "quarantine").read()
    assert sorted(undated["row_id"].to_pylist()) == sorted(text or "(empty)" for text in NO_TIMES)


def test_a_time_column_of_another_kind_stops_nothing(database, url):
    """A bigint is no time Postgres knows; its events are undated, and the account's other tables go on."""
    create(database, [{"id": "e", "datetime": 1_772_000_000}], "bigint")
    with PostgresResource(url=url).snapshot() as snapshot:
        source = AccountSource.open(Account("acme", "k"), snapshot)

        assert source.digests([DAYS[0]]) == {DAYS[0]: "0:0"}


@pytest.mark.parametrize("mode", ["touch", "native"])
@pytest.mark.parametrize("changes", [
    {"person_id": "bigint USING person_id::bigint"},
    {name: f"json USING to_json({name})" for name in ("id", "person_id", "metric_id", "type")},
    {name: f"jsonb USING to_jsonb({name})" for name in ("id", "person_id", "metric_id", "type")},
])  # fmt: skip
def test_ids_of_other_types_are_compared_as_texts(database, url, tmp_path, changes, mode):
    at = {"datetime": START, "person_id": "5"}
    create(database, [
        at | {"id": "o", "metric_id": "ord", "property_attribution": '{"$attributed_event_id": "c"}'},
        at | {"id": "c", "metric_id": "cli", "campaign_id": "c1"},
    ])  # fmt: skip
    database.execute("ALTER TABLE k.event DROP CONSTRAINT IF EXISTS event_pkey")
    for name, kind in changes.items():
        database.execute(f"ALTER TABLE k.event ALTER COLUMN {name} TYPE {kind}")
    account = Account("acme", "k", timezone="America/New_York", attribution=AttributionSettings(mode))
    with PostgresResource(url=url).snapshot() as snapshot, FrameStore(url=str(tmp_path)).write(
        FrameKey("extracted", "acme", "event", DAYS[0].isoformat())
    ) as writer:  # fmt: skip
        extract_day(AccountSource.open(account, snapshot), DAYS[0], writer)

    touches = FrameStore(url=str(tmp_path)).open(FrameKey("extracted", "acme", "event", "2026-03-01"), "touches").read()
    assert touches["id"].to_pylist() == ["c"]
    assert touches["person_id"].type == pa.string()
