"""The endpoints of Fivetran's REST API that a client of connections needs, today's paths and the former ones.

Here: `/v1/...`. Not here: the switches for tests and demos (`admin`), faults (`faults`).
"""

import json
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from klaviyo_assets.sandbox.fivetran.books import Record
from klaviyo_assets.sandbox.fivetran.connections import (
    connection,
    destination,
    group,
    schemas,
    table_columns,
    written_columns,
)
from klaviyo_assets.sandbox.fivetran.envelope import ApiError, page, success
from klaviyo_assets.sandbox.fivetran.shop import TABLES, profile
from klaviyo_assets.sandbox.fivetran.syncs import Syncer
from klaviyo_assets.sandbox.fivetran.writer import Mode

_CHANGEABLE = {"schedule_type": ("auto", "manual"), "paused": (True, False)}
_IGNORED = frozenset(
    ["run_setup_tests", "sync_frequency", "daily_sync_time", "pause_after_trial", "data_delay_sensitivity"]
)


async def body_of(request: Request) -> dict[str, Any]:
    """The request's JSON object; an empty body counts as an empty object.

    Raises:
        ApiError: 400 where it is anything else.
    """
    text = await request.body()
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "InvalidInput", "the body is not a JSON object")
    return body


class Api:
    """Fivetran's endpoints over one set of books."""

    def __init__(self, syncer: Syncer) -> None:
        self._syncer, self._books = syncer, syncer.books

    def routes(self) -> list[Route]:
        """All routes, `connections` and `connectors` alike."""
        routes = [
            Route("/v1/account/info", self._account),
            Route("/v1/groups", self._groups),
            Route("/v1/groups/{group_id}", self._group),
            Route("/v1/destinations/{group_id}", self._destination),
        ]
        for noun in ("connections", "connectors"):
            base = f"/v1/{noun}/{{connection_id}}"
            routes += [
                Route(f"/v1/groups/{{group_id}}/{noun}", self._connections_of_group),
                Route(f"/v1/{noun}", self._connections),
                Route(base, self._connection, methods=["GET"]),
                Route(base, self._change, methods=["PATCH"]),
                Route(f"{base}/schemas", self._schemas),
                Route(f"{base}/schemas/{{schema}}/tables/{{table}}/columns", self._columns),
                Route(f"{base}/sync", self._sync, methods=["POST"]),
                Route(f"{base}/force", self._force, methods=["POST"]),
                Route(f"{base}/resync", self._resync, methods=["POST"]),
                Route(f"{base}/schemas/tables/resync", self._resync_tables, methods=["POST"]),
            ]
        return routes

    def record(self, request: Request) -> Record:
        """The connection a path names.

        Raises:
            ApiError: 404 if there is none.
        """
        connection_id = request.path_params["connection_id"]
        record = self._books.connection(connection_id)
        if record is None:
            raise ApiError(404, "NotFound_Connection", f"Cannot find connection with id '{connection_id}'")
        return record

    def _account(self, _: Request) -> Response:
        return success({"account_id": "sandbox_account", "account_name": "Sandbox", "system_key_id": "sandbox_key"})

    def _groups(self, request: Request) -> Response:
        return success(page(request, [group(group_id) for group_id in self._group_ids()]))

    def _group(self, request: Request) -> Response:
        return success(group(self._known_group(request)))

    def _destination(self, request: Request) -> Response:
        return success(destination(self._known_group(request)))

    def _connections(self, request: Request) -> Response:
        records = self._books.connections()
        if (schema := request.query_params.get("schema")) is not None:
            records = [record for record in records if profile(record.position).schema == schema]
        if (group_id := request.query_params.get("group_id")) is not None:
            records = [record for record in records if profile(record.position).group_id == group_id]
        return success(page(request, [self._item(record) for record in records]))

    def _connections_of_group(self, request: Request) -> Response:
        group_id = self._known_group(request)
        records = [r for r in self._books.connections() if profile(r.position).group_id == group_id]
        return success(page(request, [self._item(record) for record in records]))

    def _connection(self, request: Request) -> Response:
        return success(connection(self.record(request), self._syncer.sync_every))

    async def _change(self, request: Request) -> Response:
        changes = await body_of(request)
        record = self.record(request)
        for name, value in changes.items():
            if name in _CHANGEABLE and value not in _CHANGEABLE[name]:
                choices = ", ".join(map(str, _CHANGEABLE[name]))
                raise ApiError(400, "InvalidInput", f"{name} is {value!r}; allowed: {choices}")
            if name not in _CHANGEABLE and name not in _IGNORED:
                raise ApiError(400, "UnsupportedByStandIn", f"{name!r} cannot be changed in the local stand-in")
        updates = {name: value for name, value in changes.items() if name in _CHANGEABLE}
        if updates:
            self._books.change(record.id, **updates)
        return success(connection(self.record(request), self._syncer.sync_every), "Connection has been updated")

    def _schemas(self, request: Request) -> Response:
        record = self.record(request)
        return success(schemas(record, self._columns_written(record)))

    def _columns(self, request: Request) -> Response:
        record, table = self.record(request), request.path_params["table"]
        if request.path_params["schema"] != profile(record.position).schema or table not in TABLES:
            raise ApiError(404, "NotFound", f"Cannot find table '{table}' in this connection's schema")
        columns = self._columns_written(record).get(table, list(TABLES[table].key))
        return success({"columns": table_columns(table, columns)})

    async def _sync(self, request: Request) -> Response:
        force = (await body_of(request)).get("force", False)
        if not isinstance(force, bool):
            raise ApiError(400, "InvalidInput", f"force is {force!r}; give true or false")
        return await run_in_threadpool(self._start, request, "incremental", None, force)

    async def _force(self, request: Request) -> Response:
        return await run_in_threadpool(self._start, request, "incremental", None, True)

    async def _resync(self, request: Request) -> Response:
        scope = (await body_of(request)).get("scope")
        return await run_in_threadpool(self._start_resync, request, scope)

    async def _resync_tables(self, request: Request) -> Response:
        scope = await body_of(request)
        if not scope:
            raise ApiError(400, "InvalidInput", "no tables are named; give {schema: [table, ...]}")
        return await run_in_threadpool(self._start_resync, request, scope)

    def _start_resync(self, request: Request, scope: Any) -> Response:
        if self.record(request).sync_state == "syncing":
            raise ApiError(409, "Conflict", "Cannot re-sync: a sync is in progress")
        return self._start(request, "resync", None if scope is None else self._tables(request, scope), False)

    def _start(self, request: Request, mode: Mode, tables: list[str] | None, force: bool) -> Response:
        record = self.record(request)
        if record.paused:
            raise ApiError(409, "Conflict", f"Cannot sync connection '{record.id}': it is paused")
        if record.setup_state != "connected":
            raise ApiError(409, "Conflict", f"Cannot sync connection '{record.id}': its setup is {record.setup_state}")
        if record.schema_status != "ready":
            raise ApiError(409, "Conflict", f"Cannot sync connection '{record.id}': its schema waits for review")
        self._syncer.start(record.id, mode, tables, force)
        verb = "Re-sync" if mode == "resync" else "Sync"
        return success(message=f"{verb} has been successfully triggered for connection with id '{record.id}'")

    def _tables(self, request: Request, scope: Any) -> list[str]:
        schema = profile(self.record(request).position).schema
        valid = isinstance(scope, dict) and set(scope) == {schema} and isinstance(scope[schema], list)
        if not valid or not set(scope[schema]) <= set(TABLES):
            raise ApiError(400, "InvalidInput", f"the scope is not {{{schema!r}: [tables of this connection]}}")
        return list(scope[schema])

    def _item(self, record: Record) -> dict[str, Any]:
        return connection(record, self._syncer.sync_every, details=False)

    def _columns_written(self, record: Record) -> dict[str, list[str]]:
        with self._syncer.connect() as postgres:
            return written_columns(postgres, profile(record.position))

    def _group_ids(self) -> list[str]:
        return list(dict.fromkeys(profile(record.position).group_id for record in self._books.connections()))

    def _known_group(self, request: Request) -> str:
        group_id: str = request.path_params["group_id"]
        if group_id not in self._group_ids():
            raise ApiError(404, "NotFound_Group", f"Cannot find group with id '{group_id}'")
        return group_id
