"""Randomness without state: the same key always rolls the same number, whatever was rolled before.

Here: hashing of integers to uniform numbers, and the spellings of Klaviyo's identifiers. What does not:
what the numbers decide. Every roll is a function of (seed, account, key, salt), so rows do not depend on how time is
cut into syncs.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
Column = Any
"""A pyarrow Array: pyarrow ships no types of its own."""

_BASE62 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)
_CROCKFORD = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype=np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
# 62**length is above 2**bits for each pair, so mixing the bits and spelling them is one to one.
_EVENT_ID_SHAPES = ((8, 47), (9, 53), (10, 59), (11, 64))


class Dice:
    """Rolls for one account of one seed."""

    def __init__(self, seed: int, account: str) -> None:
        self.seed, self.account = seed, account
        self._salts: dict[str, np.uint64] = {}

    def words(self, keys: Ints, salt: str) -> Words:
        """64 random bits per key."""
        return _mix(keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + self._salt(salt))

    def uniform(self, keys: Ints, salt: str) -> Floats:
        """A number in [0, 1) per key."""
        return (self.words(keys, salt) >> np.uint64(11)).astype(np.float64) / float(1 << 53)

    def below(self, keys: Ints, salt: str, count: int) -> Ints:
        """An integer in [0, count) per key."""
        return (self.uniform(keys, salt) * count).astype(np.int64)

    def weighted(self, keys: Ints, salt: str, weights: Sequence[float]) -> Ints:
        """An index into `weights` per key, as likely as its weight."""
        bounds = np.cumsum(np.asarray(weights, dtype=np.float64))
        return np.searchsorted(bounds / bounds[-1], self.uniform(keys, salt), side="right").astype(np.int64)

    def chance(self, keys: Ints, salt: str, probability: float) -> Bools:
        """True with the given probability per key."""
        return self.uniform(keys, salt) < probability

    def generator(self, *parts: int) -> np.random.Generator:
        """A separate random generator for the named part of history."""
        return np.random.default_rng([int(self._salt("generator")), *parts])

    def short_id(self, *parts: object, length: int = 6) -> str:
        """The base62 spelling that Klaviyo gives metrics, flows, lists and variations."""
        number = int.from_bytes(self._digest("short_id", *parts), "big")
        characters = []
        for _ in range(length):
            number, digit = divmod(number, 62)
            characters.append(chr(_BASE62[digit]))
        return "".join(characters)

    def digits(self, *parts: object, length: int = 8) -> str:
        """A decimal identifier that does not begin with zero."""
        span = 9 * 10 ** (length - 1)
        return str(10 ** (length - 1) + int.from_bytes(self._digest("digits", *parts), "big") % span)

    def ulid(self, at: int, *parts: object) -> str:
        """One ULID whose time is `at` (epoch seconds)."""
        key = np.array([int.from_bytes(self._digest("ulid", *parts), "big") >> 1], dtype=np.int64)
        return str(self.ulids(np.array([at]), key, "one")[0].as_py())

    def ulids(self, at: Ints, keys: Ints, salt: str) -> Column:
        """ULIDs: ten characters of time, sixteen of chance."""
        millis = at.astype(np.uint64) * np.uint64(1000) + self.words(keys, salt + "/ms") % np.uint64(1000)
        first, second = self.words(keys, salt + "/1"), self.words(keys, salt + "/2")
        parts = [_spell(millis, 32, 10), _spell(first, 32, 12), _spell(second, 32, 4)]
        return fixed_text(_CROCKFORD[np.hstack(parts)])

    def uuids(self, keys: Ints, salt: str) -> Column:
        """UUIDs in their dashed spelling, marked as version 1 as Klaviyo's are."""
        digits = np.hstack(
            [_spell(self.words(keys, salt + "/1"), 16, 16), _spell(self.words(keys, salt + "/2"), 16, 16)]
        )
        digits[:, 12], digits[:, 16] = 1, 8
        letters = np.full((len(keys), 36), ord("-"), dtype=np.uint8)
        letters[:, [i for i in range(36) if i not in (8, 13, 18, 23)]] = _HEX[digits]
        return fixed_text(letters)

    def event_ids(self, sequence: Ints) -> npt.NDArray[np.bytes_]:
        """Event ids of 8 to 11 characters, one to one with the sequence numbers (below 2**47)."""
        shape = self.below(sequence, "event id length", len(_EVENT_ID_SHAPES))
        ids = np.empty(len(sequence), dtype="S11")
        for index, (length, bits) in enumerate(_EVENT_ID_SHAPES):
            mask = shape == index
            scrambled = _scramble(sequence[mask].astype(np.uint64), bits)
            ids[mask] = np.ascontiguousarray(_BASE62[_spell(scrambled, 62, length)]).view(f"S{length}")[:, 0]
        return ids

    def _salt(self, salt: str) -> np.uint64:
        if salt not in self._salts:
            self._salts[salt] = np.uint64(int.from_bytes(self._digest("salt", salt), "big"))
        return self._salts[salt]

    def _digest(self, *parts: object) -> bytes:
        text = "\x1f".join(str(part) for part in (self.seed, self.account, *parts))
        return hashlib.blake2b(text.encode(), digest_size=8).digest()


def fixed_text(letters: npt.NDArray[np.uint8]) -> Column:
    """An Arrow string column from rows of ASCII codes, all of the same length."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(letters)))


def _mix(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _scramble(words: Words, bits: int) -> Words:
    """A one-to-one shuffle of the numbers below 2**bits."""
    mask = np.uint64((1 << bits) - 1)
    for odd in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):
        words = (words * np.uint64(odd)) & mask
        words = words ^ (words >> np.uint64(bits // 2))
    return words


def _spell(words: Words, base: int, width: int) -> npt.NDArray[np.int64]:
    digits = np.empty((len(words), width), dtype=np.int64)
    for position in range(width - 1, -1, -1):
        words, digits[:, position] = words // np.uint64(base), words % np.uint64(base)
    return digits
