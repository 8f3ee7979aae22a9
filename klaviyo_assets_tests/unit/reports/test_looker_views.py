"""The rows of what Looker Studio reads: the report's own, by name, in the account's days, and ratios made of them."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from klaviyo_assets.reports.looker.fields import RATIOS, ratios_of
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, report_of
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets_tests.unit.reports.test_views import SENT, report_row
from klaviyo_assets_tests.unit.reports.view_dataset import schemas

OF_REPORTS = [name for name in LOOKER_VIEWS if report_of(name)]


@pytest.mark.parametrize("name", OF_REPORTS)
def test_every_additive_column_sums_to_the_reports_and_the_account_is_named(dataset, name):
    report = report_of(name)
    dataset.fill(**{report.name: [report_row(report.name, number) for number in (1, 20, 300)]})
    columns = sorted(report.additive)
    sums = ", ".join(f"SUM({column})" for column in columns)

    (view_sums,) = dataset.query(f"SELECT COUNT(*), MIN(account), MAX(account), {sums} FROM {name}")
    (report_sums,) = dataset.query(f"SELECT COUNT(*), 'acme', 'acme', {sums} FROM {report.name}")

    assert view_sums == report_sums
    assert set(view_sums[3:]) == {321}


def test_a_campaign_without_a_known_name_has_its_id(dataset):
    dataset.fill(
        campaign=[{"campaign_id": "c", "name": "Spring"}, {"campaign_id": "n"}],
        campaign_by_send_date=[report_row("campaign_by_send_date", campaign_id=name) for name in ("c", "n", "gone")],
    )
    rows = dataset.rows("looker_campaign_by_send_date")

    assert {row["campaign_id"]: row["campaign_name"] for row in rows} == {"c": "Spring", "n": "n", "gone": "gone"}


def test_the_days_of_a_lifetime_row_are_the_accounts(dataset):
    """Half past ten in the evening in London is the next day in Berlin."""
    row = report_row("flow_lifetime", flow_id="f", first_event_at=SENT - timedelta(hours=1), last_event_at=SENT)
    dataset.fill(flow_lifetime=[row])
    (view_row,) = dataset.rows("looker_flow_lifetime")

    assert (view_row["first_event_on"], view_row["last_event_on"]) == (date(2024, 5, 6), date(2024, 5, 7))


def test_a_renamed_list_has_its_new_name_and_consent_to_a_channel_is_told_apart(dataset):
    name = "list_growth_by_event_date"
    rows = [
        report_row(name, 1, list_id="a", list_name="Old"),
        report_row(name, 2, list_id=None, list_name="Unknown"),
        report_row(name, 3, list_id=None, list_name=None),
    ]
    dataset.fill(list=[{"list_id": "a", "name": "New"}], list_growth_by_event_date=rows)
    view_rows = dataset.rows(f"looker_{name}")

    assert {(row["list_name"], row["growth_of"], row["subscribes"]) for row in view_rows} == {
        ("New", "list", 1), ("Unknown", "list", 2), (None, "channel", 3),
    }  # fmt: skip


def test_before_the_first_load_freshness_is_one_row_that_knows_nothing(dataset):
    (freshness,) = dataset.rows("looker_freshness")

    assert freshness == {
        "account": "acme", "timezone": "Europe/Berlin", "currency": "EUR", "first_occurred_on": None,
        "last_occurred_on": None, "final_through": None, "data_through": None,
    }  # fmt: skip


def test_freshness_tells_the_days_the_last_final_one_and_how_far_the_data_reach(dataset):
    days = [date(2024, 5, day) for day in (3, 4, 9)]
    dataset.fill(
        account_by_event_date=[
            report_row("account_by_event_date", occurred_on=day, is_final=day < days[2], data_through=SENT)
            for day in days
        ],
        consent_snapshot=[report_row("consent_snapshot", data_through=SENT + timedelta(days=4))],
    )
    (freshness,) = dataset.rows("looker_freshness")

    assert (freshness["first_occurred_on"], freshness["last_occurred_on"]) == (days[0], days[2])
    assert freshness["final_through"] == days[1]
    assert freshness["data_through"] == SENT + timedelta(days=4)


def test_a_ratio_is_one_for_any_rows_and_unknown_without_any(dataset):
    dataset.fill(
        campaign_by_send_date=[
            report_row("campaign_by_send_date", campaign_id="a", delivered=10, sends_opened=4),
            report_row("campaign_by_send_date", campaign_id="b", delivered=30, sends_opened=4),
            report_row("campaign_by_send_date", campaign_id="c", delivered=0, sends_opened=0),
        ]
    )
    asked = f"SELECT {RATIOS['open_rate'].sql} FROM looker_campaign_by_send_date"

    assert dataset.query(asked) == [(pytest.approx(0.2),)], "not the mean of 0.4 and 0.13"
    assert dataset.query(f"{asked} WHERE campaign_id = 'c'") == [(None,)]


def test_the_return_on_text_messages_is_their_own_money_on_their_own_cost(dataset):
    sms = {"channel": "sms", "conversion_value": Decimal(30), "text_message_spend": Decimal(10)}
    email = {"channel": "email", "conversion_value": Decimal(500), "text_message_spend": None}
    dataset.fill(flow_by_send_date=[report_row("flow_by_send_date", flow_id="f", **row) for row in (sms, email)])
    (ratio_row,) = dataset.query(f"SELECT {RATIOS['text_message_roi'].sql} FROM looker_flow_by_send_date")

    assert ratio_row == (3,)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_reads_the_same_however_often_it_is_read(name):
    """The stand-in keeps the parsed text of a view that other views read too."""
    first, second, third = (
        schemas().translated(f"SELECT COUNT(*) AS read_{time} FROM {name}").duckdb_sql.replace(f"read_{time}", "read")
        for time in ("once", "twice", "thrice")
    )

    assert first == second == third


@pytest.mark.parametrize("name", OF_REPORTS)
def test_every_ratio_of_a_view_can_be_asked_for(dataset, name):
    report = report_of(name)
    dataset.fill(**{report.name: [report_row(report.name, 7)]})
    ratios = [ratio.sql for ratio in ratios_of(name)]

    assert set(dataset.query(f"SELECT {', '.join(ratios) or '1'} FROM {name}")[0]) == {1}
