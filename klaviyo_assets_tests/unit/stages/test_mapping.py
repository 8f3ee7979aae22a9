"""Frames through the mapping: what bad rows cost their partition."""

from contextlib import nullcontext
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.mapping.privacy import Privacy
from klaviyo_assets.model.spec import PACKED, UNLISTED
from klaviyo_assets.stages.mapping import AccountMapping, BrokenPartitionError
from klaviyo_assets.tables import EVENT, METRIC
from klaviyo_assets_tests.factories import raw_frame

DAY = date(2024, 1, 31)
NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)
ACCOUNT = Account(name="acme", postgres_schema="k")


@pytest.fixture
def mapped(tmp_path):
    """Map a day of raw rows, with touches of other days; gives the record and the frames."""

    def do(rows, touches=({"id": "t"},), source="native"):
        frames = FrameStore(url=str(tmp_path))
        with frames.write(FrameKey("extracted", "acme", "event", DAY.isoformat())) as writer:
            writer.append(_table(rows))
            writer.append(_table(touches).drop_columns([UNLISTED, PACKED]), "touches")
            writer.finish(details={"metrics": [], "attribution_source": source, "needs_receipts": True})
        mapping = AccountMapping(frames, ACCOUNT, Privacy("hash", b"0123456789abcdef"))
        return mapping.map_events(DAY), mapping.map_attribution(DAY), frames

    return do


def _table(rows):
    defaults = {"datetime": NOON, "timestamp": NOON, "_fivetran_deleted": False, "campaign_id": None, "flow_id": None}
    return pa.Table.from_pandas(raw_frame(EVENT, *({**defaults, **row} for row in rows)), preserve_index=False)


def good(count):
    return [{"id": f"e{number}"} for number in range(count)]


def test_rows_that_break_different_rules_are_not_added_up(mapped):
    """Nine of a hundred rows have no id, nine have that of another one: neither tells of a broken table."""
    events, _, _ = mapped([*good(82), *({"id": " "} for _ in range(9)), *({"id": "e1"} for _ in range(9))])

    assert (events.rows, events.rows_quarantined) == (82, 18)


def test_a_rule_that_leaves_out_more_than_its_share_fails_the_partition(mapped):
    with pytest.raises(BrokenPartitionError, match=r"11 of 100 rows broke one rule \(event_id: not_null\), more than"):
        mapped([*good(89), *({"id": ""} for _ in range(11))])


@pytest.mark.parametrize(("sound", "broken"), [(1, 1), (1, 10), (0, 3), (50, 10)])
def test_a_few_rows_never_fail_a_day(mapped, sound, broken):
    """Anyone can send a quiet shop some bad events: they cost themselves, also where there is nothing else."""
    events, _, _ = mapped([*good(sound), *({"id": " " * blanks} for blanks in range(broken))])

    assert (events.rows, events.rows_quarantined) == (sound, broken)


@pytest.mark.parametrize(("sound", "fails"), [(0, True), (1, False)])
def test_an_account_table_of_which_nothing_would_be_left_fails(tmp_path, sound, fails):
    frames = FrameStore(url=str(tmp_path))
    rows = [*({"id": f"m{number}", "name": "Viewed"} for number in range(sound)), {"id": ""}, {"id": " "}]
    with frames.write(FrameKey("extracted", "acme", METRIC.name)) as writer:
        writer.append(pa.Table.from_pandas(raw_frame(METRIC, *rows), preserve_index=False))
        writer.finish(details={"metrics": [], "attribution_source": "native"}, rows_raw=len(rows))
    mapping = AccountMapping(frames, ACCOUNT, Privacy("hash", b"0123456789abcdef"))

    with pytest.raises(BrokenPartitionError, match="all 2 rows broke one rule") if fails else nullcontext():
        assert mapping.map_table(METRIC).rows_quarantined == 2


NAMES = ("\0", "x\0", "\ud83d", " ", "", "x" * 200_000)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_ids_that_nothing_can_have_lead_nowhere(mapped, name):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
    rows = [{"id": "order", "property_attribution": f'{{"$attributed_event_id": "{escaped}"}}'}, *good(3)]

    events, attribution, frames = mapped(rows)

    assert (events.rows, attribution.rows) == (4, 0)
    noted = frames.open(FrameKey("mapped", "acme", "attribution", DAY.isoformat()), "quarantine").read()
    assert set(noted.column("rule").to_pylist()) <= {"dangling_attribution"}
    assert all(len(value) <= 200 for value in noted.column("value").to_pylist())


def test_touches_without_an_id_or_a_time_are_none(mapped):
    absurd = datetime(1, 1, 1, tzinfo=UTC)
    touches = [
        {"id": None}, {"id": ""}, {"id": "t", "datetime": None, "timestamp": None},
        {"id": "u", "datetime": absurd, "timestamp": absurd}, {"id": "order"},
    ]  # fmt: skip
    rows = [
        {"id": "order", "property_attribution": '{"$attributed_event_id": "t"}'},
        {"id": ""},
        {"id": None},
        *good(30),
    ]

    events, attribution, _ = mapped(rows, touches)

    assert (events.rows, events.rows_quarantined, attribution.rows) == (31, 2, 0)
