"""What counts as gone, from a ledger and what Postgres has; the real servers are asked in `integration`."""

import shlex
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.source.sql import RawTable
from klaviyo_assets.stages.vanished import VanishedError, losses, refuse_losses
from klaviyo_assets.tables import EVENT, METRIC

FIRST, SECOND = date(2026, 3, 1), date(2026, 3, 2)
COLUMNS = {"id": "text", "datetime": "timestamptz"}


def entry(table, partition, digest, **details):
    moment = datetime(2026, 3, 10, tzinfo=UTC)
    return (table.name, partition), Entry(table.name, partition, moment, digest, "", moment, details)


def account_source(*present, accepted=()):
    tables = {table.name: RawTable("k", table.name, COLUMNS) for table in present}
    return SimpleNamespace(
        account=Account("acme", "k"), tables=tables, accepted=frozenset(accepted),
        table=lambda spec: tables.get(spec.name) or RawTable("k", spec.name, {}),
    )  # fmt: skip


def of_events(left, *entries, accepted=()):
    return losses(account_source(EVENT, accepted=accepted), dict(entries), left)


DAYS = (entry(EVENT, FIRST.isoformat(), "8:123"), entry(EVENT, SECOND.isoformat(), "3:9"))
LARGE = (entry(EVENT, FIRST.isoformat(), "1000:123"),)


@pytest.mark.parametrize(("left", "entries", "is_gone"), [
    (11, DAYS, False), (1, DAYS, False), (0, DAYS, True), (0, (entry(EVENT, FIRST.isoformat(), "0:0"),), False),
    (500, LARGE, False), (499, LARGE, True), (0, (), False),
])  # fmt: skip
def test_all_rows_of_the_loaded_days_or_most_of_many_are_a_loss(left, entries, is_gone):
    assert [loss.subject for loss in of_events(left, *entries)] == (["event"] if is_gone else [])


def test_a_table_that_is_not_there_names_those_of_its_schema_that_nobody_reads():
    source = account_source(METRIC)
    source.tables["event_2"] = RawTable("k", "event_2", COLUMNS)
    (loss,) = losses(source, dict(DAYS), 0)

    assert "no table k.event any more (the schema also has event_2), and 11 rows of it were loaded" in loss.what


def test_a_column_that_the_last_load_read_is_a_loss_and_one_of_an_unknown_load_is_not():
    (day, kept), *others = DAYS
    kept_columns = entry(EVENT, FIRST.isoformat(), "8:123", columns=["id", "datetime", "campaign_id"])

    assert [loss.subject for loss in of_events(11, kept_columns, *others)] == ["event.campaign_id"]
    assert of_events(11, (day, kept), *others) == []


@pytest.mark.parametrize(("wanted", "ids", "is_gone"), [
    ("Placed Order", [], True), ("Placed Order", ["new"], False), ("Another", [], False),
])  # fmt: skip
def test_a_conversion_metric_that_was_found_once_is_a_loss_unless_another_one_is_wanted_now(wanted, ids, is_gone):
    source = account_source(EVENT)
    source.conversion = {"wanted": [wanted, None], "ids": ids}
    event_entry = entry(EVENT, "undated", "0:0", conversion={"wanted": ["Placed Order", None], "ids": ["ORD"]})

    assert [loss.subject for loss in losses(source, dict([event_entry]))] == (["metric.ORD"] if is_gone else [])


def test_what_was_accepted_is_not_refused_and_a_table_does_not_cover_its_columns():
    entries = dict([entry(EVENT, FIRST.isoformat(), "8:123", columns=["id", "campaign_id"])])

    refuse_losses(account_source(EVENT, accepted=["event.campaign_id"]), entries, 8)
    with pytest.raises(VanishedError, match=r"no column campaign_id.*--accept-empty event\.campaign_id"):
        refuse_losses(account_source(EVENT, accepted=["event"]), entries, 8)
    with pytest.raises(VanishedError, match="BigQuery keeps what it has"):
        refuse_losses(account_source(EVENT, accepted=["event.campaign_id"]), entries, 0)


def test_the_command_that_empties_is_of_one_account_and_can_be_pasted_whatever_a_column_is_called():
    """Without the account it would empty the same table of every account that has lost it."""
    entries = dict([entry(EVENT, FIRST.isoformat(), "8:123", columns=["id", "property_$value of it"])])

    with pytest.raises(VanishedError) as refused:
        refuse_losses(account_source(EVENT), entries, 8)

    command = str(refused.value).partition("`klaviyo-assets ")[2].partition("`")[0]
    assert shlex.split(command) == ["run", "--account", "acme", "--accept-empty", "event.property_$value of it"]


def test_a_single_row_is_one_in_the_sentence():
    (loss,) = of_events(0, entry(EVENT, FIRST.isoformat(), "1:123"))

    assert loss.what.endswith("and 1 row of it was loaded")
