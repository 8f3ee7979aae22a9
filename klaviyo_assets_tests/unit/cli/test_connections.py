"""`klaviyo-assets connections` against a scripted Fivetran."""

import json

from klaviyo_assets.cli.connections import connections
from klaviyo_assets_tests.unit.resources.fivetran.scripted import SECRET, Answer, connection, page

WAREHOUSE = {"id": "sunny_warehouse", "name": "Warehouse"}


def test_every_connection_is_a_line_with_its_state_and_last_success(server, call):
    server.on("GET /v1/groups", page(WAREHOUSE))
    server.on(
        "GET /v1/groups/sunny_warehouse/connections",
        page(connection(), connection("warm_harbor", schema="klaviyo_bloom", paused=True, succeeded_at=None)),
    )

    result = call(connections)

    lines = [line.split() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[1] == ["Warehouse", "speak_menial", "klaviyo", "klaviyo_acme", "scheduled", "2026-03-01", "04:00"]
    assert lines[2] == ["Warehouse", "warm_harbor", "klaviyo", "klaviyo_bloom", "paused", "never"]


def test_json_is_for_programs(server, call):
    server.on("GET /v1/groups", page(WAREHOUSE))
    server.on("GET /v1/groups/sunny_warehouse/connections", page(connection()))

    (row,) = json.loads(call(connections, "--json").stdout)

    assert row["id"] == "speak_menial"
    assert row["group_name"] == "Warehouse"
    assert row["succeeded_at"] == "2026-03-01T04:00:00+00:00"
    assert row["state"] == "scheduled"


def test_a_key_that_sees_nothing_is_told_so(server, call):
    server.on("GET /v1/groups", page(WAREHOUSE))
    server.on("GET /v1/groups/sunny_warehouse/connections", page())

    assert call(connections).stdout == "This key cannot see any connection (groups: Warehouse).\n"


def test_a_wrong_key_is_wrong_usage(server, call):
    server.on("GET /v1/groups", Answer(401))

    result = call(connections)

    assert result.exit_code == 2
    assert "Fivetran refuses the API key" in result.stderr
    assert len(result.stderr.splitlines()) == 2
    assert SECRET not in result.output


def test_a_missing_key_is_named(server, call, monkeypatch):
    monkeypatch.delenv("FIVETRAN_API_SECRET")

    result = call(connections)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: FIVETRAN_API_SECRET must be set")
