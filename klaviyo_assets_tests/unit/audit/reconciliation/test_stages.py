"""From Postgres to BigQuery: each equation breaks by its own name, and a partition in order breaks none."""

from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from klaviyo_assets.audit.reconciliation.archive import ArchivedObject, ArchivedPart
from klaviyo_assets.audit.reconciliation.findings import Findings
from klaviyo_assets.audit.reconciliation.raw import RawDay
from klaviyo_assets.audit.reconciliation.stages import Stages, check_stages, quarantined_money, stage_sums
from klaviyo_assets.audit.reconciliation.warehouse import LedgerRow, LoadedDay, Quarantined
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.destinations.s3.archive import Manifest
from klaviyo_assets.frames.record import Part

DAY = date(2024, 5, 1)
NOW = datetime(2024, 5, 2, tzinfo=UTC)
EVENT, ATTRIBUTION = ("event", DAY.isoformat()), ("attribution", DAY.isoformat())
MONEY = {"EUR": Decimal("10.01"), "USD": Decimal("0.5")}


def ledger_row(table: str = "event", **changes) -> LedgerRow:
    entry = Entry(table, DAY.isoformat(), NOW, "digest", "settings", NOW)
    return replace(LedgerRow(entry, 6, 1, 1, 4, Decimal("10.51"), "a" * 64, 100), **changes)


def part(table: str = "event", *, size: int | None = 100, content: str | None = None, **changes) -> ArchivedPart:
    manifest = Manifest("acme", table, DAY.isoformat(), "part.parquet", "a" * 64, 4, 100, "digest", "settings")
    return ArchivedPart(replace(manifest, **changes), "s3://bucket/part.parquet", size, content)


def stages(**changes) -> Stages:
    """Six raw events: one deleted, one quarantined (worth 2 EUR), four loaded, one value unreadable."""
    booked = ledger_row("attribution", rows_raw=2, rows_deleted=0, rows_quarantined=0, rows_loaded=2, value=Decimal(3))
    sound_stages = Stages(
        "acme", DAY, DAY,
        raw={DAY: RawDay(6, 1, 1, {"EUR": Decimal("12.01"), "USD": Decimal("0.5")})},
        ledger={EVENT: ledger_row(), ATTRIBUTION: booked},
        daily={"event": {DAY: LoadedDay(4, 1, MONEY)}, "attribution": {DAY: LoadedDay(2, money={"": Decimal(3)})}},
        archive={("event", DAY): part(), ("attribution", DAY): part("attribution", rows=2)},
        quarantine={DAY: Quarantined(frozenset({"e5"}), 1)},
        quarantined_money={DAY: {"EUR": Decimal(2)}},
    )  # fmt: skip
    return replace(sound_stages, **changes)


def broken(of: Stages) -> dict[str, object]:
    """Equation -> difference of what does not hold."""
    findings = Findings("acme")
    check_stages(of, findings)
    assert findings.compared > 0
    assert all(finding.fix for finding in findings.discrepancies)
    return {finding.equation.name: finding.difference for finding in findings.errors}


def test_a_partition_in_order_breaks_no_equation():
    assert broken(stages()) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"raw": {DAY: RawDay(7, 1, 1, {"EUR": Decimal("12.02"), "USD": Decimal("0.5")})}},
         {"raw_rows": 1, "raw_money": Decimal("0.01")}),
        ({"raw": {DAY: RawDay(6, 2, 1, {"EUR": Decimal("12.01"), "USD": Decimal("0.5")})}}, {"deleted_rows": 1}),
        ({"raw": {DAY: RawDay(6, 1, 0, {"EUR": Decimal("12.01"), "USD": Decimal("0.5")})}}, {"unreadable_values": -1}),
        ({"ledger": {EVENT: ledger_row(rows_raw=7), ATTRIBUTION: stages().ledger[ATTRIBUTION]}}, {"ledger_rows": 1}),
        ({"ledger": {ATTRIBUTION: stages().ledger[ATTRIBUTION]}}, {"ledger_row": 1}),
        ({"daily": {**stages().daily, "event": {DAY: LoadedDay(3, 1, MONEY)}}}, {"bigquery_rows": 1}),
        ({"daily": {**stages().daily, "event": {DAY: LoadedDay(4, 1, {**MONEY, "EUR": Decimal(10)})}}},
         {"bigquery_money": Decimal("0.01"), "raw_money": Decimal("0.01")}),
        ({"daily": {**stages().daily, "attribution": {DAY: LoadedDay(2, money={"": Decimal(4)})}}},
         {"bigquery_money": Decimal(-1)}),
        ({"archive": {("attribution", DAY): part("attribution", rows=2)}}, {"archived": 1}),
        ({"undated": 2}, {"undated_rows": 2}),
        ({"raw_tables": {"campaign": 3}}, {"ledger_row": 1}),
    ],
)  # fmt: skip
def test_what_is_spoiled_breaks_its_own_equations(change, expected):
    assert broken(stages(**change)) == expected


@pytest.mark.parametrize(
    ("spoiled", "expected"),
    [
        (part(sha256="b" * 64), {"archive_hash": None}),
        (part(rows=5), {"archive_rows": -1}),
        (part(size=99), {"object_size": 1}),
        (part(size=None), {"object_size": None}),
        (part(content="c" * 64), {"object_hash": None}),
        (part(content="a" * 64), {}),
    ],
)
def test_an_archived_part_that_is_not_what_was_loaded_is_named(spoiled, expected):
    others = {("attribution", DAY): part("attribution", rows=2)}
    assert broken(stages(archive={**others, ("event", DAY): spoiled})) == expected


def test_a_load_from_the_archive_alone_is_held_against_postgres_itself():
    """Its ledger row knows no raw rows; those that are deleted and quarantined are counted where they are."""
    row = ledger_row(rows_raw=0, rows_deleted=0, rows_quarantined=0, value=Decimal(0))
    ledger = {EVENT: row, ATTRIBUTION: stages().ledger[ATTRIBUTION]}

    assert broken(stages(ledger=ledger)) == {}
    more = {DAY: replace(stages().raw[DAY], rows=8)}
    assert broken(stages(ledger=ledger, raw=more)) == {"raw_rows": 2}


def test_a_day_that_nobody_needs_to_have_looked_at_is_in_order():
    assert broken(stages(last=DAY + timedelta(days=3))) == {}


def test_money_of_a_currency_that_only_one_side_has_is_a_difference():
    daily = {**stages().daily, "event": {DAY: LoadedDay(4, 1, {"EUR": Decimal("10.51")})}}
    findings = Findings("acme")
    check_stages(stages(daily=daily), findings)
    differences = {finding.subject: finding.difference for finding in findings.discrepancies}

    assert differences == {"EUR": Decimal("-0.50"), "USD": Decimal("0.5")}


def test_nothing_loaded_at_all_is_one_finding():
    assert broken(stages(ledger={})) == {"ledger_row": 1}
    assert broken(stages(ledger={}, raw={})) == {}


def test_a_key_that_repeats_sets_aside_only_what_is_not_loaded():
    raw = {DAY: RawDay(2, money={"EUR": Decimal("12.75")})}
    held = {DAY: LoadedDay(1, money={"EUR": Decimal("7.5")})}

    assert quarantined_money(raw, held) == {DAY: {"EUR": Decimal("5.25")}}


def test_sums_of_stages_add_up_days_and_keep_currencies_apart():
    sums = {one.stage.strip(): one for one in stage_sums(stages())}

    assert [one.rows for one in sums.values()] == [6, 1, 1, 4, 4, 4, 1]
    assert sums["Postgres"].money == {"EUR": Decimal("12.01"), "USD": Decimal("0.5")}
    assert sums["BigQuery event"].money == MONEY
    assert sums["ledger"].money == {"": Decimal("10.51")}


PARTS = (Part("c" * 64, 3, 90), Part("d" * 64, 1, 20))


def people(*, base: int | None = 90, content: str | None = None, merged: int | None = None, loaded=PARTS) -> Stages:
    """A large account table of four people: a whole part, and a delta that adds one of them."""
    state = {"state": {"parts": [asdict(one) for one in loaded]}}
    entry = Entry("person", "acme", NOW, "digest", "settings", NOW, state)
    row = LedgerRow(entry, 4, 0, 0, 4, None, "d" * 64, 20)
    manifest = Manifest(
        "acme", "person", None, "part.parquet", "d" * 64, 4, 20, "digest", "settings", 2, PARTS, ("person_id",)
    )
    below = (ArchivedObject(PARTS[0], "s3://bucket/base.parquet", base, content),)
    archived = ArchivedPart(manifest, "s3://bucket/part.parquet", 20, None, below, merged)
    sound_stages = stages()
    return replace(
        sound_stages, ledger={**sound_stages.ledger, ("person", "acme"): row}, raw_tables={"person": 4},
        loaded_tables={"person": 4}, archive={**sound_stages.archive, ("person", None): archived},
    )  # fmt: skip


def test_a_table_of_a_whole_part_and_deltas_in_order_breaks_no_equation():
    assert broken(people(content="c" * 64, merged=4)) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"base": None}, {"object_size": None}),
        ({"content": "e" * 64}, {"object_hash": None}),
        ({"merged": 5}, {"merged_rows": -1}),
        ({"loaded": (*PARTS[:1], Part("e" * 64, 1, 20), PARTS[1])}, {"archive_parts": None}),
    ],
)
def test_each_equation_of_deltas_breaks_by_its_own_name(change, expected):
    assert broken(people(**change)) == expected
