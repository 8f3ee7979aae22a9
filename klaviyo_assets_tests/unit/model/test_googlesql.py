"""Names in BigQuery's SQL are quoted, whatever they are."""

import pytest

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.model.googlesql import column_list, literal, quoted, table_of


@pytest.mark.parametrize("name", ["partition", "group", "ROWS", "email", "_staging_person", "two words", "1st"])
def test_any_name_is_quoted(name):
    assert quoted(name) == f"`{name}`"


def test_columns_may_belong_to_a_table():
    assert column_list(["row_id", "partition"]) == "`row_id`, `partition`"
    assert column_list(["row_id", "partition"], of="kept") == "kept.`row_id`, kept.`partition`"


@pytest.mark.parametrize("project", ["a-project", "example.com:a-project"])
def test_a_table_is_named_from_its_project_on(project):
    assert table_of(f"{project}.klaviyo_select", "event") == f"`{project}`.`klaviyo_select`.`event`"
    assert (
        table_of(f"{project}.d", "INFORMATION_SCHEMA", "COLUMNS") == f"`{project}`.`d`.`INFORMATION_SCHEMA`.`COLUMNS`"
    )


@pytest.mark.parametrize("dataset", ["", "dataset", "project.", ".dataset"])
def test_a_dataset_without_its_project_is_refused(dataset):
    with pytest.raises(PermanentError, match=r"Write the dataset as `project\.dataset`"):
        table_of(dataset, "event")


def test_a_text_is_a_literal():
    assert literal("it's") == r"'it\'s'"
