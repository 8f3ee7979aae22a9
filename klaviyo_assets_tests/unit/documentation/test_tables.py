"""The reference page says what the specs say."""

import pytest

from klaviyo_assets.documentation.tables import tables_document
from klaviyo_assets.model.spec import Column, LogicalType, Partitioning, TableSpec
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.unit.model.every_type import SPEC


def test_the_same_specs_give_the_same_text():
    specs = tuple(TABLES.values())

    assert tables_document(specs) == tables_document(specs)


def test_every_table_and_column_is_on_the_page():
    page = tables_document(tuple(TABLES.values()))

    for spec in TABLES.values():
        section = page.split(f"\n## {spec.name}\n")[1].split("\n## ")[0]
        assert spec.grain in section
        assert all(f"| `{column.name}` | {column.type} |" in section for column in spec.columns)


def test_a_column_row_says_type_marks_source_meaning_and_rules():
    page = tables_document((SPEC,))

    assert "| `email` | STRING | personal |  | Personal. Rule: not the empty text. |" in page
    assert "| `sample_id` | STRING | key, required |" in page


def test_older_names_stand_beside_the_name():
    assert "`list_name`, `name`" in tables_document((TABLES["list"],))


def test_a_daily_table_says_how_it_is_cut_and_sorted():
    daily = TableSpec(
        name="daily", grain="One row per day.", description="Daily.", key=("day",), order=("day", "name"),
        partitioning=Partitioning.ACCOUNT_DAY, day_column="day", cluster=("name",),
        columns=(
            Column(name="day", type=LogicalType.DATE, description="Day."),
            Column(name="name", type=LogicalType.STRING, description="a | b"),
        ),
    )  # fmt: skip

    page = tables_document((daily,))

    assert "- Partitioned by account and day (`day`)" in page
    assert "- Clustered by `name`" in page
    assert "- Sorted by `day`, `name`" in page
    assert "- Source: computed from other tables" in page
    assert "a \\| b" in page


def test_reports_have_a_part_of_their_own():
    page = tables_document((TABLES["list"],), (REPORTS["person_touch"],))

    assert page.index("## list") < page.index("# Reports") < page.index("## person_touch")


def test_the_page_begins_with_an_index_by_question():
    page = tables_document((TABLES["list"],), tuple(REPORTS.values()), tuple(VIEWS.values()))

    index = page[: page.index("## The tables")]
    assert (
        "| How did each campaign do by the day it was sent? | [`campaign_by_send_date`](#campaign_by_send_date), "
        in index
    )


@pytest.mark.parametrize("spec", [pytest.param(spec, id=spec.name) for spec in (*REPORTS.values(), *VIEWS.values())])
def test_every_report_and_view_declares_the_questions_it_answers(spec):
    assert spec.questions, (
        f"add to the spec of {spec.name!r} the `questions` that it answers, in a marketer's words: the index of "
        "docs/tables.md is made of them"
    )
    assert [question for question in spec.questions if not question.endswith("?")] == []
