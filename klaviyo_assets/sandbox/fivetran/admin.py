"""Switches for tests and demos, under `/sandbox`: time, incidents, faults, and what the next sync will do.

Here: routes that Fivetran does not have. Not here: the plain API (`api`).
"""

import json
from collections import Counter
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from klaviyo_assets.errors import UnknownNameError
from klaviyo_assets.sandbox.fivetran.api import Api, body_of
from klaviyo_assets.sandbox.fivetran.connections import connection
from klaviyo_assets.sandbox.fivetran.envelope import ApiError, iso, success
from klaviyo_assets.sandbox.fivetran.faults import Fault, Faults
from klaviyo_assets.sandbox.fivetran.shop import EFFECTS, TABLES
from klaviyo_assets.sandbox.fivetran.syncs import Syncer

_STATES = {
    "setup_state": ("connected", "incomplete", "broken"),
    "mode": ("incremental", "resync", "reload"),
    "schema_status": ("ready", "blocked_on_customer"),
}
_OUTCOMES = ("succeed", "fail", "reschedule")


class Admin:
    """The switches of one stand-in."""

    def __init__(self, syncer: Syncer, faults: Faults, api: Api) -> None:
        self._syncer, self._faults, self._api = syncer, faults, api

    def routes(self) -> list[Route]:
        """All routes under `/sandbox`."""
        base = "/sandbox/connections/{connection_id}"
        return [
            Route("/sandbox/requests", self._requests, methods=["GET"]),
            Route("/sandbox/requests", self._forget_requests, methods=["DELETE"]),
            Route("/sandbox/faults", self._list_faults, methods=["GET"]),
            Route("/sandbox/faults", self._plan_fault, methods=["POST"]),
            Route("/sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/sandbox/clock", self._clock, methods=["GET"]),
            Route("/sandbox/clock/advance", self._advance, methods=["POST"]),
            Route("/sandbox/incidents", self._kinds, methods=["GET"]),
            Route(base, self._set, methods=["PATCH"]),
            Route(f"{base}/incidents", self._incidents, methods=["GET"]),
            Route(f"{base}/incidents", self._happen, methods=["POST"]),
            Route(f"{base}/next-sync", self._plan_sync, methods=["POST"]),
        ]

    def _requests(self, request: Request) -> Response:
        """Every request to the API since the start or the last DELETE, and counts by method and path."""
        part = request.query_params.get("path", "")
        requests = [one for one in self._faults.requests if part in one.path]
        counts = Counter(f"{one.method} {one.path}" for one in requests)
        return success({"total": len(requests), "counts": counts, "items": [asdict(one) for one in requests]})

    def _forget_requests(self, _: Request) -> Response:
        self._faults.requests.clear()
        return success()

    def _list_faults(self, _: Request) -> Response:
        return success({"items": [asdict(fault) for fault in self._faults.planned_faults()]})

    async def _plan_fault(self, request: Request) -> Response:
        """Plan a fault: the body's members are those of `Fault`."""
        body = await body_of(request)
        _only(body, [field.name for field in fields(Fault)])
        try:
            fault = Fault(**body)
        except (TypeError, UnknownNameError) as error:
            raise ApiError(400, "InvalidInput", str(error)) from error
        self._faults.plan(fault)
        return success(asdict(fault))

    def _clear_faults(self, _: Request) -> Response:
        self._faults.clear()
        return success()

    def _clock(self, _: Request) -> Response:
        return success({"now": iso(self._syncer.clock.now())})

    async def _advance(self, request: Request) -> Response:
        """Move the shop's clock forward: `{"days": 1, "hours": 0, "minutes": 0, "seconds": 0}`."""
        period = await body_of(request)
        _only(period, ("days", "hours", "minutes", "seconds"))
        try:
            now = self._syncer.clock.advance(timedelta(**period))
        except (TypeError, ValueError) as error:
            raise ApiError(400, "InvalidInput", str(error)) from error
        return success({"now": iso(now)})

    def _kinds(self, _: Request) -> Response:
        return success({"items": [{"kind": kind, "effect": effect} for kind, effect in EFFECTS.items()]})

    async def _set(self, request: Request) -> Response:
        """Set what `_STATES` lists, `paused`, or the `disabled` tables, without asking Fivetran's rules."""
        changes = await body_of(request)
        _only(changes, (*_STATES, "paused", "disabled"))
        if "disabled" in changes:
            changes["disabled"] = _table_names(changes["disabled"])
        for name, values in _STATES.items():
            if name in changes and changes[name] not in values:
                raise ApiError(400, "InvalidInput", f"{name} is {changes[name]!r}; allowed: {', '.join(values)}")
        record = self._api.record(request)
        self._syncer.books.change(record.id, **changes)
        return success(connection(self._api.record(request), self._syncer.sync_every))

    def _incidents(self, request: Request) -> Response:
        record = self._api.record(request)
        return success({"items": [asdict(one) for one in self._syncer.books.incidents(record.id)]})

    async def _happen(self, request: Request) -> Response:
        """Cause an incident: `{"kind": "late_events", "count": 20, "days": 10, "name": ""}`."""
        body = await body_of(request)
        _only(body, ("kind", "count", "days", "name"))
        record = self._api.record(request)
        kind, name = str(body.get("kind", "")), str(body.get("name", ""))
        count, days = int(body.get("count", 1)), float(body.get("days", 10))
        try:
            incident = await run_in_threadpool(self._syncer.happen, record.id, kind, count, days, name)
        except UnknownNameError as error:
            raise ApiError(400, "InvalidInput", str(error)) from error
        return success({**asdict(incident), "at": iso(datetime.fromtimestamp(incident.at, UTC))})

    async def _plan_sync(self, request: Request) -> Response:
        """Plan the next sync: `{"outcome": "fail", "reason": ..., "seconds": ..., "until": ...}`.

        `until` (ISO 8601) or `minutes` set when a rescheduled sync may run; `seconds` is how long the sync takes.
        """
        body = await body_of(request)
        _only(body, ("outcome", "reason", "seconds", "until", "minutes"))
        outcome = body.get("outcome", "succeed")
        if outcome not in _OUTCOMES:
            raise ApiError(400, "InvalidInput", f"outcome is {outcome!r}; allowed: {', '.join(_OUTCOMES)}")
        record = self._api.record(request)
        self._syncer.books.change(
            record.id,
            next_outcome=outcome,
            next_reason=body.get("reason"),
            next_seconds=body.get("seconds"),
            next_until=self._until(body) if outcome == "reschedule" else None,
        )
        return success(connection(self._api.record(request), self._syncer.sync_every))

    def _until(self, body: dict[str, Any]) -> datetime:
        try:
            if "until" in body:
                return datetime.fromisoformat(body["until"]).astimezone(UTC)
            return self._syncer.clock.now() + timedelta(minutes=float(body.get("minutes", 60)))
        except (TypeError, ValueError) as error:
            raise ApiError(400, "InvalidInput", f"until is not a time: {error}") from error


def _table_names(value: Any) -> str:
    if not isinstance(value, list) or not set(map(str, value)) <= set(TABLES):
        raise ApiError(400, "InvalidInput", f"disabled is {value!r}; allowed: a list of {', '.join(TABLES)}")
    return json.dumps(sorted(value))


def _only(body: dict[str, Any], names: Any) -> None:
    unknown = set(body) - set(names)
    if unknown:
        raise ApiError(400, "InvalidInput", f"unknown members {sorted(unknown)}; allowed: {', '.join(names)}")
