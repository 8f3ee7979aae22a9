"""What the UI shows of assets: columns with their origin, links, previews without anything of a person."""

import pyarrow as pa
import pyarrow.parquet as pq

from klaviyo_assets.defs.assets.mapped import preview, why_noted
from klaviyo_assets.defs.columns import asset_tags, code_references, column_metadata, raw_column_metadata
from klaviyo_assets.destinations.consoles import bigquery_url, s3_url
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.model.arrow import frame_to_table
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.tables import EVENT, PERSON, TABLES
from klaviyo_assets_tests.factories import NOON, mapped_frame


def described(metadata):
    return {column.name: column.description for column in metadata["dagster/column_schema"].columns}


def test_the_columns_of_a_report_say_and_link_what_they_are_made_of():
    metadata = column_metadata(REPORTS["account_by_event_date"], "report")

    description = described(metadata)["conversion_value"]
    assert "[bigquery/attribution](/assets/bigquery/attribution) `value`" in description
    assert "[fivetran/event](/assets/fivetran/event)" in description
    assert "`property_value`" in description
    lineage = metadata["dagster/column_lineage"].deps_by_column["conversion_value"]
    assert ("bigquery/attribution", "value") in {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage}


def test_each_stage_leads_to_the_one_before():
    steps = {
        stage: {dep.asset_key.path[0] for dep in metadata["dagster/column_lineage"].deps_by_column[column]}
        for stage, column, metadata in (
            ("bigquery", "value", column_metadata(EVENT, "bigquery")),
            ("s3_archive", "value", column_metadata(EVENT, "s3_archive")),
            ("mapped", "value", column_metadata(EVENT, "mapped")),
            ("extracted", "property_value", raw_column_metadata(EVENT, "extracted")),
        )
    }

    assert steps == {
        "bigquery": {"mapped"}, "s3_archive": {"mapped"}, "mapped": {"extracted"}, "extracted": {"fivetran"},
    }  # fmt: skip
    assert "dagster/column_lineage" not in raw_column_metadata(EVENT, "fivetran")
    assert "`value` of [mapped/event]" in described(raw_column_metadata(EVENT, "fivetran"))["property_value"]


def test_a_preview_shows_the_columns_that_the_spec_lets_be_previewed(tmp_path):
    frames, key = FrameStore(url=str(tmp_path)), FrameKey("mapped", "acme", "list")
    row = {"list_id": "L1", "name": "News | daily", "created_at": NOON, "updated_at": None}
    with frames.write(key) as writer:
        writer.append(frame_to_table(mapped_frame(TABLES["list"], row), TABLES["list"]))
        writer.finish(source_digest="1:1", data_through=None)

    assert preview(frames, key, TABLES["list"]).splitlines() == [
        "| list_id | name | created_at | updated_at |", "|---|---|---|---|",
        "| L1 | News \\| daily | 2024-01-31 12:00:00 |  |",
    ]  # fmt: skip


def test_the_reasons_of_a_check_are_counted_and_name_no_row_and_no_value(tmp_path):
    notes = pa.table({
        "row_id": ["01H", "01J", "01K"], "field": ["currency", "currency", "value"], "value": ["eur.", "€", "x"],
        "reason": ["a three-letter code", "a three-letter code", "not a number"], "is_dropped": [False, False, True],
    })  # fmt: skip
    pq.write_table(notes, tmp_path / "notes.parquet")

    reasons = why_noted(pq.ParquetFile(tmp_path / "notes.parquet"))

    assert reasons == [(2, "currency", "a three-letter code", False), (1, "value", "not a number", True)]


def test_the_consoles_addresses_survive_special_characters():
    assert bigquery_url("example.com:shop", "klaviyo_acme", "event") == (
        "https://console.cloud.google.com/bigquery?project=example.com%3Ashop"
        "&ws=!1m5!1m4!4m3!1sexample.com%3Ashop!2sklaviyo_acme!3sevent"
    )
    assert s3_url("s3://archive/klaviyo/acme/date=2026-01-01/part-0.parquet") == (
        "https://console.aws.amazon.com/s3/object/archive?prefix=klaviyo%2Facme%2Fdate%3D2026-01-01%2Fpart-0.parquet"
    )


def test_assets_are_found_by_their_date_basis_and_by_personal_data():
    assert asset_tags(REPORTS["campaign_by_send_date"]) == {"klaviyo/date_basis": "send_date"}
    assert asset_tags(PERSON) == {"klaviyo/personal_data": ""}


def test_code_references_name_the_files_of_table_and_stage():
    (value,) = code_references(EVENT, "mapped").values()

    assert [one.file_path.rpartition("klaviyo_assets/")[2] for one in value.code_references] == [
        "defs/assets/mapped.py", "tables/event.py",
    ]  # fmt: skip
