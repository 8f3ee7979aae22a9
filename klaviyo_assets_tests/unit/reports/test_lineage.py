"""What columns are made of, down to the raw field."""

import json

import pytest

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.lineage import made_of, raw_columns, raw_fields, written_lineage
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.tables import ATTRIBUTION, EVENT, TABLES

# What only the account's settings and the time of its last sync decide.
SETTLED = {
    "currency", "account", "timezone", "snapshot_on", "data_through", "group_type", "channel",
}  # fmt: skip


@pytest.mark.parametrize("name", [*REPORTS, *VIEWS])
def test_every_column_of_a_report_or_view_leads_to_raw_fields_or_is_made_of_none(name):
    spec = REPORTS.get(name) or VIEWS[name]
    raw = {table.name: set(raw_columns(table)) for table in TABLES.values()}

    for column in spec.column_names:
        fields = raw_fields(name, column)
        assert fields or column in SETTLED, f"{name}.{column} is made of nothing"
        assert all(field in raw[table] for table, field in fields), f"{name}.{column}: {sorted(fields)}"


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_column_of_a_mapped_table_leads_to_raw_columns(table):
    of = EVENT if table is ATTRIBUTION else table

    for column, sources in made_of(table).items():
        assert sources, f"{table.name}.{column} is made of nothing"
        assert all(name in raw_columns(of) for _, name in sources), column


def test_the_value_of_conversions_is_the_raw_value_with_its_currency_by_the_recorded_attribution():
    fields = {name for table, name in raw_fields("campaign_by_send_date", "conversion_value") if table == "event"}

    assert {"property_value", "property_currency_code", "property_attribution", "metric_id"} <= fields
    assert "property_email_domain" not in fields


def test_a_rate_is_made_of_what_its_numerator_and_denominator_are_made_of():
    origins = made_of(REPORTS["campaign_by_send_date"])

    assert origins["revenue_per_recipient"] == origins["conversion_value"] | origins["delivered"]


def test_a_name_in_a_view_is_the_name_in_its_table():
    """Also through a star, a join and a window."""
    assert ("campaign", "name") in raw_fields("campaign_by_send_date_named", "campaign_name")
    assert raw_fields("event_with_attribution", "value") == {("event", "property_value")}


def test_the_kept_lineage_is_the_one_that_the_queries_tell(tmp_path, monkeypatch):
    """`python -m klaviyo_assets.documentation` writes it again; loading code is quick only while it is current."""
    from klaviyo_assets.reports import lineage

    kept = json.loads(lineage.FILE.read_text(encoding="utf-8"))
    monkeypatch.setattr(lineage, "FILE", tmp_path / "none.json")
    lineage._kept_lineage.cache_clear()
    lineage._of_query.cache_clear()
    try:
        assert json.loads(written_lineage()) == kept
    finally:
        lineage._kept_lineage.cache_clear()
        lineage._of_query.cache_clear()
