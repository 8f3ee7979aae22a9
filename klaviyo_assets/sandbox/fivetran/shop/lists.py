"""The lists, segments and tags of an account, and their ids.

Here: what other tables refer to by id. Not here: who is in them (`membership_tables`).
"""

from dataclasses import dataclass

from klaviyo_assets.sandbox.fivetran.shop.history import History

LIST_NAMES = ("Newsletter", "Text Subscribers", "Waitlist")
TAG_NAMES = ("promo", "seasonal", "evergreen", "test")
BEFORE_START = 400 * 86_400
"""How long before the shop's first day its settings were made, in seconds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: `days` within which a person must have clicked or opened, or `orders` placed."""

    name: str
    days: int | None = None
    orders: int | None = None


SEGMENTS = (Segment("Engaged (30 days)", days=30), Segment("Customers", orders=1), Segment("VIP", orders=3))


def list_ids(history: History) -> tuple[str, ...]:
    """Ids of `LIST_NAMES`."""
    return tuple(history.dice.short_id("list", name) for name in LIST_NAMES)


def segment_id(history: History, segment: Segment) -> str:
    """A segment's id."""
    return history.dice.short_id("segment", segment.name)


def tag_id(history: History, index: int) -> str:
    """The id of the tag at `index` of `TAG_NAMES`."""
    return history.dice.ulid(founded_at(history), "tag", TAG_NAMES[index])


def founded_at(history: History) -> int:
    """When the account was set up."""
    return history.calendar.midnight(0) - BEFORE_START
