"""Free ports on 127.0.0.1.

Here: choosing and testing them. Ports are below the range that operating systems use for outgoing connections,
so that a stopped server finds its port again at the next start.
"""

import secrets
import socket
from collections.abc import Collection

from klaviyo_assets.errors import TransientError

LOCALHOST = "127.0.0.1"
# With a companion (see `choose`) 10000 above, all stay below Linux' 32768 and macOS' 49152.
LOWEST, HIGHEST = 15_000, 22_700
COMPANION = 10_000


def is_free(port: int) -> bool:
    """Whether we can listen on the port."""
    return not answers(port) and _can_bind(port)


def answers(port: int) -> bool:
    """Whether a program listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        return client.connect_ex((LOCALHOST, port)) == 0


def is_usable(port: int, with_companion: bool) -> bool:
    """Whether the port is free, and the one 10000 above it as well where a server takes that too."""
    return is_free(port) and (not with_companion or is_free(port + COMPANION))


def choose(taken_ports: Collection[int], with_companion: bool = False) -> int:
    """A free port that is not among `taken_ports`.

    Raises:
        TransientError: none was found.
    """
    for _ in range(500):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if port not in taken_ports and is_usable(port, with_companion):
            return port
    raise TransientError(f"no port between {LOWEST} and {HIGHEST} on {LOCALHOST} is free", "End what listens there.")


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # As the servers do: connections that are just closing do not count.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOCALHOST, port))
        except OSError:
            return False
    return True
