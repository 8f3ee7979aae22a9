"""The twelve faults in front of a system that is asked over HTTP.

Here: how each fault of the matrix is made, given the requests that it is to hit and what the system's refusals look
like. Not here: what the product does about it.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from klaviyo_assets_tests.faults.certificates import self_signed
from klaviyo_assets_tests.faults.connection_faults import UNRESOLVABLE, ConnectionProxy, Fault
from klaviyo_assets_tests.faults.http_faults import HttpProxy


@dataclass(frozen=True)
class Refusal:
    """An answer that a system would give."""

    status: int
    body: bytes | str | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spot:
    """Which requests a fault hits.

    Attributes:
        method: A pattern of methods.
        path: A pattern that is found in the path.
        answer_bytes: How much of the answer arrives before it breaks off.
    """

    method: str
    path: str
    answer_bytes: int = 30


@contextmanager
def http_scene(fault: str, target: str, spot: Spot, refusals: Mapping[str, Refusal], folder: Path) -> Iterator[str]:
    """An address where a server at `target` is met with a fault.

    Args:
        fault: One of `matrix.FAULTS`.
        target: The server's address.
        spot: Which requests the fault hits.
        refusals: What the system answers, by fault; a "503 bursts" passes after its second answer.
        folder: Where certificates are written.
    """
    if fault in {"silent on connect", "10 kB/s"}:
        with _connections(target, Fault("silence" if fault == "silent on connect" else "slow")) as url:
            yield url
    elif fault == "DNS failure":
        yield f"http://{UNRESOLVABLE}"
    elif fault == "TLS mismatch":
        with HttpProxy(target, tls=self_signed(folder).server_context) as proxy:
            yield proxy.url
    else:
        with HttpProxy(target) as proxy:
            _spoil(proxy, fault, spot, refusals.get(fault))
            yield proxy.url


def _spoil(proxy: HttpProxy, fault: str, spot: Spot, refusal: Refusal | None) -> None:
    if fault == "silent mid-answer":
        proxy.spoil(spot.method, spot.path, Fault("silence", after=spot.answer_bytes))
    elif fault == "reset mid-body":
        proxy.spoil(spot.method, spot.path, Fault("reset", after=spot.answer_bytes))
    elif refusal is not None:
        times = 2 if fault == "503 bursts" else None
        proxy.answer(spot.method, spot.path, refusal.status, refusal.body, headers=refusal.headers, times=times)


@contextmanager
def _connections(target: str, fault: Fault) -> Iterator[str]:
    address = urlsplit(target)
    with ConnectionProxy(address.hostname, address.port) as proxy:
        proxy.fault = fault
        yield f"http://127.0.0.1:{proxy.port}"


@contextmanager
def not_yet_valid(target: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """An address whose certificate is valid from tomorrow on, as one whose clock is behind sees it; and the file."""
    certificate = self_signed(folder, begins_in=dt.timedelta(days=1))
    with HttpProxy(target, tls=certificate.server_context) as proxy:
        yield proxy.url, certificate.certificate
