"""Our cells beside the package's: which are equal, and which rule of the package makes the others what they are.

Here: comparing and explaining. Not here: where the cells come from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from klaviyo_assets_tests.peer.cells import Cell, Cells

TOGETHER, UNEXPLAINED = "several rules together", "unexplained"


@dataclass
class Comparison:
    """Two sets of cells and what explains their differences.

    Attributes:
        ours: Our cells.
        peers: The package's.
        alone: Name of a rule -> the reference's cells with that rule alone.
        together: The reference's cells with all rules: what the package has to have.
    """

    ours: Cells
    peers: Cells
    alone: Mapping[str, Cells]
    together: Cells
    reasons: dict[Cell, str] = field(init=False)

    def __post_init__(self) -> None:
        """Explain every cell that differs, or that the rules together do not give."""
        self.reasons = {cell: self.reason(cell) for cell in self.compared if not self.is_equal(cell)}

    @property
    def compared(self) -> set[Cell]:
        """Every cell that either side has."""
        return self.ours.keys() | self.peers.keys()

    def is_equal(self, cell: Cell) -> bool:
        """Whether both sides say the same, as the package's rules expect here."""
        wanted = self.peers.get(cell)
        return self.ours.get(cell) == wanted == self.together.get(cell)

    def reason(self, cell: Cell) -> str:
        """The first rule that alone gives the package's cell; else all of them, or none."""
        wanted = self.peers.get(cell)
        if self.together.get(cell) != wanted:
            return UNEXPLAINED
        return next((name for name, cells in self.alone.items() if cells.get(cell) == wanted), TOGETHER)

    def figures(self, table: str) -> Counter[str]:
        """Cells compared and equal in a table, and the differing ones by what explains them."""
        cells = [cell for cell in self.compared if cell.table == table]
        figures = Counter({"compared": len(cells), "equal": sum(cell not in self.reasons for cell in cells)})
        figures.update(self.reasons[cell] for cell in cells if cell in self.reasons)
        return figures

    def unexplained(self) -> Iterator[str]:
        """Each cell that nothing explains: ours, theirs, and what the rules together give."""
        for cell in sorted((cell for cell, why in self.reasons.items() if why == UNEXPLAINED), key=repr):
            sides = (self.ours.get(cell), self.peers.get(cell), self.together.get(cell))
            yield f"{cell.table} {cell.row} {cell.column}: ours {sides[0]}, theirs {sides[1]}, by its rules {sides[2]}"
