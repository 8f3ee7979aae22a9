"""Raw shops through the product's mapping and SQL, and through the reference: the same numbers in every cell.

In process and without servers (`in_process.py`). Shops come in accounts of 25 whose ids are disjoint (`raw_shops.py`):
one account is one load, and each of its shops that differs from all others by more than its name counts as an example.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from klaviyo_assets.model.statistics import Kind
from klaviyo_assets.reports import REPORTS
from klaviyo_assets_tests.in_process import InProcess
from klaviyo_assets_tests.raw_shops import Drawn, accounts
from klaviyo_assets_tests.reference import Reference, Row, Shop
from klaviyo_assets_tests.unit.reports.warehouse import differences

SHOPS, EVENTS = 25, 18
COMPARED = sorted(name for name, report in REPORTS.items() if not report.keeps_history)
# Refunds and corrections make money negative, and what is computed from it.
OF_MONEY = {"average_order_value", "revenue_per_recipient", "text_message_roi"}
MESSAGE = ("message_id", "channel", "variation_id")


@dataclass
class Load:
    """One account: what the product made of it, and the reference to compare with."""

    drawn: Drawn
    rows: dict[str, list[Row]]

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.drawn.whole, self.drawn.settings)

    def wrong(self, name: str) -> list[str]:
        """Cells of a report that are not as the reference has them."""
        return differences(REPORTS[name], self.rows[name], self.reference.report(name))


def loads(product: InProcess, shops: int) -> Iterator[Load]:
    """Drawn accounts with so many different shops, loaded one after the other.

    Drawing is cheap and loading is not: accounts that mostly repeat others are left out, and a shop that fails is made
    smaller below and not by Hypothesis.
    """
    drawn: list[Drawn] = []
    seen: set[str] = set()
    for source in cycle(("native", "touch", "auto")):
        for account in some(source):
            fresh = nameless(account) - seen
            if len(seen) < shops and len(fresh) > SHOPS * 3 // 4:
                drawn.append(account)
                seen |= fresh
        if len(seen) >= shops:
            break
    return (loaded(product, account) for account in drawn)


def some(source: str) -> list[Drawn]:
    """The last few of eight drawn accounts: Hypothesis begins with those that are the least."""
    drawn: list[Drawn] = []

    @settings(max_examples=8, deadline=None, phases=[Phase.generate], database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(account=accounts(SHOPS, EVENTS, source=source))
    def draw(account: Drawn) -> None:
        drawn.append(account)

    draw()
    return drawn[-4:]


def nameless(account: Drawn) -> set[str]:
    """What tells an account's shops apart besides their names."""
    texts = (readable_text(account.only(shop)) for shop in account.shops)
    return {text.replace(f"s{number:02}", "") for number, text in enumerate(texts)}


def loaded(product: InProcess, drawn: Drawn) -> Load:
    """One account through the product; where that fails, the smallest shop that still does is named."""
    try:
        return Load(drawn, product.reports(drawn.whole, drawn.settings))
    except Exception as error:
        smallest = reduced(drawn, lambda less: crashes(product, less))
        raise AssertionError(f"{error}\n{readable_text(smallest)}") from error


def crashes(product: InProcess, drawn: Drawn) -> bool:
    """Whether the product cannot make reports of it."""
    try:
        product.reports(drawn.whole, drawn.settings)
    except Exception:
        return True
    return False


def reduced(drawn: Drawn, fails: Callable[[Drawn], bool]) -> Drawn:
    """The account with as few shops, and these with as few rows, as still fail."""
    while len(drawn.shops) > 1:
        half = len(drawn.shops) // 2
        fewer = (drawn.only(*drawn.shops[:half]), drawn.only(*drawn.shops[half:]))
        failing = next((less for less in fewer if fails(less)), None)
        if failing is None:
            return drawn
        drawn = failing
    for table, rows in drawn.shops[0].tables.items():
        for row in rows:
            tables = drawn.shops[0].tables
            less = drawn.only(Shop({**tables, table: [other for other in tables[table] if other is not row]}))
            drawn = less if fails(less) else drawn
    return drawn


def readable_text(drawn: Drawn) -> str:
    """An account as a person reads it."""
    lines = [str(drawn.settings)]
    lines += [f"{name}: {json.dumps(row, default=str)}" for shop in drawn.shops for name in shop.tables
              for row in shop[name]]  # fmt: skip
    return "\n".join(lines)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    return InProcess(tmp_path_factory.mktemp("frames"))


@pytest.fixture(scope="module")
def of_300_shops(product: InProcess) -> list[Load]:
    """Accounts with 300 shops, of which no two are the same."""
    return list(loads(product, 300))


@pytest.mark.parametrize("name", COMPARED)
def test_every_cell_of_a_report_is_the_references(of_300_shops: list[Load], product: InProcess, name: str) -> None:
    for load in of_300_shops:
        compare(load, product, name)


def compare(load: Load, product: InProcess, name: str) -> None:
    """Every cell is the reference's; else the smallest shop in which one is not."""
    if load.wrong(name):
        smallest = reduced(load.drawn, lambda less: bool(loaded(product, less).wrong(name)))
        wrong = loaded(product, smallest).wrong(name)
        raise AssertionError("\n".join([f"{name}, found and wanted:", *wrong, readable_text(smallest)]))


def test_day_rows_add_up_to_lifetime_rows(of_300_shops: list[Load]) -> None:
    for load in of_300_shops:
        check_days_add_up(load)


def check_days_add_up(load: Load) -> None:
    """For every statistic that may be added; rows of a lifetime without any statistic have no days."""
    for owner in ("campaign", "flow"):
        grain = (f"{owner}_id", *MESSAGE)
        lifetime = REPORTS[f"{owner}_lifetime"]
        for basis in ("event", "send"):
            days = REPORTS[f"{owner}_by_{basis}_date"]
            names = sorted(days.additive & lifetime.additive)
            assert {"delivered", "conversion_value", "opens_excl_machine"} <= set(names)
            totals = summed(load.rows[days.name], grain, names)
            assert {key: total for key, total in totals.items() if any(total)} == {
                key: total for key, total in summed(load.rows[lifetime.name], grain, names).items() if any(total)
            }


def summed(rows: list[Row], grain: tuple[str, ...], names: list[str]) -> dict[Any, list[Decimal]]:
    """Sums of columns by the values of others."""
    totals: dict[Any, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * len(names))
    for row in rows:
        key = tuple(row[name] for name in grain)
        totals[key] = [total + Decimal(row[name] or 0) for total, name in zip(totals[key], names, strict=True)]
    return totals


def test_a_rate_is_null_or_at_least_zero_and_never_clamped(of_300_shops: list[Load]) -> None:
    for load in of_300_shops:
        check_rates(load)


def check_rates(load: Load) -> None:
    """Rates are what their numerator and denominator say, whatever that is."""
    for report in REPORTS.values():
        for statistic in report.statistics:
            for row in load.rows.get(report.name, []) if statistic.kind is Kind.RATE else []:
                rate = row[statistic.name]
                assert (rate is None) == (not row[statistic.denominator])
                if rate is not None and statistic.name not in OF_MONEY:
                    assert rate >= 0
                    assert abs(rate - row[statistic.numerator] / row[statistic.denominator]) < 1e-12


def test_sends_of_days_add_up_to_the_sends_of_a_period(of_300_shops: list[Load]) -> None:
    for load in of_300_shops:
        check_sends(load)


TWINS = {"sends_opened": "opened", "sends_clicked": "clicked", "sends_converted": "converted"}


def check_sends(load: Load) -> None:
    """Of any period of send days: a send that was opened on several days is one."""
    days = sorted({row["send_on"] for row in load.rows["campaign_by_send_date"] if row["send_on"]})
    for owner in ("campaign", "flow"):
        for first, last in {(days[0], days[-1]), (days[len(days) // 2], days[-1])} if days else ():
            for twin, kind in TWINS.items():
                rows = load.rows[f"{owner}_by_send_date"]
                total = sum(row[twin] for row in rows if row["send_on"] and first <= row["send_on"] <= last)
                assert total == len(sends(load.reference, owner, kind, first, last))


def sends(reference: Reference, owner: str, kind: str, first: date, last: date) -> set[Any]:
    """The sends to known people in a period of which something happened."""
    identity = (f"{owner}_id", *MESSAGE, "person_id", "send_at")
    return {
        tuple(fact[name] for name in identity)
        for fact in reference.facts
        if fact["fact"] == kind and fact["person_id"] and fact[f"{owner}_id"]
        and fact["send_on"] and first <= fact["send_on"] <= last
    }  # fmt: skip


def test_the_account_day_by_day_is_whole(of_300_shops: list[Load]) -> None:
    assert sum(check_account(load) for load in of_300_shops) > 0, "there are conversions among the shops"


def check_account(load: Load) -> Decimal:
    """Every event and every conversion stands on one row of its day, and their money to the last digit."""
    names = [
        "events", "conversions", "conversions_unattributed", "conversions_other_currency",
        "conversions_unattributed_other_currency", "conversion_value", "conversion_value_unattributed",
    ]  # fmt: skip
    totals = summed(load.rows["account_by_event_date"], ("occurred_on",), names)
    by_day = defaultdict(list)
    for event in load.reference.events:
        by_day[event["occurred_on"]].append(event)
    assert {day for (day,) in totals} == set(by_day)
    conversions = Decimal(0)
    for (day,), (events, *parts, earned, unearned) in totals.items():
        converted = [event for event in by_day[day] if event["is_conversion"]]
        own = [event for event in converted if event["currency"] in {None, load.drawn.settings.currency}]
        assert events == len(by_day[day])
        assert sum(parts) == len(converted)
        assert parts[0] + parts[1] == len(own)
        assert earned + unearned == sum((event["value"] or Decimal(0) for event in own), Decimal(0))
        conversions += len(converted)
    return conversions


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_5000_shops_are_as_the_reference_has_them(product: InProcess) -> None:
    for load in loads(product, 5000):
        for name in COMPARED:
            compare(load, product, name)
        check_days_add_up(load)
        check_rates(load)
        check_sends(load)
        check_account(load)
