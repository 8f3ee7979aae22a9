"""Fields of Looker Studio: labels and types, and ratios that are quotients of sums."""

import pytest
import sqlglot
from sqlglot import exp

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.model.statistics import STATISTICS, Kind
from klaviyo_assets.reports.looker.fields import RATIOS, Format, fields_of, label, ratios_of
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, report_of

EVERY_VIEW = pytest.mark.parametrize("view", LOOKER_VIEWS)
BY_EVENT_DATE = {"delivery_rate", "bounce_rate", "failed_rate", "bounced_or_failed_rate", "average_order_value"}


def test_every_rate_of_the_catalogue_has_a_ratio_of_additive_columns():
    assert set(RATIOS) == {name for name, statistic in STATISTICS.items() if statistic.kind is Kind.RATE}
    for ratio in RATIOS.values():
        assert STATISTICS[ratio.numerator].is_additive
        assert STATISTICS[ratio.denominator].is_additive


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("open_rate", "SUM(sends_opened) / SUM(delivered)"),
        ("click_rate_excl_bot", "SUM(sends_clicked_excl_bot) / SUM(delivered)"),
        ("click_to_open_rate", "SUM(sends_clicked) / SUM(sends_opened)"),
        ("unsubscribe_rate", "SUM(unsubscribes) / SUM(delivered)"),
        ("average_order_value", "SUM(conversion_value) / SUM(conversions)"),
        ("revenue_per_recipient", "SUM(conversion_value) / SUM(delivered)"),
    ],
)
def test_a_formula_divides_sums(name, formula):
    assert RATIOS[name].formula == formula


def test_the_return_on_text_messages_leaves_out_the_money_of_emails():
    ratio = RATIOS["text_message_roi"]

    assert ratio.sums == (
        "SUM(CASE WHEN text_message_spend IS NOT NULL THEN conversion_value END)",
        "SUM(text_message_spend)",
    )


@pytest.mark.parametrize("ratio", RATIOS.values(), ids=RATIOS)
def test_the_sql_is_googlesql_over_the_ratios_own_columns(ratio):
    parsed = sqlglot.parse_one(ratio.sql, dialect="bigquery")

    assert isinstance(parsed, exp.SafeDivide)
    assert {column.name for column in parsed.find_all(exp.Column)} == {ratio.numerator, ratio.denominator}


def test_shares_are_percent_money_is_money_and_the_rest_numbers():
    names_by_format = {
        format_: {name for name, ratio in RATIOS.items() if ratio.format is format_} for format_ in Format
    }

    assert names_by_format[Format.MONEY] == {"average_order_value", "revenue_per_recipient"}
    assert names_by_format[Format.NUMBER] == {"text_message_roi"}
    assert "open_rate" in names_by_format[Format.PERCENT]


def test_a_ratio_that_counts_sends_for_people_says_so():
    assert "sends that were opened, not people" in RATIOS["open_rate"].sentence
    assert "not people" not in RATIOS["bounce_rate"].sentence


@EVERY_VIEW
def test_a_ratio_of_a_view_is_made_of_its_metrics(view):
    metrics = {field.name for field in fields_of(view) if field.is_metric}

    assert all({ratio.numerator, ratio.denominator} <= metrics for ratio in ratios_of(view))


def test_by_event_date_only_ratios_of_the_same_events_mean_something():
    assert {ratio.name for ratio in ratios_of("looker_flow_by_event_date")} == BY_EVENT_DATE
    assert {ratio.name for ratio in ratios_of("looker_account_by_event_date")} == BY_EVENT_DATE
    assert {ratio.name for ratio in ratios_of("looker_flow_by_send_date")} == set(RATIOS)
    assert {ratio.name for ratio in ratios_of("looker_campaign_lifetime")} == set(RATIOS)
    assert {ratio.name for ratio in ratios_of("looker_deliverability_by_event_date")} == {
        "delivery_rate", "bounce_rate", "spam_complaint_rate",
    }  # fmt: skip
    assert ratios_of("looker_freshness") == ()


@EVERY_VIEW
def test_fields_are_the_views_columns_and_the_metrics_its_reports_additive_statistics(view):
    fields, report = fields_of(view), report_of(view)

    assert tuple(field.name for field in fields) == LOOKER_VIEWS[view].column_names
    assert {field.name for field in fields if field.is_metric} == (report.additive if report else set())


def test_labels_of_a_view_tell_its_fields_apart():
    for view in LOOKER_VIEWS:
        labels = [field.label for field in fields_of(view)]
        assert len(set(labels)) == len(labels)
    assert label("send_on") == "Send date"
    assert label("utm_campaign") == "UTM campaign"
    assert label("opens_excl_machine") == "Opens excl. machine"


def test_a_view_that_is_none_of_looker_studios_is_refused_by_name():
    with pytest.raises(UnknownNameError, match=r"'person_detail'.*Choose one of: looker_account_by_event_date"):
        fields_of("person_detail")
