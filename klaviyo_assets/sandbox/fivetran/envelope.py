"""The form of Fivetran's answers: envelope, errors, pages, times.

Here: what every endpoint shares. Not here: the content of any endpoint.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

_DEFAULT_LIMIT, _MOST = 100, 1_000


class ApiError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def success(data: Any = None, message: str | None = None, status: int = 200) -> JSONResponse:
    """A successful answer."""
    body: dict[str, Any] = {"code": "Success"}
    if message is not None:
        body["message"] = message
    if data is not None:
        body["data"] = data
    return JSONResponse(body, status)


def failure(error: ApiError) -> JSONResponse:
    """An answer that says what is wrong."""
    return JSONResponse({"code": error.code, "message": error.message}, error.status)


def page(request: Request, items: Sequence[Any]) -> dict[str, Any]:
    """One page of a list, and the cursor of the next where there is one.

    Raises:
        ApiError: 400 for a limit outside 1 to 1000 or a cursor that no page gave.
    """
    begin, limit = _position(request.query_params.get("cursor")), _limit(request.query_params.get("limit"))
    data: dict[str, Any] = {"items": list(items[begin : begin + limit])}
    if begin + limit < len(items):
        data["next_cursor"] = base64.urlsafe_b64encode(f"skip:{begin + limit}".encode()).decode()
    return data


def iso(at: datetime | None) -> str | None:
    """A time as Fivetran writes it."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _limit(text: str | None) -> int:
    limit = int(text) if text and text.isdigit() else _DEFAULT_LIMIT if text is None else 0
    if not 1 <= limit <= _MOST:
        raise ApiError(400, "InvalidInput", f"limit is {text!r}; give a number from 1 to {_MOST}")
    return limit


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if word == "skip":
            return int(number)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        pass
    raise ApiError(400, "InvalidInput", f"cursor {cursor!r} was not given by any page; leave it out to begin again")
