"""Personal data: what counts as personal, and how it is treated before a row leaves the mapping.

Here: what personal values look like in free text, the keyed hash, and the three `pii` modes for whole columns and for
JSON text. Not here: which columns are personal (the specs say so), and secrets. With `hash`, the default, the same
value has the same hash everywhere, so people can be counted and joined without being known.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.mapping import documents
from klaviyo_assets.mapping.documents import NumberText
from klaviyo_assets.model.spec import squash

# Field names whose values are personal anywhere in a JSON document, in squashed spelling.
PERSONAL_KEYS = frozenset({
    "email", "emailaddress", "contactemail", "customeremail", "phone", "phonenumber", "customerphone", "mobile",
    "tonumber", "fromnumber", "recipient", "recipientemail", "firstname", "lastname", "fullname", "customername",
    "address", "address1", "address2", "addressline1", "addressline2", "street", "streetaddress", "zip", "zipcode",
    "postalcode", "postcode", "latitude", "longitude", "ip", "ipaddress", "clientip", "browserip", "birthday",
    "birthdate", "dateofbirth", "billingaddress", "shippingaddress", "defaultaddress", "trackingpostalcode",
    "giftrecipientemail", "recipientname", "contactname", "billingname", "shippingname", "cardholdername",
    "nickname", "username", "taxid", "giftrecipientname", "giftgivername", "referreremail", "referrername",
})  # fmt: skip
# In links the @ is written %40.
_EMAIL = r"[\w.%+\-]+(?:@|%40)[\w\-]+(?:\.[\w\-]+)+"
_PHONE = r"\+[0-9][0-9 ().\-]{6,17}[0-9]"
_EMAIL_AT, _EMAIL_FROM = re.compile(_EMAIL), re.compile(rf"(?<![\w.%+\-]){_EMAIL}")
_PHONE_NUMBER = re.compile(_PHONE)
# Klaviyo's ids of people are ULIDs. Mapped rows keep them: people are joined and counted by them.
_PERSON_ID = re.compile(r"\b01[0-9A-HJKMNP-TV-Z]{24}\b")
# A number written with a slash: rows keep it, because it may be a date; a system's message needs neither.
_SLASHED_PHONE = re.compile(r"(?<![\w.])\+\d[\d ()/-]{6,}\d")


@dataclass(frozen=True)
class Privacy:
    """How one account's personal values are treated: `hash`, `keep` or `drop`.

    Raises:
        SettingsError: `hash` without a key; without one, hashes of e-mail addresses could be looked up in a list.
    """

    mode: str = "hash"
    key: bytes = b""

    def __post_init__(self) -> None:
        """Refuse to hash without a key."""
        if self.mode == "hash" and len(self.key) < 16:
            raise SettingsError(
                "PII_HASH_KEY is missing or shorter than 16 characters, but an account has pii = 'hash'",
                'Set it to a long random text and keep it: `python -c "import secrets; print(secrets.token_hex(32))"`.',
            )

    def treat(self, value: str) -> str | None:
        """One personal value: its keyed hash (64 hex digits; e-mail case and outer blanks do not matter), or as is."""
        if self.mode == "keep":
            return value
        return self._hash(value) if self.mode == "hash" else None

    def _hash(self, value: str) -> str:
        return hmac.new(self.key, value.strip().casefold().encode(), hashlib.sha256).hexdigest()

    def column(self, values: pa.Array) -> pa.Array:
        """A whole personal column; each distinct value is treated once."""
        if self.mode == "keep":
            return values
        if self.mode == "drop":
            return pa.nulls(len(values), values.type)
        encoded = values.cast(pa.string()).dictionary_encode()
        hashed = [None if value is None else self._hash(value) for value in encoded.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(hashed, pa.string())).dictionary_decode()

    def json_column(self, texts: pa.Array, personal: frozenset[str] = frozenset()) -> pa.Array:
        """JSON documents with every value under a personal key, and every e-mail address or phone number, treated.

        Args:
            texts: JSON text or null. Numbers keep their spelling.
            personal: Further personal field names of this table, in squashed spelling.
        """
        if self.mode == "keep":
            return texts
        keys = PERSONAL_KEYS | personal
        suspicious = pc.fill_null(pc.match_substring_regex(texts, _suspicious(keys)), False)
        rows = pc.indices_nonzero(suspicious)
        if len(rows) == 0:
            return texts
        treated = [self._document(text, keys) for text in texts.take(rows).to_pylist()]
        return pc.replace_with_mask(texts, suspicious, pa.array(treated, pa.string()))

    def _document(self, text: str, personal: frozenset[str]) -> str:
        try:
            document = documents.read(text)
            walked = _walk(document, personal, self._leaf, self.scrub)
            # If a key occurs twice, only one value was examined.
            as_it_was = walked == document and not documents.repeats_a_key(text)
            return text if as_it_was else documents.write(walked)
        except ValueError:
            return json.dumps(self.scrub(text), ensure_ascii=False)
        except RecursionError:
            # It is nested deeper than any real document; what cannot be searched counts as personal as a whole.
            return json.dumps(self.treat(text))

    def _leaf(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        return self.treat(value.spelled if isinstance(value, NumberText) else str(value))

    def scrub(self, text: str) -> str:
        """Free text with e-mail addresses and phone numbers treated."""
        if self.mode == "keep":
            return text
        # Most texts hold none of these; looking for them is quicker than for the whole.
        if "@" not in text and "%40" not in text and "+" not in text:
            return text
        parts, end = [], 0
        for match in _personal_texts(text):
            parts += [text[end : match.start()], self.treat(match.group().replace("%40", "@")) or ""]
            end = match.end()
        return "".join([*parts, text[end:]])


def _personal_texts(text: str) -> Iterator[re.Match[str]]:
    """E-mail addresses and phone numbers from left to right, in linear time.

    A single pattern for both would be tried at every letter and scan all that follow, which takes quadratic time. So an
    address begins where its letters begin, or where the previous match ended.
    """
    at, email, phone = 0, _EMAIL_FROM.search(text), _PHONE_NUMBER.search(text)
    while email or phone:
        match = min(filter(None, (email, phone)), key=re.Match.start)
        yield match
        at = match.end()
        if email and email.start() < at:
            email = _EMAIL_AT.match(text, at) or _EMAIL_FROM.search(text, at)
        if phone and phone.start() < at:
            phone = _PHONE_NUMBER.search(text, at)


def without_people(text: str) -> str:
    """A system's message, such as an error, without e-mail addresses, phone numbers and ids of people."""
    parts, end = [], 0
    for match in _personal_texts(text):
        is_number = _PHONE_NUMBER.fullmatch(match.group())
        parts += [text[end : match.start()], "(number hidden)" if is_number else "(address hidden)"]
        end = match.end()
    hidden = _SLASHED_PHONE.sub("(number hidden)", "".join([*parts, text[end:]]))
    return _PERSON_ID.sub("(id hidden)", hidden)


@lru_cache
def _suspicious(keys: frozenset[str]) -> str:
    """A pattern that finds every document `_document` would change: a personal key, an e-mail address, a phone number.

    It runs over whole columns, so that only the few documents it finds are parsed one by one.
    """
    between = '[^a-z0-9"]*'
    spelled = "|".join(between.join(key) for key in sorted(keys))
    # In Arrow only ASCII letters are letters, so any @ counts; an escaped letter may belong to anything.
    return rf'"(?i:{between}(?:{spelled}){between})"\s*:|@|%40|{_PHONE}|\\u00'


_squash = lru_cache(maxsize=65_536)(squash)


def _walk(node: Any, personal: frozenset[str], leaf: Callable[[Any], Any], scrub: Callable[[str], str]) -> Any:
    """Apply `leaf` to every scalar below a personal key and `scrub` to all other texts."""
    if isinstance(node, dict):
        return {
            key: _below(value, leaf) if _squash(key) in personal else _walk(value, personal, leaf, scrub)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_walk(item, personal, leaf, scrub) for item in node]
    return scrub(node) if isinstance(node, str) and not isinstance(node, NumberText) else node


def _below(node: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(node, dict):
        return {key: _below(value, leaf) for key, value in node.items()}
    if isinstance(node, list):
        return [_below(item, leaf) for item in node]
    return leaf(node)
