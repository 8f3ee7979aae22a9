"""What an endpoint gets and gives, free of any web framework.

Here: the request and reply of one API call, the server's parts that endpoints share, and paging.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, not_found
from klaviyo_assets.sandbox.bigquery.jobs import Jobs
from klaviyo_assets.sandbox.bigquery.results import ResultFiles
from klaviyo_assets.sandbox.bigquery.store import Store, TableLocks

Item = TypeVar("Item")


@dataclass(frozen=True)
class Server:
    """The parts of one running stand-in.

    Attributes:
        project: The only project it has.
        location: The default of datasets and jobs that name none.
        root: The base of links in answers, such as `http://127.0.0.1:9050/bigquery/v2`.
        uploads: The folder for files on their way in.
    """

    project: str
    location: str
    root: str
    store: Store
    locks: TableLocks
    jobs: Jobs
    results: ResultFiles
    uploads: Path


@dataclass(frozen=True)
class Call:
    """One request.

    Attributes:
        path: The variable parts of the path by name.
        query: The query string.
        headers: By lower-case name.
        body: The JSON object sent, empty when there was none.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """Return a query parameter that is a count; None when it was not sent.

        Raises:
            ApiError: It is not a whole number from 0.
        """
        text = self.query.get(name)
        if text is None:
            return None
        if not text.isdecimal():
            raise invalid(f"Invalid value {text!r} of the query parameter {name}: use a whole number from 0")
        return int(text)

    def switch(self, name: str) -> bool:
        """Return a query parameter that is on or off; Python's client sends True with a capital."""
        return self.query.get(name, "").lower() == "true"


@dataclass(frozen=True)
class Reply:
    """One answer; without a body it is empty."""

    body: dict[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def of_project(server: Server, project: str) -> None:
    """Check that a request is for the project this stand-in has.

    Raises:
        ApiError: It is for a different project.
    """
    if project != server.project:
        raise ApiError(404, "notFound", f"Not found: Project {project}; the local stand-in has only {server.project}")


def page(items: Sequence[Item], call: Call) -> tuple[Sequence[Item], str | None]:
    """Return the part of a list that a request asks for, and the token of the next part."""
    start = page_start(call)
    end = start + (call.number("maxResults") or len(items))
    return items[start:end], page_token(end) if end < len(items) else None


def page_start(call: Call) -> int:
    """Return the position that a request's pageToken or startIndex means."""
    token = call.query.get("pageToken")
    if not token:
        return call.number("startIndex") or 0
    place = token.removeprefix("from-")
    if not place.isdecimal():
        raise not_found(f"page token {token}")
    return int(place)


def page_token(start: int) -> str:
    """Return the token of the page that starts at a place."""
    return f"from-{start}"
