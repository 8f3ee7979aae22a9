"""Compare: `python -m klaviyo_assets_tests.peer --schema S --mode native|touch --peer-schema P`.

Here: the command line. The package has to have been run before, on the same rows, with sessions in UTC; this only
reads. Ours are the reports in BigQuery where `--dataset` names them, else the reference's.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from klaviyo_assets_tests.peer.cells import TABLES, Cells, cells_of_attribution, cells_of_reports
from klaviyo_assets_tests.peer.comparison import TOGETHER, UNEXPLAINED, Comparison
from klaviyo_assets_tests.peer.rules import RULES, WINDOWS, Rule, TiesDrawn, under
from klaviyo_assets_tests.peer.source import PeerTables, connect, raw_shop
from klaviyo_assets_tests.peer.tally import Tally
from klaviyo_assets_tests.peer.ties import drawn, find_draw
from klaviyo_assets_tests.reference import Settings

REPORTS = ("person_touch", "person_lifetime")
FIRST = ("compared", "equal")
MOST_LINES = 20
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is equal and what explains the rest; 1 where a cell is not explained."""
    options = parser().parse_args(arguments)
    with connect(options.postgres) as connection:
        shop = timed("raw rows", lambda: raw_shop(connection, options.schema))
        peers = timed("the package's tables", lambda: PeerTables(connection, options.peer_schema).cells())
    plain = Tally(shop, settings(options))
    reference = timed("the reference", lambda: of_reference(plain))
    ours = timed("our reports", lambda: of_bigquery(options.dataset)) if options.dataset else reference
    comparison = timed("the package's rules", lambda: compare(ours, peers, plain, RULES[options.mode]))
    print(f"\n{len(shop['event'])} events, {options.mode} mode")
    print(f"cells of ours that the reference has otherwise: {unlike(ours, reference)}")
    print(f"cells that the tally has otherwise than the reports: {unlike(plain.cells(), reference)}")
    show(comparison, RULES[options.mode])
    unexplained = list(comparison.unexplained())
    print(*unexplained[:MOST_LINES], sep="\n")
    return 1 if unexplained else 0


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    command_parser = argparse.ArgumentParser(
        prog="klaviyo_assets_tests.peer", description="Our cells beside the package's."
    )
    command_parser.add_argument("--schema", required=True, help="Postgres schema of the account's raw tables")
    command_parser.add_argument("--peer-schema", required=True, help="Postgres schema of the package's marts")
    command_parser.add_argument("--mode", required=True, choices=sorted(RULES))
    command_parser.add_argument(
        "--postgres", default=os.environ.get("POSTGRES_URL"), help="address; POSTGRES_URL by default"
    )
    command_parser.add_argument("--timezone", default="UTC")
    command_parser.add_argument("--currency", default="USD")
    command_parser.add_argument("--integration", help="of the conversion metric, where its name is ambiguous")
    command_parser.add_argument("--dataset", help="project.dataset that holds our reports (the sandbox's or Google's)")
    return command_parser


def settings(options: argparse.Namespace) -> Settings:
    """The account's settings; in touch mode with the package's windows."""
    stated = Settings(
        timezone=options.timezone, currency=options.currency, conversion_integration=options.integration,
        source=options.mode,
    )  # fmt: skip
    return replace(stated, windows=WINDOWS) if options.mode == "touch" else stated


def of_reference(reference: Tally) -> Cells:
    """The cells of our reports as the reference has them."""
    return cells_of_reports(*map(reference.report, REPORTS)) | cells_of_attribution(reference.attribution)


def of_bigquery(dataset: str) -> Cells:
    """The cells of our reports as BigQuery has them."""
    from klaviyo_assets.resources.bigquery import BigQueryProjectResource

    client = BigQueryProjectResource(project=dataset.partition(".")[0]).client
    touches, people, credited = (
        client.query_and_wait(f"SELECT * FROM `{dataset}.{table}`") for table in (*REPORTS, "attribution")
    )
    return cells_of_reports(touches, people) | cells_of_attribution(credited)


def compare(ours: Cells, peers: Cells, plain: Tally, rules: Sequence[Rule]) -> Comparison:
    """Both sides, the rules one by one, and all of them with the draws of their ties."""
    together = under(rules, plain.shop, plain.settings).cells()
    ties = drawn(find_draw(rules, plain.shop, plain.settings, together, peers))
    listed = (*rules, ties) if ties.switch.drawn else tuple(rules)
    alone = {rule.name: under((rule,), plain.shop, plain.settings, plain).cells() for rule in listed}
    if ties.switch.drawn:
        together = under(listed, plain.shop, plain.settings).cells()
    return Comparison(ours, peers, alone, together)


def show(comparison: Comparison, rules: Sequence[Rule]) -> None:
    """A line for each figure: a column for each table, and for a rule its defect's number and what it does."""
    figures = [comparison.figures(table) for table in TABLES]
    told = {rule.name: f"{rule.defect or '-':>4}  {rule.sentence}" for rule in rules}
    if any(figure[TiesDrawn.__name__] for figure in figures):
        told[TiesDrawn.__name__] = f"   -  {TiesDrawn.__doc__}"
    print(f"\n{'cells':24}" + "".join(f"{table:>16}" for table in TABLES))
    for name in (*FIRST, *sorted(told), TOGETHER, UNEXPLAINED):
        print(f"{name:24}" + "".join(f"{figure[name]:>16}" for figure in figures) + told.get(name, ""))


def unlike(some: Cells, others: Cells) -> int:
    """How many cells differ."""
    return sum(some.get(cell) != others.get(cell) for cell in some.keys() | others.keys())


def timed(what: str, make: Callable[[], T]) -> T:
    """Do it, and say how long it took."""
    begun = time.monotonic()
    result = make()
    print(f"{what}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
    return result


if __name__ == "__main__":
    sys.exit(main())
