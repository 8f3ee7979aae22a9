"""Switches for tests and demos, under `/sandbox`: time, incidents, faults, and what the next sync will do.

What belongs here: what Fivetran does not have. What does not: the plain API (`api`).
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
        one = "/sandbox/connections/{connection_id}"
        return [
            Route("/sandbox/requests", self._requests, methods=["GET"]),
            Route("/sandbox/requests", self._forget_requests, methods=["DELETE"]),
            Route("/sandbox/faults", self._list_faults, methods=["GET"]),
            Route("/sandbox/faults", self._plan_fault, methods=["POST"]),
            Route("/sandbox/faults", self._clear_faults, methods=["DELETE"]),
            Route("/sandbox/clock", self._clock, methods=["GET"]),
            Route("/sandbox/clock/advance", self._advance, methods=["POST"]),
            Route("/sandbox/incidents", self._kinds, methods=["GET"]),
            Route(one, self._set, methods=["PATCH"]),
            Route(f"{one}/incidents", self._incidents, methods=["GET"]),
            Route(f"{one}/incidents", self._happen, methods=["POST"]),
            Route(f"{one}/next-sync", self._plan_sync, methods=["POST"]),
        ]

    def _requests(self, request: Request) -> Response:
        """Every request to the API since the start or the last DELETE, and counts by method and path."""
        part = request.query_params.get("path", "")
        seen = [one for one in self._faults.seen if part in one.path]
        counts = Counter(f"{one.method} {one.path}" for one in seen)
        return success({"total": len(seen), "counts": counts, "items": [asdict(one) for one in seen]})

    def _forget_requests(self, _: Request) -> Response:
        self._faults.seen.clear()
        return success()

    def _list_faults(self, _: Request) -> Response:
        return success({"items": [asdict(fault) for fault in self._faults.planned()]})

    async def _plan_fault(self, request: Request) -> Response:
        """Plan a fault: the body's members are those of `Fault`."""
        wanted = await body_of(request)
        _only(wanted, [field.name for field in fields(Fault)])
        try:
            fault = Fault(**wanted)
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
        """Move the shop's time on: `{"days": 1, "hours": 0, "minutes": 0, "seconds": 0}`."""
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
        for name, allowed in _STATES.items():
            if name in changes and changes[name] not in allowed:
                raise ApiError(400, "InvalidInput", f"{name} is {changes[name]!r}; allowed: {', '.join(allowed)}")
        record = self._api.record(request)
        self._syncer.books.change(record.id, **changes)
        return success(connection(self._api.record(request), self._syncer.sync_every))

    def _incidents(self, request: Request) -> Response:
        record = self._api.record(request)
        return success({"items": [asdict(one) for one in self._syncer.books.incidents(record.id)]})

    async def _happen(self, request: Request) -> Response:
        """Let an incident happen: `{"kind": "late_events", "count": 20, "days": 10, "name": ""}`."""
        wanted = await body_of(request)
        _only(wanted, ("kind", "count", "days", "name"))
        record = self._api.record(request)
        kind, name = str(wanted.get("kind", "")), str(wanted.get("name", ""))
        count, days = int(wanted.get("count", 1)), float(wanted.get("days", 10))
        try:
            incident = await run_in_threadpool(self._syncer.happen, record.id, kind, count, days, name)
        except UnknownNameError as error:
            raise ApiError(400, "InvalidInput", str(error)) from error
        return success({**asdict(incident), "at": iso(datetime.fromtimestamp(incident.at, UTC))})

    async def _plan_sync(self, request: Request) -> Response:
        """Plan the next sync: `{"outcome": "fail", "reason": ..., "seconds": ..., "until": ...}`.

        `until` (ISO 8601) or `minutes` say until when a sync is rescheduled; `seconds` how long the sync takes.
        """
        wanted = await body_of(request)
        _only(wanted, ("outcome", "reason", "seconds", "until", "minutes"))
        outcome = wanted.get("outcome", "succeed")
        if outcome not in _OUTCOMES:
            raise ApiError(400, "InvalidInput", f"outcome is {outcome!r}; allowed: {', '.join(_OUTCOMES)}")
        record = self._api.record(request)
        self._syncer.books.change(
            record.id,
            next_outcome=outcome,
            next_reason=wanted.get("reason"),
            next_seconds=wanted.get("seconds"),
            next_until=self._until(wanted) if outcome == "reschedule" else None,
        )
        return success(connection(self._api.record(request), self._syncer.sync_every))

    def _until(self, wanted: dict[str, Any]) -> datetime:
        try:
            if "until" in wanted:
                return datetime.fromisoformat(wanted["until"]).astimezone(UTC)
            return self._syncer.clock.now() + timedelta(minutes=float(wanted.get("minutes", 60)))
        except (TypeError, ValueError) as error:
            raise ApiError(400, "InvalidInput", f"until is not a time: {error}") from error


def _table_names(given: Any) -> str:
    if not isinstance(given, list) or not set(map(str, given)) <= set(TABLES):
        raise ApiError(400, "InvalidInput", f"disabled is {given!r}; allowed: a list of {', '.join(TABLES)}")
    return json.dumps(sorted(given))


def _only(found: dict[str, Any], allowed: Any) -> None:
    unknown = set(found) - set(allowed)
    if unknown:
        raise ApiError(400, "InvalidInput", f"unknown members {sorted(unknown)}; allowed: {', '.join(allowed)}")
