"""The comparison itself: a difference is only explained by a rule that gives exactly the package's cell."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from klaviyo_assets_tests.peer.cells import COUNTED, PERSON_TOUCH, TOUCH, Cell, cells_of_attribution, cells_of_reports
from klaviyo_assets_tests.peer.comparison import TOGETHER, UNEXPLAINED, Comparison
from klaviyo_assets_tests.peer.rules import RULES, WINDOWS, CalendarHours, OpeningEvent, Rule, under
from klaviyo_assets_tests.peer.source import column_of
from klaviyo_assets_tests.peer.tally import Tally
from klaviyo_assets_tests.peer.ties import cells_under, find_draw
from klaviyo_assets_tests.reference import Row, Settings, Shop

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)
SETTINGS = Settings(source="touch", windows=WINDOWS)


def cell(column: str) -> Cell:
    return Cell(PERSON_TOUCH, ("ann", "spring", None), column)


def of(**values: int) -> dict[Cell, Any]:
    return {cell(column): Decimal(value) for column, value in values.items()}


def event(event_id: str, name: str, seconds: int = 0, **other: Any) -> Row:
    at = NOON + timedelta(seconds=seconds)
    return {"id": event_id, "type": name, "datetime": at, "person_id": "ann", "_fivetran_synced": NOON, **other}


def test_each_cell_is_equal_or_has_the_first_rule_that_alone_gives_the_packages_number() -> None:
    compared = Comparison(
        ours=of(same=1, ruled=2, both=3, lost=4, ours=6), peers=of(same=1, ruled=9, both=8, lost=7),
        alone={"first": of(ruled=9, lost=7), "second": of(ruled=9)}, together=of(same=1, ruled=9, both=8, lost=5),
    )  # fmt: skip

    assert compared.reasons == {
        cell("ruled"): "first", cell("both"): TOGETHER, cell("lost"): UNEXPLAINED, cell("ours"): "first",
    }  # fmt: skip
    assert compared.figures(PERSON_TOUCH) == {"compared": 5, "equal": 1, "first": 2, TOGETHER: 1, UNEXPLAINED: 1}
    assert list(compared.unexplained()) == [
        "person x touch ('ann', 'spring', None) lost: ours 4, theirs 7, by its rules 5"
    ]


def test_a_cell_that_is_equal_by_accident_is_not_explained() -> None:
    """What the package has to have by its rules is something else: they are not its rules."""
    assert Comparison(of(a=1), of(a=1), {}, of(a=2)).reasons == {cell("a"): UNEXPLAINED}


def test_the_draw_of_a_tie_is_found_by_what_it_gives() -> None:
    """An open and a visit in one second: by chance the session began with the visit, and the open earns nothing."""
    opened = event("open", "Opened Email", campaign_id="spring")
    visits = [event("visit", "Active on Site"), event("later", "Active on Site", 60)]
    shop = Shop({"event": [opened, *visits]})
    rules = (Rule(5, OpeningEvent), Rule(6, CalendarHours))
    together = under(rules, shop, SETTINGS).cells()
    drawn = cells_under(rules, {"open": "visit"}, under(rules, shop, SETTINGS))

    assert together[cell("count Active on Site")] == Decimal(2)
    assert cell("count Active on Site") not in drawn
    assert find_draw(rules, shop, SETTINGS, together, drawn) == {"open": "visit"}
    assert find_draw(rules, shop, SETTINGS, together, together) == {}
    impossible = together | {cell("count Active on Site"): Decimal(5)}
    assert find_draw(rules, shop, SETTINGS, together, impossible) == {}


def test_the_tally_without_rules_is_the_reports() -> None:
    opened = event("open", "Opened Email", campaign_id="spring")
    ordered = event("order", "Placed Order", 60, property_value="12.50")
    reference = Tally(Shop({"event": [opened, ordered]}), SETTINGS)
    reports = cells_of_reports(reference.report("person_touch"), reference.report("person_lifetime"))

    assert reference.cells() == reports | cells_of_attribution(reference.attribution)
    assert reports[cell("value Placed Order")] == Decimal("12.5")
    assert reports[Cell(TOUCH, ("spring", None), "people Placed Order")] == 1


def test_the_packages_columns_are_paired_with_canonical_metrics() -> None:
    assert column_of("count_unsubscribed_from_sms") == "count Unsubscribed from Text Message Marketing"
    assert column_of("sum_revenue_cancelled_order") == "revenue Cancelled Order"
    assert column_of("first_event_at") == "first event"
    assert {column_of(f"count_{name.lower().replace(' ', '_')}") for name in COUNTED} == {
        f"count {name}" for name in COUNTED
    }


def test_every_rule_says_what_it_does() -> None:
    assert all(rule.sentence.endswith(".") for rules in RULES.values() for rule in rules)
