"""The product's views on the stand-in's server, through the real client: made, replaced, described and read."""

from datetime import UTC, datetime

import pytest
from google.api_core.exceptions import BadRequest, NotFound

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.pace import UNLIMITED
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.statement import PARAMETER_TYPES, Days, restate, restate_parameters
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.statement import create_view
from klaviyo_assets.tables import TABLES
from klaviyo_assets_tests.integration.sandbox_bigquery.server import rows_of

ACCOUNT = Account("acme", "acme", timezone="Europe/Berlin", currency="EUR")
ROWS = """
INSERT INTO event (event_id, occurred_at, occurred_on, metric, channel, person_id, campaign_id, message_id, value,
  is_conversion, is_machine_open, is_bot_click)
VALUES
  ('1', '2024-05-06 22:31:00+00', '2024-05-07', 'Received Email', 'email', 'ann', 'c', 'm', NULL, FALSE, FALSE, FALSE),
  ('2', '2024-05-07 09:00:00+00', '2024-05-07', 'Placed Order', NULL, 'ann', NULL, NULL, 30, TRUE, FALSE, FALSE);
INSERT INTO attribution (event_id, occurred_on, touch_rank, weight, value, attribution_source, touch_channel,
  campaign_id, message_id)
VALUES ('2', '2024-05-07', 1, 1, 30, 'recorded', 'email', 'c', 'm');
INSERT INTO campaign (campaign_id, name, send_at, is_deleted) VALUES ('c', 'Spring', '2024-05-06 22:30:00+00', TRUE);
INSERT INTO campaign_message (campaign_message_id, campaign_id, channel, label, content_subject)
VALUES ('m', 'c', 'email', 'A', 'Hello');
INSERT INTO campaign_tag (campaign_id, tag_id) VALUES ('c', '1'), ('c', '2');
INSERT INTO tags (tag_id, name) VALUES ('1', 'vip'), ('2', 'sale');
INSERT INTO person (person_id) VALUES ('ann'), ('bob')
"""


@pytest.fixture
def acme(client, dataset):
    """A dataset with the views, all that they read, and the rows above."""
    place = BigQueryDataset(client, dataset, pace=UNLIMITED)
    read = {name for view in VIEWS.values() for name in view.reads}
    for name in read & TABLES.keys():
        place.prepare(TABLES[name])
    for name in read & REPORTS.keys():
        place.prepare(REPORTS[name])
    for view in VIEWS.values():
        place.query(create_view(view, place.qualified, ACCOUNT))
    place.query(ROWS)
    return place


def restated(place, name):
    given = restate_parameters(ACCOUNT, Days.all(), datetime(2024, 6, 1, tzinfo=UTC))
    typed = {key: (PARAMETER_TYPES[key], value) for key, value in given.items()}
    place.query(restate(REPORTS[name], place.qualified), typed)


def test_views_show_reports_events_and_people_with_what_belongs_to_them(acme, client):
    for report in ("campaign_by_send_date", "person_lifetime"):
        restated(acme, report)
    named = (
        "SELECT CAST(send_on AS STRING), delivered, conversion_value, campaign_name, is_deleted, message_label, "
        f"subject, tags FROM `{acme.qualified}.campaign_by_send_date_named`"
    )
    assert rows_of(client, named) == [("2024-05-07", 1, 30, "Spring", True, "A", "Hello", "sale, vip")]
    events = (
        "SELECT event_id, CAST(send_on AS STRING), credited_campaign_id, credited_value, "
        f"CAST(credited_send_on AS STRING) FROM `{acme.qualified}.event_with_attribution` ORDER BY 1"
    )
    assert rows_of(client, events) == [("1", "2024-05-07", None, None, None), ("2", None, "c", 30, "2024-05-07")]
    people = (
        f"SELECT person_id, has_events, delivered, placed_order_value FROM `{acme.qualified}.person_detail` ORDER BY 1"
    )
    assert rows_of(client, people) == [("ann", True, 1, 30), ("bob", False, 0, 0)]


def test_the_api_and_information_schema_tell_what_the_views_are(acme, client):
    schema = f"`{acme.qualified}`.INFORMATION_SCHEMA"
    kinds = dict(rows_of(client, f"SELECT table_name, table_type FROM {schema}.TABLES"))
    assert {name for name, kind in kinds.items() if kind == "VIEW"} == set(VIEWS)
    definitions = dict(rows_of(client, f"SELECT table_name, view_definition FROM {schema}.VIEWS"))
    for name, view in VIEWS.items():
        kept_view = client.get_table(f"{acme.qualified}.{name}")
        assert (kept_view.table_type, kept_view.description) == ("VIEW", f"{view.grain} {view.description}")
        described = [(field.name, field.mode, field.description) for field in kept_view.schema]
        assert described == [(column.name, "NULLABLE", column.description) for column in view.columns]
        assert kept_view.view_query == definitions[name]
        assert create_view(view, acme.qualified, ACCOUNT).endswith(definitions[name])


def test_a_view_that_is_made_again_is_the_same_and_sees_a_new_name(acme, client):
    view = VIEWS["campaign_message_detail"]
    before = client.get_table(f"{acme.qualified}.{view.name}")
    job = client.query(create_view(view, acme.qualified, ACCOUNT))
    job.result()
    after = client.get_table(f"{acme.qualified}.{view.name}")
    assert (job.statement_type, job.ddl_operation_performed) == ("CREATE_VIEW", "REPLACE")
    assert (after.view_query, after.schema, after.description) == (before.view_query, before.schema, before.description)

    acme.query("UPDATE campaign SET name = 'Renamed' WHERE TRUE")
    names = rows_of(client, f"SELECT campaign_name, subject FROM `{acme.qualified}.{view.name}`")
    assert names == [("Renamed", "Hello")]


def test_a_view_is_refused_until_what_it_reads_is_there_and_takes_no_rows(client, dataset):
    place = f"{client.project}.{dataset}"
    with pytest.raises(NotFound, match="event"):
        rows_of(client, create_view(VIEWS["event_with_attribution"], place, ACCOUNT))
    rows_of(client, f"CREATE VIEW `{dataset}.v` AS SELECT 1 AS x")
    with pytest.raises(BadRequest, match="Cannot modify the view"):
        rows_of(client, f"INSERT INTO `{dataset}.v` (x) VALUES (2)")
