"""Reading raw tables' CSV files."""

import pytest

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.csv_files import find_files, good_rows, scan_file


def write(tmp_path, name, content, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    return path


def test_rows_with_too_many_or_too_few_cells_are_reported_by_line(tmp_path):
    path = write(tmp_path, "event.csv", 'id,type\n1,"two\nlines"\n2\n3,x,y\n\n4,z\n')
    scanned = scan_file(path)
    assert scanned.rows == 2
    assert [(row.line, row.reason) for row in scanned.rejected] == [
        (4, "1 cells where the header has 2"),
        (5, "3 cells where the header has 2"),
    ]
    assert list(good_rows(scanned)) == [["1", "two\nlines"], ["4", "z"]]


def test_columns_without_a_value_are_left_out_but_never_the_key(tmp_path):
    path = write(tmp_path, "flow.csv", "name,id,archived\nWelcome,,\n")
    scanned = scan_file(path)
    assert list(scanned.kept_columns) == ["name", "id"]
    assert list(good_rows(scanned)) == [["Welcome", None]]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    assert list(scan_file(write(tmp_path, "flow.csv", "id\na\n", "utf-8-sig")).columns) == ["id"]


def test_a_row_with_a_nul_character_is_reported(tmp_path):
    scanned = scan_file(write(tmp_path, "flow.csv", "id,name\na,b\0c\n"))
    assert (scanned.rows, len(scanned.rejected)) == (0, 1)


def test_a_cell_as_long_as_an_email_template_is_read(tmp_path):
    path = write(tmp_path, "email_template.csv", f"id,html\na,{'x' * 300_000}\n")
    assert len(next(good_rows(scan_file(path)))[1]) == 300_000


@pytest.mark.parametrize("header", ["", "id,id", "id,", "a" * 64])
def test_a_header_that_cannot_be_columns_is_refused(tmp_path, header):
    with pytest.raises(PermanentError, match="header"):
        scan_file(write(tmp_path, "event.csv", f"{header}\n1,2\n" if header else ""))


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path):
    with pytest.raises(PermanentError, match=r"event\.csv as a UTF-8"):
        scan_file(write(tmp_path, "event.csv", "id\nä\n", "latin-1"))


def test_only_files_named_as_raw_tables_are_taken(tmp_path):
    for name in ("event.csv", "event_norename.csv", "person.csv", "notes.txt"):
        write(tmp_path, name, "id\n")
    raw_files, others = find_files(tmp_path)
    assert [path.name for path in raw_files] == ["event.csv", "person.csv"]
    assert [path.name for path in others] == ["event_norename.csv"]


def test_a_folder_without_any_raw_table_is_refused_with_what_is_allowed(tmp_path):
    write(tmp_path, "events.csv", "id\n")
    with pytest.raises(PermanentError, match=r"events\.csv.*tables are event, person"):
        find_files(tmp_path)
    with pytest.raises(PermanentError, match="not a folder"):
        find_files(tmp_path / "none")
