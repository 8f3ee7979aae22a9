"""Reading the shop's Arrow tables in tests as what they mean: the state of tables after some syncs."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop import TABLES

State = dict[str, dict[tuple[Any, ...], dict[str, Any]]]
DAILY = {
    "campaign", "campaign_list", "campaign_tracking_utm_param", "campaign_message", "campaign_message_send_time",
}  # fmt: skip
"""Re-imported once a day: they may lag behind within a day."""


def state_after(syncs: Iterable[dict[str, pa.Table]]) -> State:
    """Every table's rows by key after upserting each sync in turn, without `_fivetran_synced` and nulls."""
    state: State = {}
    for carried in syncs:
        for name, table in carried.items():
            for row in rows(table):
                state.setdefault(name, {})[tuple(row[column] for column in TABLES[name].key)] = row
    return state


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows without `_fivetran_synced` and without nulls."""
    listed = table.drop_columns(["_fivetran_synced"]).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in listed]


def of_type(table: pa.Table, name: str) -> list[dict[str, Any]]:
    """The events of one metric."""
    return [row for row in rows(table) if row["type"] == name]
