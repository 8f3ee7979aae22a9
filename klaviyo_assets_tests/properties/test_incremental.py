"""Incremental equals full refresh: shops through random sequences of syncs, and after each one all tables as if new.

A Hypothesis state machine. What runs is what the sensor's planning finds; the stages run in this process with the
stand-ins that `incremental.py` names. After each sync every row of every table and report, the quarantine and the
archive's current parts are those of a rebuild from Postgres, a second look finds nothing to do, and neither does a
sweep over all days. Not compared are the ledger and the two snapshots, which are history.

Sequences come in batches: an account holds ten small shops whose ids are disjoint and whose calendars lie 80 days
apart, so nothing that one does can reach another's days, and each shop is a sequence of its own. They share the
account's settings, metrics and re-syncs. Lifetime reports, computed anew at any change, are shared as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.stages.vanished import VanishedError
from klaviyo_assets_tests.in_process import account_of
from klaviyo_assets_tests.incremental import DIMENSIONS, Memory, Platform, RawSchema, platform
from klaviyo_assets_tests.raw_shops import CALENDARS, WINDOWS, Drawn, accounts
from klaviyo_assets_tests.syncs import APART, METRICS, OF_A_SHOP, OF_ONE_EVENT, SYNCED, Sync, raw_tables
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

SHOPS, EVENTS = 10, 12
ZONES = sorted({zone for zone, _ in CALENDARS})
CONVERSIONS = ("M-PlacedOrder", "conversion", "M-CheckoutStarted", "No such metric")
METRIC_NAMES = ("Renamed", "Clicked Email", "Received Email", "Bought", "Opened Push")
changes = st.lists(
    st.tuples(st.integers(0, SHOPS - 1), st.sampled_from(OF_ONE_EVENT + OF_ONE_EVENT + OF_A_SHOP), st.integers(0, 11),
              st.integers(0, 59)),
    min_size=1, max_size=6,
)  # fmt: skip


@dataclass
class Server:
    """What all sequences use, one after the other."""

    connection: "psycopg.Connection[Any]"
    loaded: list[Platform]
    fresh: Platform
    pool: list[Drawn]


def pool() -> list[Drawn]:
    """Accounts to begin with; drawn once, for drawing one takes longer than loading it."""
    drawn: list[Drawn] = []

    @settings(max_examples=12, deadline=None, phases=[Phase.generate], database=None,
              suppress_health_check=list(HealthCheck), derandomize=True)  # fmt: skip
    @given(account=accounts(SHOPS, EVENTS))
    def draw(account: Drawn) -> None:
        drawn.append(account)

    draw()
    return drawn[-8:]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    memory = Memory()
    with throwaway_postgres() as url, psycopg.connect(url, autocommit=True, options="-c TimeZone=UTC") as connection:
        folder = tmp_path_factory.mktemp("frames")
        platforms = [platform(url, folder / str(number), memory) for number in range(3)]
        yield Server(connection, platforms[:2], platforms[2], pool())


class Sequences(RuleBasedStateMachine):
    """An account of some shops, and perhaps a second one, from sync to sync."""

    server: Server
    shops = SHOPS

    def __init__(self) -> None:
        super().__init__()
        self.syncs: list[Sync] = []
        self.failed = False

    @initialize(number=st.integers(0, 7))
    def begin(self, number: int) -> None:
        self.add(number, self.shops)

    def add(self, number: int, shops: int) -> None:
        drawn = self.server.pool[number % len(self.server.pool)]
        first = min(row["datetime"] for shop in drawn.shops for row in shop["event"] if row.get("datetime"))
        at = self.syncs[0].at if self.syncs else first + timedelta(days=6)
        name = f"account{len(self.syncs)}"
        tables = raw_tables(drawn, shops, at)
        schema = RawSchema.create(self.server.connection, f"klaviyo_{name}", tables)
        account = account_of(drawn.settings, name)
        start = account.start_date - timedelta(days=APART * (shops - 1))
        place = self.server.loaded[len(self.syncs)].begin()
        self.syncs.append(Sync(replace(account, start_date=start), schema, place, at))
        self.ticks()

    @rule(which=st.integers(0, 1), drawn_changes=changes, fails=st.sampled_from((0, 0, 0, 0, 0, 1, 2, 3)))
    def sync(self, which: int, drawn_changes: list[tuple[int, str, int, int]], fails: int) -> None:
        synced = self.next(which)
        for change in drawn_changes:
            synced.change(*change)
        self.ticks(fails)

    @rule(which=st.integers(0, 1), metric=st.sampled_from(METRICS), name=st.sampled_from(METRIC_NAMES))
    def rename_metric(self, which: int, metric: str, name: str) -> None:
        synced = self.next(which)
        synced.schema.run(
            f"UPDATE {{schema}}.metric SET name = %s, {SYNCED} = %s WHERE id = %s", name, synced.at, metric
        )
        self.ticks()

    @rule(windows=st.sampled_from(WINDOWS), machine=st.booleans())
    def set_windows(self, windows: dict[str, int], machine: bool) -> None:
        attribution = self.syncs[0].account.attribution
        self.set(attribution=replace(attribution, windows=dict(windows), machine_opens_earn=machine))

    @rule(zone=st.sampled_from(ZONES))
    def set_timezone(self, zone: str) -> None:
        self.set(timezone=zone)

    @rule(metric=st.sampled_from(CONVERSIONS))
    def set_conversion_metric(self, metric: str) -> None:
        self.set(conversion_metric=metric, conversion_integration=None)

    @rule(pii=st.sampled_from(("keep", "hash", "drop")))
    def set_privacy(self, pii: str) -> None:
        self.set(pii=pii)

    def set(self, **changed: Any) -> None:
        """Settings change without any sync."""
        self.syncs[0].account = replace(self.syncs[0].account, **changed)
        # The sensor sees another fingerprint, and looks at every day.
        self.syncs[0].platform.look = None
        self.ticks()

    @rule(which=st.integers(0, 1))
    def resync(self, which: int) -> None:
        synced = self.next(which)
        for table in ("event", "metric", "campaign", "list", "person", "list_person"):
            synced.schema.run(f"UPDATE {{schema}}.{table} SET {SYNCED} = %s", synced.at)
        self.ticks()

    @rule(which=st.integers(0, 1), looks=st.booleans(), lost=st.integers(0, 9))
    def truncate_and_reload(self, which: int, looks: bool, lost: int) -> None:
        """All events go, which is refused where it is noticed, and come back but for some."""
        synced = self.next(which)
        synced.schema.run("CREATE UNLOGGED TABLE {schema}.kept AS SELECT * FROM {schema}.event")
        synced.schema.run("TRUNCATE {schema}.event")
        if looks:
            with pytest.raises(VanishedError):
                self.tick(synced, 0)
            synced.at += timedelta(days=1)
        synced.schema.run("INSERT INTO {schema}.event SELECT * FROM {schema}.kept WHERE id NOT LIKE %s", f"s0{lost}e03")
        synced.schema.run("DROP TABLE {schema}.kept")
        synced.schema.run(f"UPDATE {{schema}}.event SET {SYNCED} = %s", synced.at)
        self.ticks()

    @rule(
        which=st.integers(0, 1), shop=st.integers(0, SHOPS - 1), name=st.sampled_from(("gift", "Machine Open", "x y"))
    )
    def new_column(self, which: int, shop: int, name: str) -> None:
        synced = self.next(which)
        column = f'"property_{name}"'
        synced.schema.run(f"ALTER TABLE {{schema}}.event ADD COLUMN IF NOT EXISTS {column} text")
        synced.schema.run(f"UPDATE {{schema}}.event SET {column} = 'yes', {SYNCED} = %s WHERE id LIKE %s AND id < %s",
                          synced.at, f"s{shop:02}e%", f"s{shop:02}e05")  # fmt: skip
        self.ticks()

    @precondition(lambda self: len(self.syncs) == 1)
    @rule(number=st.integers(0, 7))
    def add_account(self, number: int) -> None:
        self.add(number, 1)

    def next(self, which: int) -> Sync:
        """The account that is synced, a day later."""
        synced = self.syncs[which % len(self.syncs)]
        synced.at += timedelta(days=1)
        return synced

    def ticks(self, fails: int = 0) -> None:
        """What the sensor and the runs it requests do; so many of the runs fail."""
        for synced in self.syncs:
            self.tick(synced, fails)

    def tick(self, synced: Sync, fails: int) -> None:
        place, last = synced.platform, date(2027, 1, 1)
        self.settle(synced)
        with place.source(synced.account) as source:
            dirty_plan = place.plan(source, last)
            place.look = dirty_plan.look
            runs = [(one, span) for one in (False, True) for span in dirty_plan.ranges(only_attribution=one)]
            for only, (first, end) in runs[fails:]:
                place.load_days(source, days_between(first, end), only_attribution=only)
            if not fails:
                place.load_tables(source, dirty_plan.tables)
            place.reports(synced.account)
            if not (fails and (runs or dirty_plan.tables)):
                self.compare(place, source, last)

    def settle(self, synced: Sync) -> None:
        """Whoever is told that a conversion metric with events is not among the metrics takes another one."""
        try:
            with synced.platform.source(synced.account):
                pass
        except SettingsError:
            synced.account = replace(synced.account, conversion_metric=CONVERSIONS[-1], conversion_integration=None)

    def compare(self, place: Platform, source: AccountSource, last: date) -> None:
        for sweep in (False, True):
            again = place.plan(source, last, sweep=sweep)
            tables = set(again.tables) & {spec.name for spec in DIMENSIONS}
            assert (again.days, tables) == ((), set()), f"nothing has changed since; sweep: {sweep}"
        kept, wanted = place.state(), self.server.fresh.rebuild(source).state()
        for name in wanted:
            missing, odd = sorted(set(wanted[name]) - set(kept[name])), sorted(set(kept[name]) - set(wanted[name]))
            assert kept[name] == wanted[name], "\n".join([name, "wanted", *missing[:5], "found", *odd[:5]])


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last."""
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


def follow(server: Server, accounts: int, steps: int) -> None:
    machine = type("Shops", (Sequences,), {"server": server})
    run_state_machine_as_test(machine, settings=settings(
        max_examples=accounts, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck),
        print_blob=True,
    ))  # fmt: skip


@pytest.mark.parametrize("steps", [
    pytest.param([("M-PlacedOrder", "Clicked Email", None)], id="a conversion metric becomes a touch"),
    pytest.param([("M-ViewedProduct", "Clicked Email", "conversion")], id="with another conversion metric"),
    pytest.param([("M-OpenedEmail", "Renamed", "M-CheckoutStarted")], id="a touch is none any more"),
])  # fmt: skip
def test_metrics_that_are_renamed_while_a_setting_changes_are_noticed(server: Server, steps: list[Any]) -> None:
    """What the touches of other days are read from says so by its names, not by the reason that is told."""
    machine: Any = type("Shops", (Sequences,), {"server": server})()
    machine.begin(number=0)
    for metric, name, conversion in steps:
        if conversion:
            machine.syncs[0].account = replace(
                machine.syncs[0].account, conversion_metric=conversion, conversion_integration=None
            )
        machine.rename_metric(which=0, metric=metric, name=name)


def test_20_sequences_of_syncs_leave_what_a_rebuild_gives(server: Server) -> None:
    follow(server, 2, 3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fifty", range(20))
def test_1000_sequences_of_syncs_leave_what_a_rebuild_gives(server: Server, fifty: int) -> None:
    """In twenty parts, each with sequences of its own, so that one tells how far it has come."""
    follow(server, 5, 10)
