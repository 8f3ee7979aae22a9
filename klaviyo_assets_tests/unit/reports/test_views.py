"""What the views promise: statements that BigQuery takes, descriptions, and the right rows, none lost or multiplied."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.spec import LogicalType
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.statement import create_view
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES
from klaviyo_assets_tests.unit.reports.view_dataset import ACCOUNT, LOCATION, Dataset, Row, schemas

SENT = datetime(2024, 5, 6, 22, 30, tzinfo=UTC)  # the seventh in Berlin
DAY = timedelta(days=1)
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
NAMED = [name.removesuffix("_named") for name in VIEWS if name.endswith("_named")]


def pick(row: Row, *names: str) -> list[Any]:
    return [row[name] for name in names]


def by(rows: list[Row], name: str) -> dict[Any, Row]:
    """Rows by a column that tells them apart."""
    rows_by_value = {row[name]: row for row in rows}
    assert len(rows_by_value) == len(rows)
    return rows_by_value


@EVERY_VIEW
def test_a_statement_parses_as_googlesql_without_parameters_and_names_every_table_in_full(view):
    (statement,) = sqlglot.parse(create_view(view, LOCATION, ACCOUNT), dialect="bigquery")
    assert isinstance(statement, exp.Create)
    assert (statement.kind, statement.args["replace"]) == ("VIEW", True)
    assert not list(statement.find_all(exp.Parameter))
    inner = {cte.alias for cte in statement.find_all(exp.CTE)}
    tables = [table for table in statement.find_all(exp.Table) if table.name not in inner]
    assert {f"{table.catalog}.{table.db}" for table in tables} == {LOCATION}
    assert {table.name for table in tables} == {view.name, *view.reads}


@EVERY_VIEW
def test_the_view_has_the_columns_of_its_spec_each_described_within_bigquerys_limit(view):
    view_schema = schemas().views[view.name]
    types = {LogicalType.JSON: "STRING"}
    assert [(field.name, field.type) for field in view_schema.schema] == [
        (column.name, types.get(column.type, column.type)) for column in view.columns
    ]
    assert view_schema.options["column_descriptions"] == {column.name: column.description for column in view.columns}
    assert view_schema.options["description"] == f"{view.grain} {view.description}"
    assert all(0 < len(column.description) <= 1024 for column in view.columns)


def test_a_view_stands_behind_what_it_reads():
    names = [*TABLES, *REPORTS, *VIEWS]
    assert len(set(names)) == len(names)
    for view in VIEWS.values():
        assert {names.index(read) < names.index(view.name) for read in view.reads} == {True}


@pytest.mark.parametrize("dataset_id", ["klaviyo_acme", ".klaviyo_acme", "project."])
def test_a_dataset_without_a_project_is_refused(dataset_id):
    with pytest.raises(PermanentError, match=r"Write the dataset as `project\.dataset`"):
        create_view(VIEWS["event_with_attribution"], dataset_id, ACCOUNT)


def test_a_query_that_asks_for_what_no_account_has_is_refused_by_name():
    asking = replace(VIEWS["person_detail"], sql="SELECT @day AS day FROM person")
    with pytest.raises(
        PermanentError, match=r"'person_detail': its query uses the parameter @day\. .* @timezone and @currency"
    ):
        create_view(asking, LOCATION, ACCOUNT)


def test_a_column_that_is_taken_over_keeps_its_description():
    for name, column in ((column.name, column) for column in EVENT.columns):
        assert VIEWS["event_with_attribution"].column(name).description.startswith(column.description)
    for report in NAMED:
        for column in REPORTS[report].columns:
            assert VIEWS[f"{report}_named"].column(column.name).description == column.description


def test_a_campaigns_messages_are_named_by_the_current_schema(dataset):
    dataset.fill(
        campaign=[{"campaign_id": "c", "name": "Spring", "status": "Sent", "is_deleted": False, "send_at": SENT}],
        campaign_message=[
            {"campaign_message_id": "a", "campaign_id": "c", "template_id": "t", "channel": "email", "label": "A",
             "content_subject": "Hello", "content_preview_text": "look", "content_from_email": "shop@example.com",
             "content_from_label": "Shop", "content_reply_to_email": "care@example.com"},
            {"campaign_message_id": "b", "campaign_id": "c", "channel": "sms", "label": "B", "is_deleted": True},
        ],
        email_template=[{"email_template_id": "t", "name": "Plain"}],
    )  # fmt: skip
    rows = by(dataset.rows("campaign_message_detail"), "message_id")
    of_campaign = ("campaign_id", "campaign_name", "campaign_status", "is_deleted", "campaign_send_at")
    assert [pick(row, *of_campaign) for row in rows.values()] == [["c", "Spring", "Sent", False, SENT]] * 2
    of_message = ("message_label", "channel", "subject", "preview_text", "from_email", "from_label", "reply_to_email",
                  "template_id", "template_name", "message_is_deleted")  # fmt: skip
    assert pick(rows["a"], *of_message) == [
        "A", "email", "Hello", "look", "shop@example.com", "Shop", "care@example.com", "t", "Plain", False,
    ]  # fmt: skip
    assert pick(rows["b"], *of_message) == ["B", "sms", *[None] * 7, True]


OLD_CAMPAIGN: Row = {
    "campaign_id": "old", "name": "Jan-2 Email", "status_label": "Sent", "sent_at": SENT, "subject": "say hello",
    "from_email": "hello@example.com", "from_name": "friend", "email_template_id": "t", "is_deleted": False,
}  # fmt: skip


def test_a_campaign_of_the_old_schema_is_one_row_with_what_stands_on_the_campaign(dataset):
    dataset.fill(campaign=[OLD_CAMPAIGN], email_template=[{"email_template_id": "t", "name": "Plain"}])
    (row,) = dataset.rows("campaign_message_detail")
    assert pick(row, "message_id", "campaign_name", "campaign_status", "campaign_send_at", "subject", "from_email",
                "from_label", "template_id", "template_name") == [
        None, "Jan-2 Email", "Sent", SENT, "say hello", "hello@example.com", "friend", "t", "Plain",
    ]  # fmt: skip


def test_what_a_message_says_wins_over_the_old_columns_and_a_text_message_takes_none_of_them(dataset):
    of_old = {"campaign_id": "old"}
    dataset.fill(
        campaign=[OLD_CAMPAIGN],
        campaign_message=[
            {**of_old, "campaign_message_id": "a", "channel": "email", "content_subject": "newer"},
            {**of_old, "campaign_message_id": "b", "channel": "sms"},
        ],
    )
    rows = by(dataset.rows("campaign_message_detail"), "message_id")
    assert pick(rows["a"], "subject", "from_label", "template_id") == ["newer", "friend", "t"]
    assert pick(rows["b"], "subject", "from_label", "template_id") == [None, None, None]


def test_a_message_whose_campaign_is_not_known_is_kept(dataset):
    dataset.fill(campaign_message=[{"campaign_message_id": name, "campaign_id": of} for name, of in ("ax", "b ")])
    assert sorted(pick(row, "message_id", "campaign_id") for row in dataset.rows("campaign_message_detail")) == [
        ["a", "x"],
        ["b", " "],
    ]


def test_tags_and_link_parameters_are_listed_once_by_name_and_multiply_nothing(dataset):
    dataset.fill(
        campaign=[{"campaign_id": "c"}, {"campaign_id": "plain"}],
        campaign_tag=[{"campaign_id": "c", "tag_id": tag} for tag in "12349"],
        tags=[{"tag_id": tag, "name": name} for tag, name in zip("1234", ("vip", "sale", "vip", None), strict=True)],
        campaign_tracking_utm_param=[
            {"campaign_id": "c", "name": name, "value": value, "is_deleted": deleted}
            for name, value, deleted in (
                ("utm_source", "Klaviyo", False), ("utm_medium", "email", None), ("UTM_Campaign", "spring", False),
                ("z", None, False), ("kx", "1", False), ("gone", "x", True),
            )
        ],
    )  # fmt: skip
    rows = by(dataset.rows("campaign_message_detail"), "campaign_id")
    wanted = ("tags", "utm_source", "utm_medium", "utm_campaign", "other_utm_params")
    assert pick(rows["c"], *wanted) == ["sale, vip", "Klaviyo", "email", "spring", "kx=1&z="]
    assert pick(rows["plain"], *wanted) == [None] * 5


def test_a_flow_message_is_named_through_its_step(dataset):
    dataset.fill(
        flow=[
            {"flow_id": "f", "name": "Welcome", "status": "live", "trigger_type": "Metric", "is_deleted": True},
            {"flow_id": "empty", "name": "Draft"},
        ],
        flow_action=[{"flow_action_id": "1", "flow_id": "f", "action_type": "SEND_EMAIL", "status": "manual"}],
        flow_message=[
            {"flow_message_id": "m", "flow_action_id": "1", "template_id": "t", "channel": "email", "name": "First",
             "content_subject": "Hi", "content_from_label": "Shop"},
            {"flow_message_id": "stray", "flow_action_id": "gone", "name": "Stray"},
        ],
        email_template=[{"email_template_id": "t", "name": "Plain"}],
        flow_tag=[{"flow_id": "f", "tag_id": tag} for tag in "12"],
        tags=[{"tag_id": tag, "name": f"tag {tag}"} for tag in "21"],
        flow_action_tracking_utm_param=[{"flow_action_id": "1", "name": "utm_source", "value": "Klaviyo"}],
    )  # fmt: skip
    rows = by(dataset.rows("flow_message_detail"), "message_id")
    assert pick(rows["m"], "flow_id", "flow_name", "flow_status", "is_deleted", "trigger_type", "tags") == [
        "f", "Welcome", "live", True, "Metric", "tag 1, tag 2",
    ]  # fmt: skip
    assert pick(rows["m"], "action_type", "action_status", "message_name", "channel", "subject", "from_label",
                "template_name", "utm_source") == [
        "SEND_EMAIL", "manual", "First", "email", "Hi", "Shop", "Plain", "Klaviyo",
    ]  # fmt: skip
    assert pick(rows["stray"], "flow_id", "flow_name", "message_name") == [None, None, "Stray"]
    assert pick(rows[None], "flow_id", "flow_name", "message_name") == ["empty", "Draft", None]


def report_row(report: str, number: int = 1, **cells: Any) -> Row:
    """A report's row with every required cell filled; `number` stands in every statistic."""
    fill = {LogicalType.STRING: "EUR", LogicalType.BOOLEAN: True, LogicalType.TIMESTAMP: SENT,
            LogicalType.DATE: SENT.date()}  # fmt: skip
    row = {c.name: fill.get(c.type, number) for c in REPORTS[report].columns if c.required}
    return {**row, **dict.fromkeys(REPORTS[report].additive, number), **cells}


@pytest.fixture
def campaigns(dataset: Dataset) -> Dataset:
    """One campaign of two messages, one of a single message, one of the old schema, and one that is deleted."""
    dataset.fill(
        campaign=[
            OLD_CAMPAIGN,
            {"campaign_id": "two", "name": "Two"},
            {"campaign_id": "one", "name": "One"},
            {"campaign_id": "gone", "name": "Two", "is_deleted": True},
        ],
        campaign_message=[
            {"campaign_message_id": message, "campaign_id": of, "label": message.upper(), "channel": "email",
             "content_subject": f"subject {message}"}
            for message, of in (("a", "two"), ("b", "two"), ("c", "one"))
        ],
    )  # fmt: skip
    return dataset


@pytest.mark.parametrize(
    ("campaign_id", "message_id", "names"),
    [
        ("two", "b", ["Two", "B", "subject b", False]),
        ("two", None, ["Two", None, None, False]),
        ("two", "unheard of", ["Two", None, None, False]),
        ("one", None, ["One", "C", "subject c", False]),
        ("one", "unheard of", ["One", None, None, False]),
        ("old", "unheard of", ["Jan-2 Email", None, "say hello", False]),
        ("old", None, ["Jan-2 Email", None, "say hello", False]),
        ("gone", "a", ["Two", "A", "subject a", True]),
        ("unheard of", None, [None, None, None, None]),
    ],
)
@pytest.mark.parametrize("report", [name for name in NAMED if name.startswith("campaign")])
def test_a_reports_row_has_the_names_of_its_message_or_else_of_its_campaign(
    campaigns, report, campaign_id, message_id, names
):
    row = report_row(report, campaign_id=campaign_id, message_id=message_id, channel="sms")
    campaigns.fill(**{report: [row]})
    (view_row,) = campaigns.rows(f"{report}_named")
    assert pick(view_row, "campaign_name", "message_label", "subject", "is_deleted") == names
    assert pick(view_row, *row) == list(row.values())


def test_a_renamed_campaign_has_its_new_name_on_every_row(campaigns):
    days = [report_row("campaign_by_event_date", campaign_id="two", message_id="a", occurred_on=date(2024, 5, day))
            for day in (1, 2)]  # fmt: skip
    campaigns.fill(campaign_by_event_date=days)
    campaigns.fill(campaign=[{"campaign_id": "two", "name": "Renamed"}])
    names = [row["campaign_name"] for row in campaigns.rows("campaign_by_event_date_named")]
    assert names == ["Renamed", "Renamed"]


@pytest.mark.parametrize("report", [name for name in NAMED if name.startswith("flow")])
def test_a_flow_reports_row_has_the_names_of_its_message_and_step(dataset, report):
    dataset.fill(
        flow=[{"flow_id": "f", "name": "Welcome"}],
        flow_action=[{"flow_action_id": "1", "flow_id": "f", "action_type": "SEND_EMAIL"}],
        flow_message=[{"flow_message_id": "m", "flow_action_id": "1", "name": "First"}],
        **{report: [report_row(report, flow_id="f", message_id=message) for message in ("m", None, "x")]},
    )
    rows = by(dataset.rows(f"{report}_named"), "message_id")
    names = [pick(rows[message], "flow_name", "action_type", "message_name") for message in ("m", None, "x")]
    assert names == [["Welcome", "SEND_EMAIL", "First"]] * 2 + [["Welcome", None, None]]


def event(event_id: str, **cells: Any) -> Row:
    """An event two hours after the send; it states no send."""
    row = {"event_id": event_id, "occurred_at": SENT + timedelta(hours=2), "occurred_on": date(2024, 5, 7),
           "metric": "Opened Email", "channel": "email", "person_id": "ann", "is_conversion": False,
           "is_machine_open": False, "is_bot_click": False}  # fmt: skip
    return {**row, **cells}


def order(event_id: str, value: str, **cells: Any) -> Row:
    return event(
        event_id, metric="Placed Order", channel=None, is_conversion=True, value=Decimal(value), **cells
    )  # fmt: skip


def credit(ordered: Row, weight: str = "1", rank: int = 1, **cells: Any) -> Row:
    """A campaign's credit for an order; it states no send."""
    row = {"event_id": ordered["event_id"], "occurred_on": ordered["occurred_on"], "touch_rank": rank,
           "weight": Decimal(weight), "value": ordered["value"] * Decimal(weight), "attribution_source": "recorded",
           "touch_channel": "email", "campaign_id": "c", "message_id": "m"}  # fmt: skip
    return {**row, **cells}


def test_an_event_is_there_once_per_touch_and_once_without_any(dataset):
    ordered = order("shared", "30", campaign_id="stated")
    dataset.fill(
        event=[ordered, order("unearned", "5"), event("open", campaign_id="c", message_id="m")],
        attribution=[credit(ordered, "0.4", 1), credit(ordered, "0.6", 2, campaign_id=None, flow_id="f")],
        campaign=[{"campaign_id": "c", "send_at": SENT}],
    )
    rows = sorted(dataset.rows("event_with_attribution"), key=lambda row: (row["event_id"], row["touch_rank"]))
    columns = ("event_id", "campaign_id", "value", "touch_rank", "weight", "credited_value", "credited_campaign_id",
             "credited_flow_id")  # fmt: skip
    assert [pick(row, *columns) for row in rows] == [
        ["open", "c", None, None, None, None, None, None],
        ["shared", "stated", 30, 1, Decimal("0.4"), 12, "c", None],
        ["shared", "stated", 30, 2, Decimal("0.6"), 18, None, "f"],
        ["unearned", None, 5, None, None, None, None, None],
    ]


def test_every_column_of_event_and_of_attribution_is_shown():
    view_columns = set(VIEWS["event_with_attribution"].column_names)
    clashing = {"campaign_id", "flow_id", "message_id", "variation_id", "value", "send_at", "send_on"}
    assert view_columns == {*EVENT.column_names, *ATTRIBUTION.column_names, *(f"credited_{name}" for name in clashing)}


@pytest.mark.parametrize(
    ("stated", "wanted"),
    [
        ({}, [SENT, date(2024, 5, 7)]),
        ({"send_at": SENT - 3 * DAY, "send_on": date(2024, 5, 4)}, [SENT - 3 * DAY, date(2024, 5, 4)]),
        ({"send_at": SENT + 2 * DAY, "send_on": date(2024, 5, 9)}, [None, None]),
        ({"flow_id": "f"}, [None, None]),
    ],
    ids=["campaign's", "stated", "too late to be believed", "of a flow"],
)  # fmt: skip
def test_the_send_is_the_stated_one_else_the_campaigns_in_the_accounts_time_zone(dataset, stated, wanted):
    ordered = order("o", "30", campaign_id="c", **stated)
    dataset.fill(
        event=[ordered], attribution=[credit(ordered, **stated)], campaign=[{"campaign_id": "c", "send_at": SENT}]
    )
    (row,) = dataset.rows("event_with_attribution")
    assert pick(row, "send_at", "send_on") == pick(row, "credited_send_at", "credited_send_on") == wanted


def test_its_money_by_send_day_and_credited_campaign_is_the_reports(dataset):
    """Whoever asks the view gets the numbers of `campaign_by_send_date`."""
    orders = [order(str(n), f"{n}.10", occurred_on=date(2024, 5, 7) + timedelta(days=n)) for n in range(1, 5)]
    sends: list[Row] = [{}, {"send_at": SENT, "send_on": date(2024, 5, 9)}, {"campaign_id": "x"}, {}]
    dataset.fill(
        event=orders, attribution=[credit(of, **send) for of, send in zip(orders, sends, strict=True)],
        campaign=[{"campaign_id": "c", "send_at": SENT}],
    )  # fmt: skip
    dataset.restate("campaign_by_send_date", SENT + timedelta(days=30))
    report_sums = [tuple(pick(row, "send_on", "campaign_id", "conversions", "conversion_value"))
              for row in dataset.rows("campaign_by_send_date")]  # fmt: skip
    view_sums = dataset.query(
        "SELECT credited_send_on, credited_campaign_id, SUM(weight), SUM(credited_value) FROM event_with_attribution "
        "WHERE is_conversion GROUP BY 1, 2"
    )
    assert len(view_sums) == 3
    assert sorted(view_sums, key=str) == sorted(report_sums, key=str)


def test_a_person_has_the_numbers_of_the_report_and_zeros_where_there_are_none(dataset):
    dataset.fill(
        person=[{"person_id": "ann", "last_event_at": SENT - timedelta(days=1)}, {"person_id": "bob"}],
        person_lifetime=[
            report_row("person_lifetime", 7, person_id="ann", last_event_at=SENT),
            report_row("person_lifetime", 7, person_id="not in person"),
        ],
    )
    rows = by(dataset.rows("person_detail"), "person_id")
    assert rows.keys() == {"ann", "bob"}
    numbers = [column.name for column in REPORTS["person_lifetime"].columns
               if column.type in (LogicalType.INTEGER, LogicalType.NUMERIC)]  # fmt: skip
    assert {"delivered", "conversion_value", "placed_order_events", "placed_order_value"} <= set(numbers)
    assert set(pick(rows["bob"], *numbers)) == {0}
    assert pick(rows["ann"], "has_events", "delivered", "conversion_value", "last_event_at") == [True, 7, 7, SENT]
    assert rows["ann"]["klaviyo_last_event_at"] == SENT - timedelta(days=1)
    assert pick(rows["bob"], "has_events", "last_event_at", "currency") == [False, None, "EUR"]
