"""The reference's events and credits, added up to the cells that the package has.

Here: counting by person and touch, by touch, and by person. Not here: who earned what (the reference), the package's
rules (`rules.py`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from klaviyo_assets_tests.peer.cells import COUNTED, PERSON, PERSON_TOUCH, TOUCH, Cell, Cells, cells_of_attribution
from klaviyo_assets_tests.reference import Reference, metrics
from klaviyo_assets_tests.reference.attribution import has_message


@dataclass(frozen=True)
class Share:
    """What a touch earned of an event, or the event of a message itself; `variation_id` is the event's own."""

    person_id: str | None
    touch: tuple[str | None, str | None]
    variation_id: str | None
    metric: str | None
    at: datetime
    weight: Decimal
    value: Decimal | None


class Tally(Reference):
    """The reference, counting what the package counts; each thing that the package does otherwise has a method."""

    reads_alike = True
    """Whether a row says the same as without the rules that are switched on."""

    def take_over(self, other: "Tally") -> None:
        """Take over the events of another one of the same rows, so that they are read once."""
        self.__dict__["events_by_id"] = other.events_by_id
        self.rows_by_person = other.rows_by_person

    def cells(self) -> Cells:
        """Every cell that both have."""
        shares = list(self.shares())
        cells = self.tally([(PERSON_TOUCH, (share.person_id, *share.touch), share) for share in shares])
        everything = (self.share(event, event, Decimal(1), event["value"]) for event in self.events)
        reported_shares = [share for share in everything if self.is_reported((share.person_id,))]
        cells |= self.tally([(PERSON, (share.person_id,), share) for share in reported_shares])
        cells |= self.people_of_touches(shares) | cells_of_attribution(self.attribution)
        return {cell: value for cell, value in cells.items() if value}

    def shares(self) -> Iterator[Share]:
        """Events of messages under their own campaign or flow, all others under what earned them."""
        for event in self.events:
            if event["metric"] in metrics.OF_MESSAGES and has_message(event):
                yield self.share(event, event, Decimal(1), event["value"])
        for credit in self.attribution:
            yield self.share(self.events_by_id[credit["event_id"]], credit, credit["weight"], credit["value"])

    def share(self, event: Mapping[str, Any], ids: Mapping[str, Any], weight: Decimal, value: Decimal | None) -> Share:
        """One share; amounts in another currency than the account's are not added."""
        is_own = event["currency"] in (None, self.settings.currency)
        return Share(
            event["person_id"], (ids["campaign_id"], ids["flow_id"]), event["variation_id"], event["metric"],
            event["occurred_at"], weight, value if is_own else None,
        )  # fmt: skip

    def tally(self, shares: list[tuple[str, tuple[str | None, ...], Share]]) -> Cells:
        """Shares counted and added up, each in its table and row."""
        sums: dict[Cell, Decimal] = defaultdict(Decimal)
        times: dict[Cell, datetime] = {}
        for table, row, share in shares:
            if share.metric in COUNTED:
                sums[Cell(table, row, f"count {share.metric}")] += share.weight
            if share.metric in metrics.VALUED and share.value is not None:
                sums[Cell(table, row, f"revenue {share.metric}")] += self.revenue(share.value)
                if table == PERSON_TOUCH:
                    sums[Cell(table, row, f"value {share.metric}")] += share.value
            for column, choose in (("first event", min), ("last event", max)):
                cell = Cell(table, row, column)
                times[cell] = choose(times.get(cell, share.at), share.at)
        return {**sums, **times}

    def people_of_touches(self, shares: list[Share]) -> Cells:
        """Who did what, by campaign or flow: the same person once."""
        seen = {
            (Cell(TOUCH, share.touch, column), self.who(share))
            for share in shares if self.is_reported(share.touch)
            for column in ("people", f"people {share.metric}")
            if self.is_someone(share, column) and (column == "people" or share.metric in COUNTED)
        }  # fmt: skip
        cell_counts: dict[Cell, Decimal] = defaultdict(Decimal)
        for cell, _who in seen:
            cell_counts[cell] += 1
        return {**cell_counts}

    def revenue(self, value: Decimal) -> Decimal:
        """An amount as it is added up."""
        return value

    def who(self, share: Share) -> tuple[str | None, ...]:
        """What makes two people one."""
        return (share.person_id,)

    def is_someone(self, share: Share, column: str) -> bool:
        """Events that nobody is known for are nobody's."""
        return share.person_id is not None

    def is_reported(self, row: tuple[str | None, ...]) -> bool:
        """Whether a person, or a campaign or flow, has a row; those that were deleted keep what they did."""
        return any(part is not None for part in row)
