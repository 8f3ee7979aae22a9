"""The statements, on tables filled by hand: what they add up, what they leave out, and whom they never show."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from klaviyo_assets.publishing.html_report.answers import Answers, Period
from klaviyo_assets.publishing.html_report.formatting import exact
from klaviyo_assets.publishing.html_report.questions import FEW_RECIPIENTS, QUESTIONS
from klaviyo_assets.publishing.html_report.report import render_report
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS
from klaviyo_assets.reports.spec import DateBasis
from klaviyo_assets_tests.page_numbers import Page
from klaviyo_assets_tests.unit.reports.test_views import report_row
from klaviyo_assets_tests.unit.reports.view_dataset import ACCOUNT, Dataset, schemas

REPORT_COLUMNS = {
    "account_by_event_date": {"message_source": "campaign", "channel": "email"},
    "campaign_by_send_date": {"campaign_id": "c", "message_id": "m", "channel": "email"},
    "flow_by_send_date": {"flow_id": "f", "message_id": "n", "channel": "sms"},
    "list_growth_by_event_date": {"list_id": "l", "channel": "email"},
    "deliverability_by_event_date": {"email_domain": "gmail.com"},
}
BEFORE, START, END = date(2026, 1, 1), date(2026, 1, 8), date(2026, 1, 14)


def asked(dataset: Dataset, name: str) -> list[dict[str, Any]]:
    """The rows of a statement, for January 8 to 14."""
    sql = QUESTIONS[name].sql
    for parameter, day in (("start_on", START), ("end_on", END), ("before_on", BEFORE)):
        sql = sql.replace(f"@{parameter}", f"DATE '{day}'")
    columns = [field.name for field in schemas().translated(sql).schema]
    return [dict(zip(columns, row, strict=True)) for row in dataset.query(sql)]


def day_rows(report: str, days: Sequence[date], **columns: Any) -> list[dict[str, Any]]:
    """A row per day, all statistics 10."""
    name = "send_on" if report.endswith("send_date") else "occurred_on"
    return [report_row(report, 10, **{name: day}, **columns) for day in days]


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_statement_reads_only_what_looker_studio_reads_and_takes_only_dates(name):
    sql = QUESTIONS[name].sql
    subqueries = set(re.findall(r"(\w+) AS \(", sql))

    assert set(re.findall(r"(?:FROM|JOIN) (\w+)", sql)) - subqueries <= set(LOOKER_VIEWS)
    assert set(re.findall(r"@(\w+)", sql)) <= {"start_on", "end_on", "before_on"}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_statement_runs_where_there_is_nothing(dataset, name):
    """And says nothing, or one row of nothing."""
    assert len(asked(dataset, name)) <= 1


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_date_base_is_that_of_the_views(name):
    question = QUESTIONS[name]
    wanted = {DateBasis.SEND: "_by_send_date", DateBasis.EVENT: "_by_event_date"}.get(question.date_basis, "looker_")
    views = set(re.findall(r"looker_\w+", question.sql))

    assert all(wanted in view for view in views)


def test_every_number_of_a_page_is_the_result_of_the_statement_it_names(dataset):
    """Rows of every report, and the statements asked again once the page is there."""
    days = [BEFORE, START, END]
    fills = {report: day_rows(report, days, **columns) for report, columns in REPORT_COLUMNS.items()}
    arms = [{**row, "variation_id": arm} for row in fills["campaign_by_send_date"] for arm in ("a", "b")]
    dataset.fill(
        **fills | {"campaign_by_send_date": arms},
        campaign=[{"campaign_id": "c", "name": "Spring <sale>"}],
        campaign_message=[{"campaign_message_id": "m", "campaign_id": "c", "content_subject": "Now & then"}],
    )
    answers = Answers(ACCOUNT, Period(START, END), {name: asked(dataset, name) for name in QUESTIONS})
    page = Page(render_report([answers], {ACCOUNT.name: "p.klaviyo_acme"}, answers.period).html)

    again = {name: asked(dataset, name) for name in QUESTIONS}
    assert {each.statement for each in page.numbers} == set(QUESTIONS)
    assert all(each.value == exact(again[each.statement][each.row][each.column]) for each in page.numbers)
    assert {each.value for each in page.of("campaigns", "campaign_name")} == {"Spring <sale>"}
    assert [each.value for each in page.of("headline", "conversion_value")] == ["20"]


def test_the_headline_is_of_the_period_and_of_the_one_before_and_of_no_other_day(dataset):
    inside, before = [START, END], [BEFORE, date(2026, 1, 7)]
    outside = [date(2025, 12, 31), date(2026, 1, 15)]
    dataset.fill(account_by_event_date=day_rows("account_by_event_date", [*inside, *inside, *before, *outside],
                                                message_source="flow"))  # fmt: skip

    (row,) = asked(dataset, "headline")

    assert (row["conversion_value"], row["conversion_value_before"]) == (40, 20)
    assert row["conversion_value_change"] == 1
    assert row["share_of_revenue"] == Decimal("0.5")


def test_a_change_on_nothing_is_unknown(dataset):
    dataset.fill(account_by_event_date=day_rows("account_by_event_date", [START], message_source="flow"))

    (row,) = asked(dataset, "headline")

    assert row["conversion_value_change"] is None


def test_texts_are_not_among_what_could_be_opened(dataset):
    dataset.fill(
        campaign_by_send_date=[
            *day_rows("campaign_by_send_date", [START], campaign_id="c", channel="email"),
            *day_rows("campaign_by_send_date", [START], campaign_id="t", channel="sms"),
        ]
    )

    (row,) = asked(dataset, "rates")
    rates = {each["campaign_id"]: each["open_rate"] for each in asked(dataset, "campaigns")}

    assert row["open_rate"] == 2, "20 opens of 10 emails: every statistic is 10, and those of texts are opens too"
    assert row["click_rate"] == 1
    assert rates == {"c": 1, "t": None}


def test_variations_of_a_campaign_are_one_campaign_and_one_test(dataset):
    rows = [
        each for arm in ("a", "b", None)
        for each in day_rows("campaign_by_send_date", [START], campaign_id="c", message_id="m", channel="email",
                             variation_id=arm)
    ]  # fmt: skip
    alone = day_rows("campaign_by_send_date", [START], campaign_id="d", message_id="n", variation_id="z")
    dataset.fill(campaign_by_send_date=[*rows, *alone])

    assert {(each["campaign_id"], each["delivered"]) for each in asked(dataset, "campaigns")} == {("c", 30), ("d", 10)}
    assert [each["variation_id"] for each in asked(dataset, "variations")] == ["a", "b"]


def test_a_domain_of_few_is_not_named(dataset):
    """It may be somebody's own; its numbers count among all others."""
    report = "deliverability_by_event_date"
    few = [report_row(report, FEW_RECIPIENTS - 1, occurred_on=START, email_domain=name) for name in ("jo.me", "al.me")]
    many = [report_row(report, FEW_RECIPIENTS, occurred_on=START, email_domain=name) for name in ("gmail.com", None)]
    dataset.fill(**{report: [*few, *many]})

    rows = asked(dataset, "domains")

    assert {each["domain"]: each["recipients"] for each in rows} == {
        "gmail.com": FEW_RECIPIENTS, "(not stated)": FEW_RECIPIENTS, "(all others)": 2 * (FEW_RECIPIENTS - 1),
    }  # fmt: skip
    assert rows[-1]["domain"] == "(all others)"


def test_consent_to_a_channel_is_not_growth_of_a_list(dataset):
    report = "list_growth_by_event_date"
    dataset.fill(**{report: [*day_rows(report, [START], list_id="l"), *day_rows(report, [START], channel="sms")]})

    assert [each["subscribes"] for each in asked(dataset, "list_growth_by_day")] == [10]
    assert {each["growth_of"] for each in asked(dataset, "lists")} == {"list", "channel"}


def test_money_of_every_kind_of_message_adds_up(dataset):
    report = "account_by_event_date"
    kinds = [("campaign", "email"), ("campaign", "sms"), ("flow", "whatsapp"), ("flow", None), ("none", None)]
    dataset.fill(**{report: [
        each for source, channel in kinds
        for each in day_rows(report, [START], message_source=source, channel=channel)
    ]})  # fmt: skip

    (row,) = asked(dataset, "revenue_by_day")
    by_source = asked(dataset, "revenue_by_source")

    assert row["conversion_value"] == 50
    assert [row[name] for name in ("campaigns", "flows", "text_messages", "push_and_whatsapp", "others")] == [10] * 5
    assert sum(each["conversion_value"] for each in by_source) == 50
    assert {each["share_of_conversion_value"] for each in by_source} == {Decimal("0.2")}
