"""How long work will still take: the seconds per piece of each part, learned during the work.

Here: the arithmetic. Not here: the display (`progress.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Fewer pieces of a part say little about how long its other pieces take.
_ENOUGH = 3


@dataclass
class Pace:
    """Seconds per piece. Unseen parts count with their usual share of the work, scaled to what was measured.

    `usual` is how long a piece of each part takes compared with the others; its unit does not matter.
    """

    usual: Mapping[str, float] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _pieces: dict[str, int] = field(default_factory=dict)

    def learn(self, part: str, seconds: float) -> None:
        """Record that one more piece of a part is done, and how many seconds it took."""
        self._seconds[part] = self._seconds.get(part, 0.0) + seconds
        self._pieces[part] = self._pieces.get(part, 0) + 1

    def left(self, remaining: Mapping[str, int]) -> float | None:
        """The seconds that the remaining pieces of each part will take; None while too little has been measured."""
        if sum(self._pieces.values()) < _ENOUGH:
            return None
        return sum(pieces * self._per_piece(part) for part, pieces in remaining.items())

    def _per_piece(self, part: str) -> float:
        if self._pieces.get(part, 0) >= _ENOUGH:
            return self._seconds[part] / self._pieces[part]
        expected = sum(pieces * self.usual.get(seen, 1.0) for seen, pieces in self._pieces.items())
        return self.usual.get(part, 1.0) * sum(self._seconds.values()) / expected
