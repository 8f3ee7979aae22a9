"""Numbers of made-up messages, as both sides may have them."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from klaviyo_assets.audit.klaviyo_comparison.numbers import COMPARED, RATES, MessageKey, Values, rate
from klaviyo_assets.model.statistics import STATISTICS

SALE, NEWS = MessageKey("C1", "M1"), MessageKey("C2", "M2")
COUNTS = {
    "recipients": 100, "delivered": 96, "bounced": 4, "failed": 0, "bounced_or_failed": 4, "opens": 70,
    "opens_unique": 48, "clicks": 12, "clicks_unique": 8, "unsubscribes": 1, "unsubscribe_uniques": 1,
    "spam_complaints": 0, "conversions": 3, "conversion_uniques": 2, "conversion_value": "149.97",
    "sends_opened": 50, "opens_unique_excl_machine": 20, "sends_opened_excl_machine": 21, "opens_excl_machine": 30,
    "sends_clicked": 8, "clicks_unique_excl_bot": 7, "sends_clicked_excl_bot": 7, "clicks_excl_bot": 11,
    "sends_converted": 2, "delivered_uniques": 90,
}  # fmt: skip


def numbers(**changed: Any) -> Values:
    """A message's numbers with rates made of its counts by our formulas, unless they are given."""
    counts = {name: None if value is None else Decimal(str(value)) for name, value in (COUNTS | changed).items()}
    rates = {name: rate(counts, STATISTICS[name].numerator, STATISTICS[name].denominator) for name in RATES}
    return dict.fromkeys(COMPARED) | rates | counts


@st.composite
def sides(draw: st.DrawFn) -> dict[MessageKey, Values]:
    """Up to four messages with counts that may be."""
    keys = draw(st.lists(st.builds(MessageKey, st.sampled_from("ab"), st.sampled_from("xy")), unique=True, max_size=4))
    counts = st.fixed_dictionaries({name: st.integers(0, 40) for name in COUNTS if name != "conversion_value"})
    return {key: numbers(**draw(counts), conversion_value=draw(st.integers(0, 9_999))) for key in keys}
