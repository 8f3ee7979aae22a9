"""`klaviyo-assets connections`: what the Fivetran key can see.

Here: the table and the JSON. Not here: the API (`resources/fivetran/resource.py`).
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from klaviyo_assets.cli.console import AsJson, Verbose, console, errors

if TYPE_CHECKING:
    from klaviyo_assets.resources.fivetran.models import Connection, Group


def connections(as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List Fivetran's groups and connections, with their state and last sync.

    Example: klaviyo-assets connections --json | jq '.[] | select(.service == "klaviyo") | .id'
    """
    with errors(verbose=verbose):
        from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment

        fivetran = fivetran_from_environment()
        groups = fivetran.groups()
        pairs = [(group, connection) for group in groups for connection in fivetran.connections(group.id)]
        if as_json:
            console().print_json(json.dumps([_row(*pair) for pair in pairs], default=_iso))
        elif pairs:
            console().print(connections_table(pairs))
        else:
            names = ", ".join(group.name or group.id for group in groups) or "none"
            console().print(f"This key cannot see any connection (groups: {names}).")


def connections_table(pairs: "list[tuple[Group, Connection]]") -> Table:
    """A row per connection: what to write into accounts.toml, and how it is doing. Names fold, nothing is cut."""
    table = Table(box=None, pad_edge=False)
    for name in ("group", "connection", "service", "schema"):
        table.add_column(name, overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("last success (UTC)", no_wrap=True)
    for group, connection in pairs:
        table.add_row(
            Text(group.name or group.id), connection.id, connection.service, connection.schema, _state(connection),
            f"{connection.succeeded_at:%Y-%m-%d %H:%M}" if connection.succeeded_at else "never",
        )  # fmt: skip
    return table


def _state(connection: "Connection") -> str:
    ill = connection.setup_state != "connected" or connection.last_sync_failed
    style = "red" if ill else "yellow" if connection.is_paused else "green"
    return f"[{style}]{connection.state}[/{style}]"


def _row(group: "Group", connection: "Connection") -> dict[str, object]:
    return {"group_name": group.name, "state": connection.state, **asdict(connection), "url": connection.url}


def _iso(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
