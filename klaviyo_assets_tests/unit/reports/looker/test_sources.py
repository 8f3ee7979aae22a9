"""What Looker Studio reads: a data source per report, with nothing in it that must not be added up."""

import pytest

from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.model.statistics import ADDITIVE_TWINS, NOT_ADDITIVE, STATISTICS, Kind
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, TITLES, report_of
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS
from klaviyo_assets.tables import TABLES

OF_PEOPLE = {"person_lifetime", "person_touch", "membership_snapshot", "consent_snapshot"}
OF_REPORTS = {name: view for name, view in LOOKER_VIEWS.items() if report_of(name)}
EVERY_VIEW = pytest.mark.parametrize("name", OF_REPORTS)
NUMBERS = (LogicalType.INTEGER, LogicalType.NUMERIC, LogicalType.FLOAT)


def test_every_report_but_those_of_single_people_and_of_stocks_is_a_data_source_and_freshness_is_one():
    wanted = {f"looker_{name}" for name in REPORTS.keys() - OF_PEOPLE} | {"looker_freshness"}

    assert set(LOOKER_VIEWS) == wanted, (
        "add the view to VIEWS in reports/views/__init__.py, or the report to OF_PEOPLE here"
    )
    assert TITLES.keys() == LOOKER_VIEWS.keys(), "give each view a title in TITLES of reports/looker/sources.py"
    assert set(LOOKER_VIEWS) <= set(VIEWS) & set(PORTFOLIO_VIEWS)


@EVERY_VIEW
def test_every_number_may_be_added_up_and_none_of_the_report_that_may_be_is_missing(name):
    numbers = {column.name for column in LOOKER_VIEWS[name].columns if column.type in NUMBERS}

    assert numbers == report_of(name).additive
    assert numbers.isdisjoint(NOT_ADDITIVE)


@EVERY_VIEW
def test_a_view_has_its_account_its_grain_money_beside_its_currency_and_how_far_it_can_be_trusted(name):
    view, report = LOOKER_VIEWS[name], report_of(name)

    assert view.column_names[: 1 + len(report.order)] == ("account", *report.order)
    assert view.column_names[-3:] == ("currency", "data_through", "is_final")


@EVERY_VIEW
def test_name_title_and_description_tell_the_date_basis(name):
    view, basis = LOOKER_VIEWS[name], report_of(name).date_basis
    phrase = "over all time" if basis == "lifetime" else f"by {basis}"

    assert basis.replace(" ", "_") in name
    assert TITLES[name].endswith(phrase)
    assert view.description.startswith(f"For Looker Studio, {phrase}")


@EVERY_VIEW
def test_a_column_says_what_its_column_of_the_report_says_formula_included(name):
    report = report_of(name)
    for statistic in report.statistics:
        if statistic.is_additive:
            description = LOOKER_VIEWS[name].column(statistic.name).description
            assert description == statistic.description
            assert f"Formula: {statistic.formula}" in description


def test_days_are_dates_and_the_only_instant_is_how_far_the_data_reach():
    for view in LOOKER_VIEWS.values():
        kinds = {column.name: column.type for column in view.columns}
        assert {name for name, kind in kinds.items() if kind is LogicalType.TIMESTAMP} == {"data_through"}
        assert all(kind is LogicalType.DATE for name, kind in kinds.items() if name.endswith("_on"))


def test_nothing_tells_who_a_person_is():
    personal = {column.name for spec in TABLES.values() for column in spec.columns if column.personal}
    for view in LOOKER_VIEWS.values():
        assert personal.isdisjoint(view.column_names)
        telling = [name for name in view.column_names if "person" in name or "email" in name]
        assert telling in ([], ["email_domain"])


def test_what_stands_for_people_may_be_added_up():
    people = {name for name, statistic in STATISTICS.items() if statistic.kind is Kind.PEOPLE}

    assert set(ADDITIVE_TWINS) == people
    assert all(STATISTICS[twin].is_additive for twin in ADDITIVE_TWINS.values())
    assert all(set(STATISTICS[twin].facts) == set(STATISTICS[name].facts) for name, twin in ADDITIVE_TWINS.items())


def test_the_views_of_messages_say_how_ratios_are_made():
    described = LOOKER_VIEWS["looker_flow_by_send_date"].description

    assert "`open_rate` = SUM(sends_opened) / SUM(delivered)" in described
    assert "`revenue_per_recipient` = SUM(conversion_value) / SUM(delivered)" in described
