"""Klaviyo's quota of reports, as arithmetic: how long to wait before a request, and how many are left today.

Here: counting requests and the pauses that Klaviyo asked for. Not here: where the count is kept between runs, and
making requests (`resource.py`).

Klaviyo counts in fixed windows; here any period of that length counts, which is never more generous.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Quota:
    """Requests allowed in a second, a minute and a day: those of Klaviyo's Reporting API by default."""

    per_second: int = 1
    per_minute: int = 2
    per_day: int = 225

    @property
    def windows(self) -> tuple[tuple[int, float], ...]:
        """Each limit with its window in seconds."""
        return ((self.per_second, 1.0), (self.per_minute, 60.0), (self.per_day, DAY_SECONDS))


@dataclass(frozen=True)
class Spending:
    """The requests of one account in the last day, and the pause Klaviyo asked for. Times are epoch seconds.

    Attributes:
        request_times: When requests were made, oldest first.
        paused_until: The earliest time of the next request; 0 if Klaviyo asked for no pause.
    """

    request_times: tuple[float, ...] = ()
    paused_until: float = 0.0

    def wait(self, quota: Quota, now: float) -> float:
        """Seconds until the next request is allowed; 0 if it is allowed now."""
        free = [now, self.paused_until]
        for limit, seconds in quota.windows:
            inside = [at for at in self.request_times if at > now - seconds]
            if len(inside) >= limit:
                free.append(inside[len(inside) - limit] + seconds if limit else now + seconds)
        return max(free) - now

    def left(self, quota: Quota, now: float) -> int:
        """How many more requests today's limit allows."""
        return max(quota.per_day - len(self.since(now - DAY_SECONDS).request_times), 0)

    def after_request(self, now: float) -> "Spending":
        """The spending after one more request, without requests older than a day."""
        return replace(self, request_times=(*self.since(now - DAY_SECONDS).request_times, now))

    def paused(self, until: float) -> "Spending":
        """The spending with a pause that Klaviyo asked for, unless an earlier pause ends later."""
        return replace(self, paused_until=max(self.paused_until, until))

    def since(self, start: float) -> "Spending":
        """Only what was made after `start`."""
        return replace(self, request_times=tuple(at for at in self.request_times if at > start))

    @property
    def text(self) -> str:
        """The text that is kept between runs."""
        return json.dumps({"made": list(self.request_times), "paused_until": self.paused_until})

    @classmethod
    def of(cls, text: str | None) -> "Spending":
        """Read the result of `text`; any other text counts as nothing spent."""
        try:
            state: Any = json.loads(text or "{}")
            return cls(tuple(sorted(float(at) for at in state.get("made", ()))), float(state.get("paused_until", 0)))
        except (ValueError, TypeError, AttributeError):
            return cls()
