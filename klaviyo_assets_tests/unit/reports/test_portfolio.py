"""What the portfolio's views promise: GoogleSQL over every account, money beside its currency, no person's details."""

import pytest
import sqlglot
from sqlglot import exp

from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS, Member, create_portfolio_view

EVERY_VIEW = pytest.mark.parametrize("view", PORTFOLIO_VIEWS.values(), ids=PORTFOLIO_VIEWS)
SOURCES = {**REPORTS, **VIEWS}
HERE = "a-project.klaviyo_portfolio"
MONEY = ("value", "spend", "revenue", "average_order_value", "roi")


def members(view):
    columns = frozenset(SOURCES[view.name].column_names)
    return [Member(name, f"a-project.klaviyo_{name}", columns) for name in ("acme", "bloom")]


def parsed(sql):
    (statement,) = sqlglot.parse(sql, dialect="bigquery")
    assert isinstance(statement, exp.Create)
    return statement


@EVERY_VIEW
def test_a_view_is_the_union_of_its_accounts_each_named_in_full(view):
    statement = parsed(create_portfolio_view(view, members(view), HERE)[0])

    tables = [f"{table.catalog}.{table.db}.{table.name}" for table in statement.find_all(exp.Table)]
    assert tables == [f"{HERE}.{view.name}", *(f"a-project.klaviyo_{name}.{view.name}" for name in ("acme", "bloom"))]
    assert (statement.kind, statement.args["replace"]) == ("VIEW", True)
    selects = list(statement.expression.find_all(exp.Select))
    assert [select.expressions[0].sql("bigquery") for select in selects] == [
        "'acme' AS `account`",
        "'bloom' AS `account`",
    ]
    assert {tuple(select.named_selects) for select in selects} == {view.column_names}


@EVERY_VIEW
def test_the_account_stands_first_and_every_column_is_described(view):
    source = SOURCES[view.name]
    # What Looker Studio reads has the account itself, first and described alike.
    own = [column for column in source.columns if column.name != "account"]
    assert view.column_names == ("account", *(column.name for column in own)), "no other source has such a column"
    assert [column.description for column in view.columns[1:]] == [column.description for column in own]
    assert view.order == ("account", *(name for name in source.order if name != "account"))


@EVERY_VIEW
def test_money_stands_beside_its_currency(view):
    money = [column.name for column in view.columns
             if column.type is LogicalType.NUMERIC and any(word in column.name for word in MONEY)]  # fmt: skip
    assert not money or "currency" in view.column_names, money


def test_nothing_that_identifies_a_person_leaves_its_account():
    personal = {column.name for column in VIEWS["person_detail"].columns if column.personal}
    assert len(personal) > 5
    assert all(personal.isdisjoint(view.column_names) for view in PORTFOLIO_VIEWS.values())
    assert "person_detail" not in PORTFOLIO_VIEWS


def test_every_report_every_named_view_and_what_looker_studio_reads_is_there():
    view_names = {name for name in VIEWS if name.endswith("_named") or name.startswith("looker_")}
    assert set(PORTFOLIO_VIEWS) == {*REPORTS, *view_names, "event_with_attribution"}


def test_a_column_that_an_account_has_not_got_yet_is_null_for_it():
    view = PORTFOLIO_VIEWS["campaign_by_event_date"]
    old = Member(
        "old", "a-project.klaviyo_old", frozenset(REPORTS[view.name].column_names) - {"opens", "conversion_value"}
    )

    sql, _ = create_portfolio_view(view, [old], HERE)

    assert "CAST(NULL AS INT64) AS `opens`" in sql
    assert "CAST(NULL AS NUMERIC) AS `conversion_value`" in sql


@EVERY_VIEW
def test_without_any_account_a_view_has_its_columns_and_no_rows(view):
    statement = parsed(create_portfolio_view(view, [], HERE)[0])

    assert statement.expression.named_selects == list(view.column_names)
    assert statement.expression.args["limit"].sql() == "LIMIT 0"
