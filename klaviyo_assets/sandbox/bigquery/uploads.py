"""Incoming files: multipart and resumable uploads of load jobs.

Here: the two upload protocols, with the bytes going to a file as they arrive. What is done with a
complete file is in `job_calls`.
"""

import email.message
import json
import re
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from klaviyo_assets.sandbox.bigquery.errors import ApiError, invalid, not_found

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_MULTIPART_LIMIT = 100 * 1024 * 1024


@dataclass
class Session:
    """One resumable upload.

    Attributes:
        job: The Job that was sent first.
        file: What has arrived so far.
        received_bytes: Its length in bytes.
    """

    job: dict[str, Any]
    file: Path
    received_bytes: int = 0


@dataclass(frozen=True)
class Chunk:
    """What a Content-Range header says.

    Attributes:
        start: Where the bytes sent belong; None for a request that sends none.
        total: The length of the whole file once it is known.
    """

    start: int | None
    total: int | None


class Uploads:
    """The uploads in progress; a restart forgets them, and the client has to start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._sessions: dict[str, Session] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.iterdir():
            leftover.unlink()

    def new_file(self) -> Path:
        """Return where a file may be written."""
        return self._folder / f"{uuid.uuid4().hex}.upload"

    def start(self, job: dict[str, Any]) -> str:
        """Begin a resumable upload and return its id."""
        identifier = uuid.uuid4().hex
        file = self.new_file()
        file.touch()
        with self._guard:
            self._sessions[identifier] = Session(job, file)
        return identifier

    def session(self, identifier: str) -> Session:
        """Return an upload in progress.

        Raises:
            ApiError: There is none of that id.
        """
        with self._guard:
            session = self._sessions.get(identifier)
        if session is None:
            raise not_found(f"upload {identifier}: start the upload again")
        return session

    def finish(self, identifier: str) -> None:
        """Forget an upload; its file stays."""
        with self._guard:
            self._sessions.pop(identifier, None)


def read_content_range(header: str | None) -> Chunk:
    """Read the header that places a chunk.

    Raises:
        ApiError: It is missing or has another form.
    """
    match = _CONTENT_RANGE.fullmatch((header or "bytes *").strip())
    if match is None:
        raise invalid(f"Invalid Content-Range {header!r}: use bytes FIRST-LAST/TOTAL")
    start, _, total = match.groups()
    return Chunk(None if start is None else int(start), None if total == "*" else int(total))


def check_place(session: Session, chunk: Chunk) -> None:
    """Refuse a chunk that does not follow the bytes received so far.

    Raises:
        ApiError: There is a gap or an overlap.
    """
    if chunk.start not in (None, session.received_bytes):
        raise invalid(
            f"Invalid Content-Range: starts at {chunk.start}, but {session.received_bytes} bytes were received"
        )


def split_multipart(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a multipart/related body into its Job and the bytes of its file.

    Raises:
        ApiError: It does not hold exactly these two parts.
    """
    if len(body) > _MULTIPART_LIMIT:
        raise invalid(f"A multipart upload of {len(body)} bytes is too large: use a resumable upload")
    header = email.message.Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise invalid(f"Invalid Content-Type {content_type!r}: a multipart upload names its boundary")
    # The file is not parsed as mail: that would alter line ends.
    parts = body.split(b"--" + boundary.encode())
    if len(parts) < _PARTS:
        raise invalid("A multipart upload has two parts: the Job as JSON and the file")
    first = parts[1]
    second = (b"--" + boundary.encode()).join(parts[2:-1])
    job = _content(first)
    return as_job(job), _content(second)


_PARTS = 4
"""What stands before the first boundary, the Job, the file, and what stands after the last boundary."""


def _content(part: bytes) -> bytes:
    _, _, content = part.partition(b"\r\n\r\n")
    return content.removesuffix(b"\r\n")


def as_job(text: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ApiError: It is none.
    """
    try:
        value = json.loads(text or b"{}")
    except ValueError as fault:
        raise invalid(f"Parse Error: the request's body is not JSON: {fault}") from fault
    if not isinstance(value, dict):
        raise ApiError(400, "invalid", "Parse Error: the request's body is not a JSON object")
    return value
