"""The shape of connections, groups, destinations and schemas in Fivetran's answers.

Here: shapes. Not here: routes (`api`) and their effects (`syncs`).
"""

from typing import Any

from klaviyo_assets.sandbox.fivetran.books import Record
from klaviyo_assets.sandbox.fivetran.envelope import iso
from klaviyo_assets.sandbox.fivetran.shop import TABLES, Profile, profile
from klaviyo_assets.sandbox.fivetran.writer import Connection

GROUP_NAME = "Sandbox"
_FOUNDED = "2025-01-15T09:00:00.000000Z"


def group(group_id: str) -> dict[str, Any]:
    """A group, as listed."""
    return {"id": group_id, "name": GROUP_NAME, "created_at": _FOUNDED}


def destination(group_id: str) -> dict[str, Any]:
    """The destination of a group: the sandbox's Postgres."""
    return {
        "id": group_id,
        "group_id": group_id,
        "service": "postgres_warehouse",
        "region": "GCP_US_EAST4",
        "time_zone_offset": "0",
        "setup_status": "connected",
        "config": {"host": "127.0.0.1", "database": "klaviyo"},
    }


def connection(record: Record, sync_every: float | None, details: bool = True) -> dict[str, Any]:
    """A connection, as listed or in detail."""
    shop = profile(record.position)
    shape: dict[str, Any] = {
        "id": record.id,
        "service": "klaviyo",
        "schema": shop.schema,
        "group_id": shop.group_id,
        "connected_by": "sandbox_user",
        "service_version": 1,
        "created_at": iso(record.created_at),
        "succeeded_at": iso(record.succeeded_at),
        "failed_at": iso(record.failed_at),
        "paused": record.paused,
        "pause_after_trial": False,
        "sync_frequency": max(1, round(sync_every / 60)) if sync_every else 360,
        "schedule_type": record.schedule_type,
        "daily_sync_time": None,
        "data_delay_sensitivity": "NORMAL",
        "data_delay_threshold": 0,
        "status": _status(record),
    }
    if details:
        shape |= {"setup_tests": [], "source_sync_details": {}, "config": {"api_key": "******"}}
    return shape


def schemas(record: Record, columns: dict[str, list[str]]) -> dict[str, Any]:
    """The schema configuration: every table the connector can write, with the columns it has written so far.

    Args:
        record: The connection.
        columns: Names by table, as found in Postgres.
    """
    shop = profile(record.position)
    tables = {
        name: _table(name, columns.get(name, list(TABLES[name].key)), enabled=name not in record.disabled)
        for name in TABLES
    }
    return {
        "enable_new_by_default": True,
        "schema_change_handling": "ALLOW_ALL",
        "schemas": {shop.schema: {"name_in_destination": shop.schema, "enabled": True, "tables": tables}},
    }


def table_columns(table: str, columns: list[str]) -> dict[str, Any]:
    """The column configuration of one table."""
    return {
        name: {
            "name_in_destination": name,
            "enabled": True,
            "hashed": False,
            "is_primary_key": name in TABLES[table].key,
            "enabled_patch_settings": {"allowed": name not in TABLES[table].key},
        }
        for name in columns
    }


def written_columns(postgres: Connection, shop: Profile) -> dict[str, list[str]]:
    """The columns in Postgres by table."""
    columns: dict[str, list[str]] = {}
    rows = postgres.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = %s"
        " ORDER BY table_name, ordinal_position",
        [shop.schema],
    ).fetchall()
    for table, column in rows:
        columns.setdefault(table, []).append(column)
    return columns


def _table(name: str, columns: list[str], *, enabled: bool) -> dict[str, Any]:
    return {
        "name_in_destination": name,
        "enabled": enabled,
        "sync_mode": "SOFT_DELETE" if TABLES[name].captures_deletes else "LIVE",
        "enabled_patch_settings": {"allowed": True},
        "columns": table_columns(name, columns),
    }


def _status(record: Record) -> dict[str, Any]:
    """As in Fivetran, a paused connection shows no other state."""
    is_failed = record.failed_at is not None and (record.succeeded_at is None or record.failed_at > record.succeeded_at)
    tasks = [{"code": "sync_failed", "message": record.failure, "details": None}] if is_failed else []
    if record.setup_state == "broken":
        tasks = [{"code": "reconnect", "message": "Reconnect: the API key was refused", "details": None}]
    if record.schema_status == "blocked_on_customer":
        tasks = [{"code": "schema_changed", "message": "The schema changed at the source", "details": None}]
    return {
        "setup_state": record.setup_state,
        "schema_status": record.schema_status,
        "sync_state": "paused" if record.paused else record.sync_state,
        "update_state": "delayed" if is_failed else "on_schedule",
        "is_historical_sync": record.succeeded_at is None or record.mode != "incremental",
        "rescheduled_for": iso(record.rescheduled_for),
        "tasks": tasks,
        "warnings": [],
    }
