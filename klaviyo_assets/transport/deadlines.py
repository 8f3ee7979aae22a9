"""A limit on how long a connection may keep its user waiting, for libraries that wait without one.

Here: ending a connection from a second thread once the time is up. Not here: which limit holds for which call, and
what an ended connection means (the resources).

libpq waits in C for as long as the peer's kernel acknowledges what was sent, and a peer that sends a byte now and then
satisfies every timeout per read. Shutting the socket down makes both return at once with an ordinary error.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer


class Deadline:
    """Ends a connection whose user has waited too long.

    Args:
        sockets: Returns the connection's sockets when the time is up. They are shut down, not closed: their owner
            closes them.
    """

    def __init__(self, sockets: Callable[[], Iterable[socket.socket]]) -> None:
        self._sockets = sockets
        self.expired_after: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """End the connection if the block has not ended in time; the caller handles what the block then raises."""
        if sys.is_finalizing():
            # A thread that is started now never runs, and waiting for its start never ends.
            yield
            return
        timer = Timer(seconds, self._expire, [seconds])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self, seconds: float) -> None:
        self.expired_after = seconds
        for connection in self._sockets():
            # If the peer has already ended it, there is nothing to do.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def duplicate(descriptor: int) -> socket.socket:
    """Our own handle on a socket: it stays this connection, whatever the owner does with theirs."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
