"""Fivetran's own sample tables, in both spellings of custom fields: what is in them arrives, and nothing stops.

They are as imperfect as real data: rows shifted by a column, an attribution key without its `$`.
"""

import csv
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from klaviyo_assets.model.spec import squash
from klaviyo_assets.sandbox import importer
from klaviyo_assets_tests.checkout import ROOT
from klaviyo_assets_tests.integration.deployment import Deployment, Sandbox

REAL_INPUT = ROOT.parent / "shared" / "real_input"
SPELLINGS = {"real_plain": "event.csv", "real_source": "event_norename.csv"}
CORE = ("event_id", "person_id", "metric_id", "metric", "occurred_at", "occurred_on", "value", "attributed_event_id")

pytestmark = pytest.mark.skipif(
    not REAL_INPUT.is_dir(), reason=f"the sample tables are not there: {REAL_INPUT} (they are no part of the project)"
)


@pytest.fixture(scope="module")
def imported(sandbox: Sandbox, tmp_path_factory) -> Iterator[dict[str, Deployment]]:
    """One account per spelling, imported and run.

    Later modules of the session find the accounts file as it was: an import adds to it.
    """
    accounts_before = sandbox.folder.accounts_file.read_text()
    with dg.DagsterInstance.ephemeral() as instance:
        deployments = {}
        for name, events in SPELLINGS.items():
            folder = tmp_path_factory.mktemp(name)
            for path in REAL_INPUT.glob("*.csv"):
                if not path.name.startswith("event"):
                    shutil.copy(path, folder)
            shutil.copy(REAL_INPUT / events, folder / "event.csv")
            importer.import_folder(sandbox.folder, sandbox.state, name, folder)
            deployments[name] = Deployment(sandbox, sandbox.accounts[name], instance)
            totals = deployments[name].run()
            assert totals.failures == []
        try:
            yield deployments
        finally:
            sandbox.folder.accounts_file.write_text(accounts_before)


def raw_events(name: str) -> dict[str, dict[str, str]]:
    with (REAL_INPUT / SPELLINGS[name]).open(newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_four_events_are_in_bigquery(imported, name):
    rows = imported[name].query(
        "SELECT event_id, person_id, metric_id, metric, occurred_at, value, attributed_event_id FROM event"
    )
    attributed = {"3gBNHPJn": "event123", "4gBNHPJn": "3gBNHPGp"}
    spelled = "property_value" if name == "real_plain" else "propertyvalue"
    expected = {
        (
            row["id"], row["person_id"], row["metric_id"], row["type"],
            datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC),
            Decimal(row[spelled]) if row[spelled] else None, attributed.get(row["id"]),
        )
        for row in raw_events(name).values()
    }  # fmt: skip
    assert len(expected) == 4
    assert set(rows) == expected


def test_both_spellings_give_the_same_events(imported):
    listed = ", ".join(CORE)
    plain, source = (imported[name].query(f"SELECT {listed} FROM event ORDER BY event_id") for name in SPELLINGS)
    assert plain == source


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_raw_field_is_found_again(imported, name):
    """In a column, in `properties` under its own name, or, where it cannot be right, in quarantine."""
    account = imported[name]
    rows = {row["event_id"]: dict(row.items()) for row in account.dataset.query("SELECT * FROM event")}
    noted = account.query("SELECT row_id, value FROM quarantine WHERE table_name = 'event'")
    lost = [
        (event_id, field, cell)
        for event_id, raw in raw_events(name).items()
        for field, cell in raw.items()
        if cell not in {"", None} and not kept(field, cell, rows[event_id], [v for r, v in noted if r == event_id])
    ]
    assert lost == []


def kept(field: str, cell: str, event: dict[str, Any], noted: list[str]) -> bool:
    properties = {squash(key): value for key, value in json.loads(event["properties"] or "{}").items()}
    name = squash(field).removeprefix("property")
    if any(same(cell, properties[key]) for key in (name, squash(field)) if key in properties):
        return True
    columns = [value for key, value in event.items() if key != "properties"]
    parts = [part for part in cell.split(":") if part]
    in_columns = any(same(cell, value) for value in columns)
    # A send cohort, `<unix seconds>:<message>`, is two columns.
    is_cohort = len(parts) == 2 and parts[0].isdigit() and len(parts[0]) == 10
    in_cohort = is_cohort and any(same(parts[0], value) for value in columns)
    return in_columns or in_cohort or cell in noted or field == "_fivetran_deleted"


def same(cell: str, value: Any) -> bool:
    if isinstance(value, datetime):
        return cell == str(int(value.timestamp())) or _instant(cell) == value
    if isinstance(value, Decimal):
        return cell.replace(".", "", 1).isdigit() and Decimal(cell) == value
    if isinstance(value, dict | list):
        return _document(cell) == value
    return cell == str(value) or (isinstance(value, str) and _document(cell) == _document(value) != None)  # noqa: E711


def _instant(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell).replace(tzinfo=UTC)
    except ValueError:
        return None


def _document(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return None


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_people_wrote_of_themselves_is_hashed(imported, name):
    account = imported[name]
    kept_anywhere = str(account.bigquery("person", "event")) + str(account.noted())
    personal = ("nobody@hotmail.com", "mrgoogle@gmail.com", "+15165555555", "1600 Penn", "Lopez")
    assert [value for value in personal if value in kept_anywhere] == []
    assert account.query("SELECT COUNT(*), COUNT(DISTINCT email) FROM person") == [(2, 2)]


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_second_run_finds_nothing_to_do(imported, name):
    assert imported[name].dirty() == []
