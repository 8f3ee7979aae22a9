"""The field list of the page on Looker Studio is whole."""

from klaviyo_assets.documentation.looker_fields import field_list
from klaviyo_assets.reports.looker.fields import RATIOS, fields_of
from klaviyo_assets.reports.looker.link import MAX_LENGTH
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS
from klaviyo_assets_tests.checkout import DOCS


def test_every_data_source_field_and_formula_is_listed():
    listed = field_list()

    assert all(f"| `{name}` |" in listed for name in LOOKER_VIEWS)
    assert all(f"| `{ratio.name}` | `{ratio.formula}` |" in listed for ratio in RATIOS.values())
    assert all(f"| `{field.name}` |" in listed for name in LOOKER_VIEWS for field in fields_of(name))


def test_the_page_names_the_limit_of_a_link():
    assert f"{MAX_LENGTH:,}" in (DOCS / "looker_studio.md").read_text(encoding="utf-8")
