"""What differs between Klaviyo's numbers and ours. Not here: formulas (`formulas.py`) and words (`sentences.py`)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from klaviyo_assets.audit.klaviyo_comparison.numbers import (
    COMPARED,
    RATES,
    VARIANTS,
    MessageKey,
    Side,
    Values,
    added,
    same,
)


@dataclass(frozen=True)
class Difference:
    """One number on which the sides differ."""

    key: MessageKey
    statistic: str
    klaviyo: Decimal
    ours: Decimal

    @property
    def absolute(self) -> Decimal:
        """By how much ours is larger (or, negative, smaller)."""
        return self.ours - self.klaviyo

    @property
    def relative(self) -> Decimal | None:
        """The same as a share of Klaviyo's number; None if that is 0."""
        return self.absolute / self.klaviyo if self.klaviyo else None

    @property
    def size(self) -> tuple[bool, Decimal, Decimal]:
        """For sorting by importance: counts before their rates, then by relative, then by absolute difference."""
        share = abs(self.relative) if self.relative is not None else Decimal("Infinity")
        return (self.statistic not in RATES, share, abs(self.absolute))


@dataclass(frozen=True)
class Comparison:
    """Both sides, brought to the same messages, and what differs.

    Attributes:
        klaviyo: Klaviyo's numbers of the messages that both sides have.
        ours: Our numbers of the same messages.
        differences: The largest first.
        only_klaviyo: Messages for which only Klaviyo has numbers, with these numbers.
        only_ours: Messages for which only our reports have numbers.
        not_stated: Statistics that Klaviyo has and our raw data lack, with the number of messages.
        variants: Statistics that differ, and a different way of counting that gives Klaviyo's number in every message.
        added_up: Messages whose variations have different ids on the two sides: compared as a whole.
    """

    klaviyo: Side
    ours: Side
    differences: tuple[Difference, ...]
    only_klaviyo: Side
    only_ours: Side
    not_stated: dict[str, int]
    variants: dict[str, str]
    added_up: tuple[tuple[str, str], ...]

    @property
    def agrees(self) -> bool:
        """Whether every number and every message is the same."""
        return not (self.differences or self.only_klaviyo or self.only_ours)

    @property
    def numbers(self) -> int:
        """How many numbers were compared."""
        return sum(_are_comparable(self.klaviyo[key], self.ours[key], name) for key in self.ours for name in COMPARED)


def compare(klaviyo: Side, ours: Side) -> Comparison:
    """Compare the numbers of both sides, message by message.

    Messages with no number other than 0 are ignored.
    """
    klaviyo, ours = _with_numbers(klaviyo), _with_numbers(ours)
    klaviyo, ours, added_up = _same_variations(klaviyo, ours)
    shared = sorted(set(klaviyo) & set(ours))
    differences = sorted(_differences(shared, klaviyo, ours), key=lambda difference: difference.size, reverse=True)
    return Comparison(
        klaviyo={key: klaviyo[key] for key in shared},
        ours={key: ours[key] for key in shared},
        differences=tuple(differences),
        only_klaviyo={key: klaviyo[key] for key in sorted(set(klaviyo) - set(ours))},
        only_ours={key: ours[key] for key in sorted(set(ours) - set(klaviyo))},
        not_stated=_not_stated(shared, klaviyo, ours),
        variants=_variants({difference.statistic for difference in differences}, shared, klaviyo, ours),
        added_up=added_up,
    )


def _with_numbers(side: Side) -> Side:
    return {key: values for key, values in side.items() if any(values.get(name) for name in COMPARED)}


def _same_variations(klaviyo: Side, ours: Side) -> tuple[Side, Side, tuple[tuple[str, str], ...]]:
    """Messages whose variations have different ids on the two sides become one row on each side."""
    theirs, own = _variations(klaviyo), _variations(ours)
    unlike = {message for message in set(theirs) & set(own) if theirs[message] != own[message]}
    return _whole(klaviyo, unlike), _whole(ours, unlike), tuple(sorted(unlike))


def _variations(side: Side) -> dict[tuple[str, str], set[str]]:
    variations: dict[tuple[str, str], set[str]] = {}
    for key in side:
        variations.setdefault((key.owner_id, key.message_id), set()).add(key.variation_id)
    return variations


def _whole(side: Side, messages: Iterable[tuple[str, str]]) -> Side:
    parts: dict[tuple[str, str], list[Values]] = {message: [] for message in messages}
    whole: dict[MessageKey, Values] = {}
    for key, values in side.items():
        message = (key.owner_id, key.message_id)
        if message in parts:
            parts[message].append(values)
        else:
            whole[key] = values
    return whole | {MessageKey(*message): added(variations) for message, variations in parts.items()}


def _are_comparable(klaviyo: Values, ours: Values, name: str) -> bool:
    """A number that one side does not state is not compared; Klaviyo writes 0 for a rate without a denominator."""
    return klaviyo.get(name) is not None and (ours.get(name) is not None or (name in RATES and not klaviyo[name]))


def _differences(shared: Iterable[MessageKey], klaviyo: Side, ours: Side) -> Iterator[Difference]:
    for key in shared:
        for name in COMPARED:
            theirs, own = klaviyo[key].get(name), ours[key].get(name)
            if theirs is None or not _are_comparable(klaviyo[key], ours[key], name):
                continue
            if not same(name, theirs, own or Decimal(0)):
                yield Difference(key, name, theirs, own or Decimal(0))


def _not_stated(shared: Iterable[MessageKey], klaviyo: Side, ours: Side) -> dict[str, int]:
    lacking = [name for key in shared for name in COMPARED if klaviyo[key].get(name) and ours[key].get(name) is None]
    return {name: lacking.count(name) for name in COMPARED if name in lacking}


def _variants(differing: set[str], shared: list[MessageKey], klaviyo: Side, ours: Side) -> dict[str, str]:
    """For each statistic that differs: the variant that equals Klaviyo's number in every message, if there is one."""

    def fits(name: str, variant: str) -> bool:
        pairs = [(klaviyo[key].get(name), ours[key].get(variant)) for key in shared]
        stated_pairs = [(theirs, own) for theirs, own in pairs if theirs is not None]
        return bool(stated_pairs) and all(own is not None and same(name, theirs, own) for theirs, own in stated_pairs)

    fitting_variants = {
        name: [variant for variant in VARIANTS.get(name, ()) if fits(name, variant)] for name in differing
    }
    return {name: fitting[0] for name, fitting in sorted(fitting_variants.items()) if fitting}
