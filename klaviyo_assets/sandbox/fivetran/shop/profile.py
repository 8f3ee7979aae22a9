"""How simulated accounts differ from each other.

Here: the choices (time zone, currency, spellings, shapes). Not here: their effects.
"""

from dataclasses import dataclass
from typing import Literal

Spelling = Literal["unpacked", "packed", "source"]
AttributionShape = Literal["relationships", "event_id", "none"]

_NAMES = ("acme", "bloom", "cedar", "dune", "ember", "fjord", "grove", "harbor", "iris", "juniper")
_PLACES = (
    ("America/New_York", "USD", "US"),
    ("Europe/Berlin", "EUR", "DE"),
    ("Europe/London", "GBP", "GB"),
    ("Asia/Tokyo", "JPY", "JP"),
    ("Australia/Sydney", "AUD", "AU"),
    ("America/Sao_Paulo", "BRL", "BR"),
)
_SPELLINGS: tuple[Spelling, ...] = ("unpacked", "packed", "source")
_SHAPES: tuple[AttributionShape, ...] = ("relationships", "none", "event_id", "relationships")
_FIRST = ("speak", "warm", "quiet", "amber", "steady", "little", "golden", "plain")
_SECOND = ("menial", "harbor", "lantern", "meadow", "compass", "willow", "anchor", "orchard")
# Two-decimal currencies are the rule.
_WHOLE_MONEY = {"JPY"}


@dataclass(frozen=True, slots=True)
class Profile:
    """One account: where it is, how Fivetran spells it, what Klaviyo records for it.

    Attributes:
        spelling: UNPACKED `property_*` columns, PACKED one JSON, or source naming (`propertyValue`).
        attribution_shape: how `property_attribution` looks; "none" where Klaviyo recorded nothing.
        linear: several touches per event instead of the last one.
        inline_campaigns: the schema before September 2023: subject and sender on `campaign`, no messages.
        former_names: metric names of some years ago ("Received SMS").
        event_deletes: `event` carries `_fivetran_deleted`.
        api_orders: a second "Placed Order", sent through the API.
        numeric_values: `property_value` is a number; text otherwise.
        text_credits: receipts of text messages state the credits they used and what these cost.
    """

    name: str
    timezone: str
    currency: str
    country: str
    connection_id: str
    group_id: str
    schema: str
    spelling: Spelling
    attribution_shape: AttributionShape
    linear: bool
    inline_campaigns: bool
    former_names: bool
    event_deletes: bool
    api_orders: bool
    numeric_values: bool
    text_credits: bool

    @property
    def decimals(self) -> int:
        """Digits after the point in this account's money."""
        return 0 if self.currency in _WHOLE_MONEY else 2


def profile(index: int) -> Profile:
    """The profile of the account at `index`: 0 is acme, 1 is bloom, later ones rotate every choice."""
    timezone, currency, country = _PLACES[index % len(_PLACES)]
    name = _NAMES[index % len(_NAMES)] + ("" if index < len(_NAMES) else str(index // len(_NAMES) + 1))
    return Profile(
        name=name,
        timezone=timezone,
        currency=currency,
        country=country,
        connection_id=_connection_id(index),
        group_id="sunny_warehouse",
        schema=f"klaviyo_{name}",
        spelling=_SPELLINGS[index % 3],
        attribution_shape=_SHAPES[index % 4],
        linear=index % 4 == 3,
        inline_campaigns=index % 4 == 2,
        former_names=index % 3 == 1,
        event_deletes=index % 2 == 0,
        api_orders=index % 3 == 0,
        numeric_values=index % 4 == 3,
        text_credits=index % 2 == 0,
    )


def profiles(count: int) -> tuple[Profile, ...]:
    """The first `count` profiles."""
    return tuple(profile(index) for index in range(count))


def _connection_id(index: int) -> str:
    first, second = _FIRST[index % len(_FIRST)], _SECOND[(index + index // len(_FIRST)) % len(_SECOND)]
    return f"{first}_{second}" if index < len(_FIRST) * len(_SECOND) else f"{first}_{second}{index}"
