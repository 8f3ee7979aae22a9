"""Views show every row of what they read, whatever the naming tables hold: none lost, none twice."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets_tests.unit.reports.test_views import credit, event, report_row
from klaviyo_assets_tests.unit.reports.view_dataset import Dataset, Row

NAMED = [name.removesuffix("_named") for name in VIEWS if name.endswith("_named")]
IDS = st.sampled_from("abc")
NAMES = st.sampled_from(("Spring", "spring", "", None))
FLAGS = st.sampled_from((True, False, None))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset()


def tables(key: str | tuple[str, ...], **cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    """Rows of a table whose key is unique, as mapping guarantees."""
    keys = (key,) if isinstance(key, str) else key
    row = st.fixed_dictionaries({**dict.fromkeys(keys, IDS), **cells})
    return st.lists(row, max_size=5, unique_by=lambda drawn_row: tuple(drawn_row[name] for name in keys))


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


NAMING = {
    "campaign": tables("campaign_id", name=NAMES, subject=NAMES, is_deleted=FLAGS),
    "campaign_message": tables(
        "campaign_message_id", campaign_id=optional(IDS), template_id=optional(IDS), label=NAMES, is_deleted=FLAGS,
        channel=st.sampled_from(("email", "sms", None)),
    ),
    "campaign_tag": tables(("campaign_id", "tag_id")),
    "campaign_tracking_utm_param": tables(
        "campaign_id", name=st.sampled_from(("utm_source", "other")), value=NAMES, is_deleted=FLAGS
    ),
    "flow": tables("flow_id", name=NAMES, is_deleted=FLAGS),
    "flow_action": tables("flow_action_id", flow_id=optional(IDS)),
    "flow_message": tables("flow_message_id", flow_action_id=optional(IDS), template_id=optional(IDS), name=NAMES),
    "flow_tag": tables(("flow_id", "tag_id")),
    "flow_action_tracking_utm_param": tables("flow_action_id", name=st.just("utm_source"), value=NAMES),
    "tags": tables("tag_id", name=NAMES),
    "email_template": tables("email_template_id", name=NAMES),
}  # fmt: skip


def counted(rows: list[Row], names: list[str]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(row[name] for name in names) for row in rows)


def additive(report: str) -> list[str]:
    """The grain, and every number that may be added up."""
    grain = [name for name in REPORTS[report].order if not name.endswith("_name")]
    return [*grain, *sorted(REPORTS[report].additive)]


@settings(max_examples=30, deadline=None)
@given(report=st.sampled_from(NAMED), data=st.data(), naming=st.fixed_dictionaries(NAMING))
def test_a_named_report_has_each_row_of_the_report_once_with_its_owners_name(dataset, report, data, naming):
    """So every additive statistic of the view sums to the report's."""
    owner = report.partition("_")[0]
    cells = {f"{owner}_id": IDS, "message_id": optional(IDS), "number": st.integers(1, 9)}
    drawn = data.draw(st.lists(st.fixed_dictionaries(cells), max_size=6), label="report")
    dataset.fill(**naming, **{report: [report_row(report, **row) for row in drawn]})
    report_rows, view_rows = dataset.rows(report), dataset.rows(f"{report}_named")
    columns = list(REPORTS[report].column_names)
    assert counted(view_rows, columns) == counted(report_rows, columns)
    for name in REPORTS[report].additive:
        assert sum(row[name] for row in view_rows) == sum(row[name] for row in report_rows)
    names = {row[f"{owner}_id"]: row["name"] for row in naming[owner]}
    assert [row[f"{owner}_name"] for row in view_rows] == [names.get(row[f"{owner}_id"]) for row in view_rows]
    in_looker = dataset.rows(f"looker_{report}")
    assert counted(in_looker, additive(report)) == counted(report_rows, additive(report))
    assert [row[f"{owner}_name"] for row in in_looker] == [
        row[f"{owner}_id"] if names.get(row[f"{owner}_id"]) is None else names[row[f"{owner}_id"]] for row in in_looker
    ]


@settings(max_examples=20, deadline=None)
@given(naming=st.fixed_dictionaries(NAMING))
def test_every_message_is_there_once_and_every_owner_at_least_once(dataset, naming):
    dataset.fill(**naming)
    for owner in ("campaign", "flow"):
        rows = dataset.rows(f"{owner}_message_detail")
        messages = Counter(row["message_id"] for row in rows if row["message_id"] is not None)
        assert messages == Counter(row[f"{owner}_message_id"] for row in naming[f"{owner}_message"])
        unnamed = Counter(row[f"{owner}_id"] for row in rows if row["message_id"] is None)
        named = {row[f"{owner}_id"] for row in rows if row["message_id"] is not None}
        assert unnamed == Counter({row[f"{owner}_id"] for row in naming[owner]} - named)


@settings(max_examples=20, deadline=None)
@given(
    ids=st.lists(st.text("abcdef", min_size=1, max_size=2), unique=True, max_size=6),
    data=st.data(),
    campaigns=tables("campaign_id"),
)
def test_every_event_is_there_once_per_credit_or_once(dataset, ids, data, campaigns):
    events = [event(name, campaign_id=data.draw(optional(IDS)), value=Decimal(1)) for name in ids]
    credited = [
        credit(row, rank=rank, campaign_id=data.draw(optional(IDS)))
        for row in events
        for rank in range(1, 1 + data.draw(st.integers(0, 3), label="touches"))
    ]
    dataset.fill(event=events, attribution=credited, campaign=campaigns)
    rows = dataset.rows("event_with_attribution")
    per_event = Counter(row["event_id"] for row in credited)
    assert Counter(row["event_id"] for row in rows) == Counter({name: per_event[name] or 1 for name in ids})
    assert sum(row["weight"] or 0 for row in rows) == len(credited)


@settings(max_examples=20, deadline=None)
@given(
    lists=tables("list_id", name=NAMES, is_deleted=FLAGS),
    growth=st.lists(st.fixed_dictionaries({"list_id": optional(IDS), "list_name": NAMES, "number": st.integers(1, 9)}),
                    max_size=6),
)  # fmt: skip
def test_the_growth_of_lists_in_looker_studio_has_each_row_of_the_report_once(dataset, lists, growth):
    report = "list_growth_by_event_date"
    dataset.fill(list=lists, **{report: [report_row(report, **row) for row in growth]})
    report_rows, view_rows = dataset.rows(report), dataset.rows(f"looker_{report}")
    assert counted(view_rows, additive(report)) == counted(report_rows, additive(report))
    assert [row["growth_of"] for row in view_rows].count("channel") == sum(
        row["list_id"] is None and row["list_name"] is None for row in report_rows
    )
