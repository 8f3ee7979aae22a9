"""The shop's clock: the real one, moved by an offset that only grows.

Here: telling the time. The offset is kept by `books`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """The time in the simulated world."""

    def __init__(self, offset: timedelta, save: Callable[[timedelta], None]) -> None:
        self._offset, self._save = offset, save

    def now(self) -> datetime:
        """The shop's current time, in UTC."""
        return datetime.now(UTC) + self._offset

    def advance(self, by: timedelta) -> datetime:
        """Move the clock forward and return the new time; back is an error, since rows already synced exist."""
        if by < timedelta(0):
            raise ValueError(f"the shop's clock cannot be moved back by {-by}; give a period above zero")
        self._offset += by
        self._save(self._offset)
        return self.now()
