"""An account of five people and eleven events over two days, with orders of 31.50: as Fivetran writes it.

Here: its raw tables, and loading it once. Not here: any expectation.
"""

from datetime import date
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.sandbox.postgres import create_schema
from klaviyo_assets_tests.integration.deployment import Sandbox

DAYS = date(2026, 3, 1), date(2026, 3, 2)
SYNCED = "'2026-03-10 00:00+00'::timestamptz"
_DELETES = "_fivetran_deleted boolean, _fivetran_synced timestamptz"
_TABLES = f"""
CREATE TABLE {{0}}.metric (id text PRIMARY KEY, name text, integration_name text, created timestamptz, {_DELETES});
CREATE TABLE {{0}}.event (id text PRIMARY KEY, person_id text, metric_id text, type text, campaign_id text,
  datetime timestamptz, "timestamp" timestamptz, property_value text, property_currency_code text,
  property_cohort_message_send_cohort text, property_attribution json, property_color text,
  _fivetran_synced timestamptz);
CREATE TABLE {{0}}.person (id text PRIMARY KEY, email text, created timestamptz, updated timestamptz, {_DELETES});
CREATE TABLE {{0}}.campaign (id text PRIMARY KEY, name text, status text, send_time timestamptz, {_DELETES});
CREATE TABLE {{0}}.campaign_tag (campaign_id text, tag_id text, _fivetran_synced timestamptz);
INSERT INTO {{0}}.metric (id, name, integration_name, _fivetran_synced) VALUES
  ('M_RECV', 'Received Email', 'Klaviyo', {SYNCED}), ('M_OPEN', 'Opened Email', 'Klaviyo', {SYNCED}),
  ('M_ORD', 'Placed Order', 'Shopify', {SYNCED});
INSERT INTO {{0}}.campaign VALUES ('C1', 'Spring', 'Sent', '2026-03-01 10:00+00', false, {SYNCED});
INSERT INTO {{0}}.campaign_tag VALUES ('C1', 'T1', {SYNCED});
INSERT INTO {{0}}.person (id, email, _fivetran_synced) SELECT 'P' || i, 'p' || i || '@shop.example', {SYNCED}
  FROM generate_series(1, 5) AS i;
INSERT INTO {{0}}.event (id, person_id, metric_id, type, campaign_id, datetime, property_cohort_message_send_cohort,
    _fivetran_synced)
  SELECT kind || i, 'P' || i, metric, named, 'C1', at::timestamptz, '1772359200:CM1', {SYNCED}
  FROM (VALUES ('R', 5, 'M_RECV', 'Received Email', '2026-03-01 10:00+00'),
    ('O', 3, 'M_OPEN', 'Opened Email', '2026-03-01 11:00+00')) AS kinds(kind, most, metric, named, at),
  LATERAL generate_series(1, most) AS i;
INSERT INTO {{0}}.event (id, person_id, metric_id, type, datetime, property_value, property_currency_code,
    property_attribution, property_color, _fivetran_synced)
  SELECT 'B' || i, 'P' || i, 'M_ORD', 'Placed Order', '2026-03-02 12:00+00', '10.50', 'USD',
    ('{{{{"$attributed_event_id":"O' || i || '"}}}}')::json, 'red', {SYNCED} FROM generate_series(1, 3) AS i;
"""


def small_account(sandbox: Sandbox, name: str, **settings: Any) -> Account:
    """The account with its raw tables, all of which the reading login may see; nothing is loaded yet."""
    schema = f"klaviyo_{name}"
    with sandbox.postgres() as connection:
        create_schema(connection, schema)
        connection.execute(_TABLES.format(schema))
    return Account(**{"name": name, "postgres_schema": schema, "start_date": DAYS[0], "pii": "keep"} | settings)
