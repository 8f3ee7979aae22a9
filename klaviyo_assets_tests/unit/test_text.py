"""Text that several rooms write in the same way."""

from klaviyo_assets.text import markdown_table, one_line, plural


def test_one_is_not_many():
    assert [plural(number, "day") for number in (0, 1, 1234)] == ["0 days", "1 day", "1,234 days"]


def test_one_line_has_single_spaces():
    assert one_line(ValueError(" first\n  second\t third ")) == "first second third"


def test_no_cell_breaks_a_table():
    assert markdown_table(("name", "rows"), [("a | b\nc \\", "1")], numbers=1) == (
        "| name | rows |\n|---|---:|\n| a \\| b c \\\\ | 1 |"
    )
