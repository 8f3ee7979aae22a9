"""Fourteen things that fivetran/dbt_klaviyo 1.4.1 was seen to get wrong, each right here.

Every test goes from raw rows to the product's own reports, on an example small enough to work out by hand, and, where
the package's rule is one of `peer.rules`, shows that the rule gives the package's number instead.
"""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import sqlglot
from psycopg import sql
from sqlglot import exp

from klaviyo_assets.accounts import Account
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import Days, restate
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.sandbox.fivetran import shop as simulated
from klaviyo_assets.sandbox.fivetran.writer import write_sync
from klaviyo_assets.source.extraction import AccountSource, extract_day
from klaviyo_assets_tests.in_process import InProcess
from klaviyo_assets_tests.peer import rules as peers
from klaviyo_assets_tests.peer.cells import CREDIT, PERSON_TOUCH, TOUCH, Cell
from klaviyo_assets_tests.peer.rules import Rule, under
from klaviyo_assets_tests.peer.tally import Tally
from klaviyo_assets_tests.reference import Row, Settings, Shop, Standing
from klaviyo_assets_tests.unit.reports.view_dataset import Dataset
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
NATIVE, TOUCH_MODE = Settings(source="native"), Settings(source="touch", windows=peers.WINDOWS)
NAMES = ("Received Email", "Opened Email", "Clicked Email", "Placed Order", "Refunded Order", "Active on Site")
ORDERED = "placed_order_value"


def event(event_id: str, name: str, after: timedelta = timedelta(), person: str | None = "ann", **other: Any) -> Row:
    """A raw event, `after` noon; columns as Fivetran names them."""
    at = NOON + after
    return {
        "id": event_id, "metric_id": name, "type": name, "datetime": at, "timestamp": at, "person_id": person,
        "_fivetran_synced": NOON + timedelta(days=30), **other,
    }  # fmt: skip


def order(event_id: str, value: str | None = "10.50", after: timedelta = timedelta(), **other: Any) -> Row:
    return event(event_id, "Placed Order", after, property_value=value, **other)


def click(event_id: str, after: timedelta, campaign: str = "spring", **other: Any) -> Row:
    return event(event_id, "Clicked Email", after, campaign_id=campaign, _variation="a",
                 property_cohort_message_send_cohort=f"{int(NOON.timestamp()) - 86_400}:m1", **other)  # fmt: skip


def led_by(event_id: str) -> Row:
    """What Klaviyo recorded, in its older shape."""
    return {"property_attribution": json.dumps({"$attributed_event_id": event_id})}


def shop(*events: Row, **campaign: Any) -> Shop:
    """An account with these events and one campaign."""
    named = {"id": "spring", "name": "Spring", "send_time": NOON - timedelta(days=1), **campaign}
    metrics = [{"id": name, "name": name, "integration_name": "Shopify"} for name in NAMES]
    return Shop({"event": list(events), "metric": metrics, "campaign": [named]})


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    """The product in this process, from raw rows to reports."""
    return InProcess(tmp_path_factory.mktemp("frames"))


def standing(events: Shop, settings: Settings) -> Standing:
    return Standing(settings.timezone, settings.currency, settings.longest_window, events.data_through)


def report(product: InProcess, name: str, events: Shop, settings: Settings) -> list[Row]:
    """The product's rows of one report, all made anew."""
    product.warehouse.load_tables(product.tables(events, settings))
    product.warehouse.restate(REPORTS[name], standing(events, settings), Days.all())
    return product.warehouse.rows(REPORTS[name])


def touched(product: InProcess, events: Shop, settings: Settings) -> dict[tuple[str | None, str | None], Row]:
    """The product's `person_touch` by person and campaign."""
    rows = report(product, "person_touch", events, settings)
    return {(row["person_id"], row["campaign_id"]): row for row in rows}


def peers_cell(rule: type[Tally], events: Shop, settings: Settings, cell: Cell) -> Any:
    """The number of the reference with one of the package's rules."""
    return under((Rule(0, rule),), events, settings).cells().get(cell)


def of_ann(column: str) -> Cell:
    return Cell(PERSON_TOUCH, ("ann", "spring", None), column)


HOUR = timedelta(hours=1)
CLICK = click("click", -HOUR)


def test_01_revenue_with_decimals_is_summed(product):
    """Not 0 because the cast accepts bare integers only."""
    events = shop(CLICK, order("1", "22.250000", **led_by("click")), order("2", "7.5", **led_by("click")))

    assert touched(product, events, NATIVE)["ann", "spring"][ORDERED] == Decimal("29.75")
    assert peers_cell(peers.BareIntegers, events, NATIVE, of_ann("revenue Placed Order")) is None


def test_02_signs_and_exponents_keep_their_meaning_and_junk_is_null_and_stops_nothing(product):
    """Not 12.5 for -12.5, 105 for 1e-05, and an end of the run at n.a."""
    amounts = ["-12.5", "1e-05", "n.a.", "1.234,50", "inf", "", None]
    events = shop(CLICK, *(order(str(n), text, **led_by("click")) for n, text in enumerate(amounts)))

    row = touched(product, events, NATIVE)["ann", "spring"]

    assert (row[ORDERED], row["placed_order_events"]) == (Decimal("1222.00001"), 7)
    sound = shop(CLICK, *(order(str(n), text, **led_by("click")) for n, text in enumerate(amounts[:2])))
    assert peers_cell(peers.DigitsAndPoints, sound, NATIVE, of_ann("value Placed Order")) == Decimal("117.5")
    with pytest.raises(ArithmeticError):
        under((Rule(2, peers.DigitsAndPoints),), events, NATIVE).cells()


def test_03_a_touch_has_its_own_time_and_metric_in_both_modes(product):
    """Not those of the order that it earned."""
    events = shop(CLICK, order("order", **led_by("click")))

    for settings in (NATIVE, TOUCH_MODE):
        (credit,) = product.tables(events, settings)["attribution"].to_pylist()
        assert (credit["touch_at"], credit["touch_metric"]) == (NOON - HOUR, "Clicked Email")
    at = Cell(CREDIT, ("order",), "touched at")
    assert peers_cell(peers.OwnTimeAndType, events, NATIVE, at) == NOON


def test_04_recorded_attribution_is_followed_over_hops_and_never_to_another_person(product):
    """Not one hop, and not to whoever the recorded event belongs to."""
    events = shop(
        CLICK, click("bobs", -2 * HOUR, "autumn", person_id="bob"), order("first", "1", -HOUR / 2, **led_by("click")),
        order("second", "20", **led_by("first")), order("stray", "300", **led_by("bobs")),
    )  # fmt: skip

    rows = touched(product, events, NATIVE)

    assert rows["ann", "spring"][ORDERED] == 21
    assert ("ann", "autumn") not in rows
    assert peers_cell(peers.OneHop, events, NATIVE, of_ann("value Placed Order")) == 1
    stray = Cell(PERSON_TOUCH, ("ann", "autumn", None), "value Placed Order")
    assert peers_cell(peers.AnybodysTouch, events, NATIVE, stray) == 300


def test_05_an_email_merely_received_earns_nothing_and_anonymous_events_share_nothing(product):
    """Not credit to whatever a person's first event was, and not one person for all that nobody is known for."""
    events = shop(
        event("received", "Received Email", -HOUR, campaign_id="spring"), order("1", "5"),
        click("nobodys", -HOUR, "autumn", person_id=None), order("2", "70", person_id=None),
    )  # fmt: skip

    rows = touched(product, events, TOUCH_MODE)

    assert {key: row["placed_order_events"] for key, row in rows.items()} == {("ann", "spring"): 0, (None, "autumn"): 0}
    assert peers_cell(peers.OpeningEvent, events, TOUCH_MODE, of_ann("count Placed Order")) == 1
    shared = Cell(PERSON_TOUCH, (None, "autumn", None), "count Placed Order")
    assert peers_cell(peers.AnonymousPerson, events, TOUCH_MODE, shared) == 1


@pytest.mark.parametrize(("past_hour", "age", "earns", "peer_earns"), [
    (timedelta(), timedelta(hours=120), True, True),
    (timedelta(), timedelta(hours=120, seconds=1), False, True),
    (timedelta(), timedelta(hours=120, minutes=59, seconds=59), False, True),
    (timedelta(minutes=59, seconds=59), timedelta(hours=120), True, True),
    (timedelta(minutes=59, seconds=59), timedelta(hours=120, seconds=1), False, False),
])  # fmt: skip
def test_06_windows_are_measured_in_exact_seconds(product, past_hour, age, earns, peer_earns):
    """Not in strokes of the hour, by which 120 h 59 min 59 s is in and 120 h 00 min 01 s may be out."""
    events = shop(click("click", past_hour), order("order", after=past_hour + age))

    assert (touched(product, events, TOUCH_MODE)["ann", "spring"]["placed_order_events"] == 1) is earns
    counted = peers_cell(peers.CalendarHours, events, TOUCH_MODE, of_ann("count Placed Order"))
    assert (counted == 1) is peer_earns


@pytest.mark.parametrize("settings", [NATIVE, TOUCH_MODE], ids=["native", "touch"])
def test_07_what_is_deleted_comes_late_or_is_renamed_reaches_old_rows(product, settings):
    """Not a drift from a full refresh: fifty deleted orders are gone, a late touch earns, a new name changes no row."""
    days = [timedelta(days=n % 5) for n in range(60)]
    orders = [order(f"{n:02}", "10.50", HOUR + day, **led_by("late")) for n, day in enumerate(days)]
    deleted = [row | {"_fivetran_deleted": True} for row in orders[:50]]
    before, after = shop(*orders), shop(click("late", -HOUR), *deleted, *orders[50:], name="Easter")
    by_day = REPORTS["campaign_by_event_date"]
    fresh = report(product, by_day.name, after, settings)
    assert report(product, by_day.name, before, settings) == []

    product.warehouse.load_tables(product.tables(after, settings))
    loaded = {(NOON + day).date() for day in days}
    changed = product.warehouse.affected(by_day, standing(after, settings), loaded, [])
    product.warehouse.restate(by_day, standing(after, settings), changed)

    rows = product.warehouse.rows(by_day)
    assert sorted(rows, key=repr) == sorted(fresh, key=repr)
    assert [sum(row[name] for row in rows) for name in ("conversions", "conversion_value")] == [10, 105]


def test_08_a_renamed_campaign_stays_one_row_per_person(product):
    """Not one row under each name: rows hold ids, and every one of them shows the name of today."""
    events = [click("1", -HOUR), click("2", timedelta(days=1))]
    touched(product, shop(events[0], name="Spring"), NATIVE)

    (row,) = touched(product, shop(*events, name="Easter"), NATIVE).values()
    by_day = report(product, "campaign_by_event_date", shop(*events, name="Easter"), NATIVE)

    assert row["clicks"] == 2
    dataset = Dataset()
    dataset.fill(campaign=[{"campaign_id": "spring", "name": "Easter"}], campaign_by_event_date=by_day)
    named = dataset.rows("campaign_by_event_date_named")
    assert [(row["campaign_name"], row["clicks"]) for row in named] == [("Easter", 1)] * 2


def test_09_revenue_stands_on_the_row_of_its_message_and_variation(product):
    """Not on a row of its own without a variation, where no rate can mean anything."""
    sent = {"property_cohort_message_send_cohort": CLICK["property_cohort_message_send_cohort"], "_variation": "a"}
    receipts = [
        event(f"r{person}", "Received Email", -2 * HOUR, person, campaign_id="spring", **sent)
        for person in ("ann", "bob")
    ]
    named = json.dumps({"relationships": {"campaign": {"data": {"type": "campaign", "id": "spring"}}}})
    events = shop(*receipts, CLICK, order("1", "30", **led_by("click")), order("2", "12", property_attribution=named))

    (row,) = report(product, "campaign_by_send_date", events, NATIVE)

    assert [row[name] for name in ("message_id", "variation_id", "delivered", "conversion_value")] == ["m1", "a", 2, 42]
    assert (row["revenue_per_recipient"], row["click_rate"], row["conversion_rate"]) == (21, 0.5, 0.5)
    shares = [share for share in Tally(events, NATIVE).shares() if share.metric == "Placed Order"]
    assert {peers.VariationsApart(events, NATIVE).who(share) for share in shares} == {("ann", None)}


def test_10_what_a_deleted_campaign_earned_stays_and_the_whole_adds_up(product):
    """Not revenue that drops out between events and campaigns, with nothing to say so."""
    orders = [order("1", "459.25", **led_by("click")), order("2", "40.75", person_id="bob")]
    events = shop(CLICK, *orders, _fivetran_deleted=True)

    (campaign,) = report(product, "campaign_lifetime", events, NATIVE)
    account = report(product, "account_by_event_date", events, NATIVE)

    assert (campaign["conversion_value"], campaign["conversion_uniques"]) == (Decimal("459.25"), 1)
    assert sum(row["conversion_value"] for row in account) == Decimal("459.25")
    assert sum(row["conversion_value_unattributed"] for row in account) == Decimal("40.75")
    ordered = Cell(TOUCH, ("spring", None), "people Placed Order")
    assert peers_cell(peers.DeletedDropOut, events, NATIVE, ordered) is None


@pytest.mark.parametrize("settings", [NATIVE, TOUCH_MODE], ids=["native", "touch"])
def test_11_accounts_with_the_same_ids_do_not_meet(product, tmp_path, settings):
    """Not a failure in session mode, keys that collide, and lost rows: each account has a dataset of its own."""
    acme, other = (shop(CLICK, order("order", value, **led_by("click"))) for value in ("10", "3"))
    beside = InProcess(tmp_path)

    both = touched(product, acme, settings), touched(beside, other, settings)

    assert [rows["ann", "spring"][ORDERED] for rows in both] == [10, 3]
    project = BigQueryProjectResource(project="p", dataset_prefix="k", emulator_host="http://127.0.0.1:9")
    datasets = {name: project.dataset(Account(name, name)).qualified for name in ("acme", "other")}
    assert datasets == {"acme": "p.k_acme", "other": "p.k_other"}
    for report in REPORTS.values():
        statement = sqlglot.parse_one(restate(report, datasets["acme"]), dialect="bigquery")
        inner = {cte.alias for cte in statement.find_all(exp.CTE)}
        named = {f"{table.catalog}.{table.db}" for table in statement.find_all(exp.Table) if table.name not in inner}
        assert named == {datasets["acme"]}, report.name


def test_12_subject_sender_channel_and_send_time_come_from_the_campaigns_messages():
    """Not null since September 2023: the current schema keeps them on `campaign_message`."""
    dataset = Dataset()
    dataset.fill(
        campaign=[{"campaign_id": "spring", "name": "Spring", "send_at": NOON}],
        campaign_message=[{
            "campaign_message_id": "m1", "campaign_id": "spring", "channel": "email", "content_subject": "It is spring",
            "content_from_email": "shop@example.com", "content_from_label": "The shop",
        }],
    )  # fmt: skip

    (row,) = dataset.rows("campaign_message_detail")

    assert {name: row[name] for name in ("subject", "from_email", "from_label", "channel", "campaign_send_at")} == {
        "subject": "It is spring", "from_email": "shop@example.com", "from_label": "The shop", "channel": "email",
        "campaign_send_at": NOON,
    }  # fmt: skip


DAY = date(2024, 5, 6)


@pytest.fixture(scope="module")
def database():
    """A Postgres with a synced account, as its owner."""
    with throwaway_postgres() as url, psycopg.connect(url, autocommit=True) as owner:
        shop = simulated.Shop(simulated.profile(0), 7, 60, DAY - timedelta(days=2))
        write_sync(owner, shop, until=NOON + timedelta(days=2))
        yield url, owner


def extracted(url: str, frames: FrameStore) -> tuple[int, str]:
    """Rows and SHA-256 of a day's events, as extraction reads them."""
    account = Account("acme", simulated.profile(0).schema, conversion_integration="Shopify")
    with (
        PostgresResource(url=url).snapshot() as snapshot,
        frames.write(FrameKey("extracted", "acme", "event")) as writer,
    ):
        record = extract_day(AccountSource.open(account, snapshot), DAY, writer)
    return record.rows, record.sha256


def test_13_the_database_sessions_time_zone_moves_nothing(database, tmp_path):
    """Not times that shift with whoever connects: the same bytes under every zone."""
    url, owner = database
    zones = ("UTC", "Pacific/Kiritimati", "America/St_Johns")
    read = []
    for zone in zones:
        owner.execute(sql.SQL("ALTER DATABASE postgres SET TimeZone = {}").format(sql.Literal(zone)))
        with psycopg.connect(url) as session:
            assert session.execute("SHOW TimeZone").fetchone() == (zone,)
        read.append(extracted(url, FrameStore(url=str(tmp_path))))

    assert read[0][0] > 20
    assert len(set(read)) == 1


def test_14_fivetran_may_alter_and_drop_raw_columns_after_a_run(database, tmp_path):
    """Not refused because views hang on them: nothing of ours is in the database."""
    url, owner = database
    relations = "SELECT count(*) FROM pg_class"
    before = owner.execute(relations).fetchone()
    rows, _ = extracted(url, FrameStore(url=str(tmp_path)))

    assert owner.execute(relations).fetchone() == before
    for change in (
        "ALTER COLUMN property_value TYPE jsonb USING to_jsonb(property_value)",
        "ALTER COLUMN campaign_id TYPE varchar", "DROP COLUMN property_email_domain",
        'RENAME COLUMN property_attribution TO "propertyAttribution"',
    ):  # fmt: skip
        owner.execute(sql.SQL("ALTER TABLE {}.event {}").format(
            sql.Identifier(simulated.profile(0).schema), sql.SQL(change)))  # fmt: skip
    assert extracted(url, FrameStore(url=str(tmp_path)))[0] == rows
