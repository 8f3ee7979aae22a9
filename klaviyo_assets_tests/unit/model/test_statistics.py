"""The catalogue of statistics is complete, consistent, and derived from the metrics."""

import pytest

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.model.metrics import METRIC_KINDS, Role
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.model.statistics import (
    CONVERTED,
    COUNTED_ROLES,
    NOT_ADDITIVE,
    SHOP_METRICS,
    STATISTICS,
    Kind,
    Unit,
    credited_events,
    fact_of,
    metric_events,
    metric_people,
    metric_value,
    metrics_of,
    statistics,
)

KLAVIYOS = (
    "recipients", "delivered", "delivery_rate", "bounced",
    "bounce_rate", "failed", "failed_rate", "bounced_or_failed",
    "bounced_or_failed_rate", "opens", "opens_unique", "open_rate",
    "clicks", "clicks_unique", "click_rate", "click_to_open_rate",
    "unsubscribes", "unsubscribe_uniques", "unsubscribe_rate", "spam_complaints",
    "spam_complaint_rate", "conversions", "conversion_uniques", "conversion_value",
    "conversion_rate", "average_order_value", "revenue_per_recipient", "message_segment_count_sum",
    "text_message_credit_usage_amount", "text_message_spend", "text_message_roi",
)  # fmt: skip


def test_the_31_statistics_of_klaviyos_reporting_api_are_there_by_name():
    assert len(KLAVIYOS) == 31
    assert {name for name, statistic in STATISTICS.items() if statistic.is_klaviyos} == set(KLAVIYOS)


def test_every_statistic_has_the_unit_that_its_formula_gives():
    """Money per money is not money: three dollars per dollar is no amount."""
    named = {unit: {name for name, statistic in STATISTICS.items() if statistic.unit is unit} for unit in Unit}

    assert named[Unit.MONEY] == {
        "conversion_value", "conversion_value_unattributed", "average_order_value", "revenue_per_recipient",
        "text_message_spend",
    }  # fmt: skip
    assert named[Unit.MULTIPLE] == {"text_message_roi"}
    assert named[Unit.CREDITS] == {"text_message_credit_usage_amount"}
    assert named[Unit.SHARE] == {name for name in STATISTICS if name.endswith("_rate") or "_rate_excl_" in name}
    assert {metric_value(metric).unit for metric in SHOP_METRICS} == {Unit.MONEY}
    assert {
        make(metric).unit for make in (metric_events, credited_events, metric_people) for metric in SHOP_METRICS
    } == {Unit.COUNT}


def test_money_is_exact_and_shares_are_measurements():
    for statistic in STATISTICS.values():
        if statistic.unit in (Unit.MONEY, Unit.MULTIPLE, Unit.CREDITS):
            assert statistic.type is LogicalType.NUMERIC, statistic.name
        if statistic.unit is Unit.SHARE:
            assert statistic.type is LogicalType.FLOAT, statistic.name


def test_rates_divide_statistics_of_the_catalogue_that_are_no_rates():
    for statistic in STATISTICS.values():
        if statistic.is_computed:
            for part in statistics(statistic.numerator, statistic.denominator):
                assert not part.is_computed
        if statistic.kind is Kind.RATE:
            assert statistic.expression == f"SAFE_DIVIDE({statistic.numerator}, {statistic.denominator})"


def test_uniques_and_rates_are_not_additive_and_their_twins_are():
    assert {"opens_unique", "clicks_unique", "conversion_uniques", "unsubscribe_uniques", "open_rate"} <= NOT_ADDITIVE
    assert not NOT_ADDITIVE & {"sends_opened", "sends_clicked", "sends_converted", "opens", "conversion_value"}


def test_a_description_tells_the_formula_and_warns_where_rows_must_not_be_added():
    for statistic in STATISTICS.values():
        assert f"Formula: {statistic.formula}." in statistic.description
        assert ("Do not add" in statistic.description) is not statistic.is_additive
    assert STATISTICS["open_rate"].formula == "opens_unique / delivered"
    assert STATISTICS["recipients"].formula == "number of events over received + bounced + failed"


def test_money_is_numeric():
    money = ("conversion_value", "average_order_value", "revenue_per_recipient", "text_message_spend")
    assert {statistic.type for statistic in statistics(*money)} == {LogicalType.NUMERIC}


def test_expressions_count_events_people_sends_and_sums():
    expressions = [s.expression for s in statistics("opens", "opens_unique", "sends_opened", "conversion_value")]
    assert expressions == [
        "COUNTIF(fact IN ('opened'))",
        "COUNT(DISTINCT IF(fact IN ('opened'), person_id, NULL))",
        "COUNT(DISTINCT IF(fact IN ('opened'), send_key, NULL))",
        "COALESCE(SUM(IF(fact IN ('converted'), value, NULL)), 0)",
    ]


def test_machines_can_be_left_out_of_opens_and_clicks():
    (opens, clicks) = statistics("sends_opened_excl_machine", "clicks_unique_excl_bot")
    assert opens.expression == "COUNT(DISTINCT IF(fact IN ('opened') AND NOT is_machine, send_key, NULL))"
    assert clicks.expression == "COUNT(DISTINCT IF(fact IN ('clicked') AND NOT is_machine, person_id, NULL))"


def test_a_metric_of_the_shop_has_events_people_and_value():
    statistics = [make("Placed Order") for make in (metric_events, credited_events, metric_people, metric_value)]
    assert [statistic.name for statistic in statistics] == [
        "placed_order_events", "placed_order_events", "placed_order_people", "placed_order_value",
    ]  # fmt: skip
    assert [statistic.is_additive for statistic in statistics] == [True, True, False, True]
    assert "placed_order_people" in NOT_ADDITIVE
    assert statistics[3].expression == (
        "COALESCE(SUM(IF(metric IN ('Placed Order') AND is_own_currency, value, NULL)), 0)"
    )


def test_what_no_event_states_is_null_and_not_zero():
    (spend,) = statistics("text_message_spend")
    assert "COALESCE" not in spend.expression
    assert not spend.column.required


def test_every_metric_of_a_counted_role_becomes_a_fact_and_no_other_metric_does():
    text = fact_of("metric")
    for kind in METRIC_KINDS:
        assert (f"'{kind.name}'" in text) is (kind.role in COUNTED_ROLES)
    assert set(COUNTED_ROLES).isdisjoint({Role.OTHER, Role.SENT, Role.SUBSCRIBED})
    assert CONVERTED not in text


def test_metrics_of_roles_come_from_the_list_of_metrics():
    assert metrics_of(Role.BOUNCED) == ("Bounced Email", "Bounced Push")
    assert metrics_of(Role.SPAM, Role.DROPPED) == ("Dropped Email", "Marked Email as Spam")


def test_an_unknown_statistic_is_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match=r"no statistic 'openrate'.*Choose one of: .*open_rate"):
        statistics("opens", "openrate")
