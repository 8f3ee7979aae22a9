"""Statistics over the facts of one row: plain counts, distinct people and sends, sums, rates.

Here: formulas, written out from the definitions of the statistics. Not here: which facts make a row (`reports.py`).
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from klaviyo_assets_tests.reference import metrics
from klaviyo_assets_tests.reference.rows import Row

EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
PLACES = Decimal("1e-9")


class Counting:
    """The statistics of a row, by the facts it is made of."""

    def counts(self, facts: list[Row]) -> Row:
        """What both date bases and the lifetime of messages share."""
        of = by_fact(facts)
        return self.message_counts(of) | self.conversions(of) | self.people(of) | self.text_messages(of)

    def message_counts(self, of: dict[Any, list[Row]]) -> Row:
        """Numbers of events of messages."""
        return {
            "recipients": len(of["received"]) + len(of["bounced"]) + len(of["failed"]),
            "delivered": len(of["received"]),
            "bounced": len(of["bounced"]),
            "failed": len(of["failed"]),
            "bounced_or_failed": len(of["bounced"]) + len(of["failed"]),
            "dropped": len(of["dropped"]),
            "opens": len(of["opened"]),
            "opens_excl_machine": len(by_hand(of["opened"])),
            "clicks": len(of["clicked"]),
            "clicks_excl_bot": len(by_hand(of["clicked"])),
            "unsubscribes": len(of["unsubscribed"]),
            "spam_complaints": len(of["spam"]),
        }

    def conversions(self, of: dict[Any, list[Row]]) -> Row:
        """What messages earned, in the account's currency; conversions in another one are counted apart."""
        return {
            "conversions": weights(of["converted"]),
            "conversion_value": values(of["converted"]),
            "conversions_other_currency": weights(of["converted_other_currency"]),
        }

    def unattributed(self, of: dict[Any, list[Row]]) -> Row:
        """What no message earned."""
        return {
            "conversions_unattributed": weights(of["unattributed"]),
            "conversion_value_unattributed": values(of["unattributed"]),
            "conversions_unattributed_other_currency": weights(of["unattributed_other_currency"]),
        }

    def people(self, of: dict[Any, list[Row]]) -> Row:
        """Distinct known people."""
        return {
            "opens_unique": people(of["opened"]),
            "opens_unique_excl_machine": people(by_hand(of["opened"])),
            "clicks_unique": people(of["clicked"]),
            "clicks_unique_excl_bot": people(by_hand(of["clicked"])),
            "unsubscribe_uniques": people(of["unsubscribed"]),
            "conversion_uniques": people(of["converted"]),
        }

    def text_messages(self, of: dict[Any, list[Row]]) -> Row:
        """What text messages used and cost; null where no delivered message says it."""
        return {
            "message_segment_count_sum": stated(of["received"], "segment_count"),
            "text_message_credit_usage_amount": stated(of["received"], "credit_usage"),
            "text_message_spend": stated(of["received"], "spend"),
        }

    def of_sends(self, row: Row, facts: list[Row]) -> Row:
        """What only rows about the same sends have: counts of sends, and rates."""
        of = by_fact(facts)
        return {
            "sends_opened": sends(of["opened"]),
            "sends_opened_excl_machine": sends(by_hand(of["opened"])),
            "sends_clicked": sends(of["clicked"]),
            "sends_clicked_excl_bot": sends(by_hand(of["clicked"])),
            "sends_converted": sends(of["converted"]),
            **self.rates(row),
            **self.money_rates(row),
        }

    def rates(self, row: Row) -> Row:
        """Fractions of counts."""
        delivered, recipients = row["delivered"], row["recipients"]
        return {
            "delivery_rate": rate(delivered, recipients),
            "bounce_rate": rate(row["bounced"], recipients),
            "failed_rate": rate(row["failed"], recipients),
            "bounced_or_failed_rate": rate(row["bounced_or_failed"], recipients),
            "open_rate": rate(row["opens_unique"], delivered),
            "open_rate_excl_machine": rate(row["opens_unique_excl_machine"], delivered),
            "click_rate": rate(row["clicks_unique"], delivered),
            "click_rate_excl_bot": rate(row["clicks_unique_excl_bot"], delivered),
            "click_to_open_rate": rate(row["clicks_unique"], row["opens_unique"]),
            "click_to_open_rate_excl_machine": rate(row["clicks_unique_excl_bot"], row["opens_unique_excl_machine"]),
            "unsubscribe_rate": rate(row["unsubscribe_uniques"], delivered),
            "spam_complaint_rate": rate(row["spam_complaints"], delivered),
            "conversion_rate": rate(row["conversion_uniques"], delivered),
        }

    def money_rates(self, row: Row) -> Row:
        """Money per something."""
        earned = row["conversion_value"]
        return {
            "average_order_value": quotient(earned, row["conversions"]),
            "revenue_per_recipient": quotient(earned, Decimal(row["delivered"])),
            "text_message_roi": quotient(earned, row["text_message_spend"]),
        }

    def metric_events(self, facts: list[Row], names: Iterable[str]) -> Row:
        """`<metric>_events`: how many, shared ones in parts."""
        of = by_metric(facts)
        return {f"{metrics.column(name)}_events": weights(of[name]) for name in names}

    def metric_people(self, facts: list[Row], names: Iterable[str]) -> Row:
        """`<metric>_people`: distinct known people."""
        of = by_metric(facts)
        return {f"{metrics.column(name)}_people": people(of[name]) for name in names}

    def metric_values(self, facts: list[Row]) -> Row:
        """`<metric>_value`: what is in the account's currency."""
        of = by_metric([fact for fact in facts if fact["is_own_currency"]])
        return {f"{metrics.column(name)}_value": values(of[name]) for name in metrics.VALUED}


def by_fact(facts: Iterable[Row]) -> dict[Any, list[Row]]:
    """Facts by what they say."""
    grouped_facts = defaultdict(list)
    for fact in facts:
        grouped_facts[fact["fact"]].append(fact)
    return grouped_facts


def by_metric(facts: Iterable[Row]) -> dict[Any, list[Row]]:
    """Facts by the metric of their event."""
    grouped_facts = defaultdict(list)
    for fact in facts:
        grouped_facts[fact["metric"]].append(fact)
    return grouped_facts


def by_hand(facts: list[Row]) -> list[Row]:
    """Opens and clicks that no machine is suspected of."""
    return [fact for fact in facts if not fact["is_machine"]]


def people(facts: list[Row]) -> int:
    """Distinct known people."""
    return len({fact["person_id"] for fact in facts} - {None})


def sends(facts: list[Row]) -> int:
    """Distinct sends to known people: person, message, variation and time of the send."""
    return len({
        (fact["person_id"], fact["message_id"], fact["variation_id"], fact["send_at"])
        for fact in facts if fact["person_id"] is not None
    })  # fmt: skip


def weights(facts: list[Row]) -> Decimal:
    """Sum of shares."""
    return exact_sum(fact["weight"] for fact in facts)


def values(facts: list[Row]) -> Decimal:
    """Sum of money."""
    return exact_sum(fact["value"] for fact in facts)


def stated(facts: list[Row], measure: str) -> Decimal | None:
    """Sum of a measure; null where nothing states it."""
    values = [fact[measure] for fact in facts if fact[measure] is not None]
    return exact_sum(values) if values else None


def exact_sum(amounts: Iterable[Any]) -> Decimal:
    """A sum of up to 80 digits; what is missing adds nothing."""
    total = Decimal(0)
    for amount in amounts:
        if amount:
            total = EXACT.add(total, amount)
    return total


def rate(above: Decimal | int, below: Decimal | int) -> float | None:
    """A fraction; null over nothing."""
    return above / below if below else None


def quotient(above: Decimal, below: Decimal | None) -> Decimal | None:
    """Money per something with nine decimals, halves away from zero; null over nothing."""
    return EXACT.divide(above, below).quantize(PLACES, context=EXACT) if below else None
