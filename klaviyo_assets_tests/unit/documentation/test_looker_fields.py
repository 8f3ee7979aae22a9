"""The page on Looker Studio lists the fields as they are."""

import pytest

from klaviyo_assets.documentation.looker_fields import END, PAGE, REFRESH_COMMAND, START, field_list, refreshed
from klaviyo_assets.errors import PermanentError
from klaviyo_assets.reports.looker.fields import RATIOS, fields_of
from klaviyo_assets.reports.looker.link import MAX_LENGTH
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS


def test_the_field_list_of_the_page_is_fresh():
    page = PAGE.read_text(encoding="utf-8")

    assert page == refreshed(page), f"refresh it: {REFRESH_COMMAND}"


def test_every_data_source_field_and_formula_is_listed():
    listed = field_list()

    assert all(f"| `{name}` |" in listed for name in LOOKER_VIEWS)
    assert all(f"| `{ratio.name}` | `{ratio.formula}` |" in listed for ratio in RATIOS.values())
    assert all(f"| `{field.name}` |" in listed for name in LOOKER_VIEWS for field in fields_of(name))


def test_the_prose_around_the_list_stays():
    assert refreshed(f"before\n{START}\nold\n{END}\nafter\n") == f"before\n{START}\n\n{field_list()}\n{END}\nafter\n"


def test_a_page_that_lost_a_mark_is_refused():
    with pytest.raises(PermanentError, match="the page needs the lines"):
        refreshed("no marks here")


def test_the_page_names_the_limit_of_a_link():
    assert f"{MAX_LENGTH:,}" in PAGE.read_text(encoding="utf-8")
