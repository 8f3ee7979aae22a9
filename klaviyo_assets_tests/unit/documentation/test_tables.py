"""The reference page says what the specs say, and is fresh."""

from klaviyo_assets.documentation.tables import REFRESH_COMMAND, main, tables_document
from klaviyo_assets.model.spec import Column, LogicalType, Partitioning, TableSpec
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.checkout import DOCS
from klaviyo_assets_tests.unit.model.every_type import SPEC

PAGE = DOCS / "tables.md"


def test_the_page_in_docs_is_fresh(capsys):
    main()

    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out, f"refresh it: {REFRESH_COMMAND}"


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
    page = tables_document((TABLES["list"],), (SPEC,))

    assert page.index("## list") < page.index("# Reports") < page.index("## sample")
