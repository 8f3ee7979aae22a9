"""Which event a session began with where several happened in one second: the package's order leaves it to chance.

Here: finding the draw that gives the package's cells, by trying every one that was possible. Not here: what a draw
does (`rules.TiesDrawn`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice, product

from klaviyo_assets_tests.peer.cells import PERSON_TOUCH, Cells
from klaviyo_assets_tests.peer.rules import Rule, TiesDrawn, under
from klaviyo_assets_tests.peer.tally import Tally
from klaviyo_assets_tests.reference import Settings, Shop

MOST_DRAWS = 4_000
Draw = dict[str, str]


def drawn(draw: Draw) -> Rule:
    """The rule of ties with a certain draw."""
    return Rule(0, type("TiesDrawn", (TiesDrawn,), {"drawn": draw, "__doc__": TiesDrawn.__doc__}))


def find_draw(rules: Sequence[Rule], shop: Shop, settings: Settings, together: Cells, peers: Cells) -> Draw:
    """What was drawn in the ties of those people whose cells the rules do not give otherwise.

    Args:
        rules: The package's rules.
        shop: The account's raw rows.
        settings: The account's settings.
        together: The reference's cells under the rules.
        peers: The package's cells.

    Returns:
        Touch id -> id of the event drawn in its place; without those people for whom no draw gives the cells.
    """
    cells = [cell for cell in together.keys() | peers.keys() if cell.table == PERSON_TOUCH]
    unlike = {cell.row[0] for cell in cells if together.get(cell) != peers.get(cell)}
    joint_draw: Draw = {}
    for person in unlike:
        own = Shop({**shop.tables, "event": [row for row in shop["event"] if row.get("person_id") == person]})
        wanted = of_person(peers, person)
        read = under(rules, own, settings)
        draws = islice(possible_draws(read), MOST_DRAWS)
        fitting = (draw for draw in draws if of_person(cells_under(rules, draw, read), person) == wanted)
        joint_draw |= next(fitting, {})
    return joint_draw


def cells_under(rules: Sequence[Rule], draw: Draw, read: Tally) -> Cells:
    """The cells of rows that were read under the rules, with a draw."""
    tally = under((*rules, drawn(draw)), read.shop, read.settings)
    tally.take_over(read)
    return tally.cells()


def of_person(cells: Cells, person: str | None) -> Cells:
    """A person's cells of campaigns and flows."""
    return {cell: value for cell, value in cells.items() if cell.table == PERSON_TOUCH and cell.row[0] == person}


def possible_draws(read: Tally) -> Iterator[Draw]:
    """Every draw there may have been, those with few surprises first."""
    at_once = defaultdict(list)
    for event in read.events_by_id.values():
        at_once[event["occurred_at"]].append(event["event_id"])
    touches = [touch for touches in read.touches.values() for touch in touches]
    tied = {touch["event_id"]: at_once[touch["occurred_at"]] for touch in touches}
    choices = {touch: events for touch, events in tied.items() if len(events) > 1}
    yield from ({touch: event} for touch, events in choices.items() for event in events if event != touch)
    yield from (dict(zip(choices, chosen, strict=True)) for chosen in product(*choices.values()))
