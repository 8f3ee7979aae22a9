"""How work is shown: the time left, the bars, and what is left of them when piped."""

import io
import time

import pytest
from rich.console import Console

from klaviyo_assets.cli.pace import Pace
from klaviyo_assets.cli.progress import Part, Progress, Task, duration

STAGES = {"extracted": 1_000, "mapped": 2_000}


def terminal(**options) -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, force_interactive=True, **options)


def text_of(console: Console) -> str:
    return console.file.getvalue()


def lines(renderable) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(renderable)
    return text_of(console).splitlines()


def test_the_time_left_is_unknown_until_some_pieces_were_seen():
    pace = Pace()
    pace.learn("mapped", 1)

    assert pace.left({"mapped": 10}) is None


def test_the_time_left_follows_what_pieces_took():
    pace = Pace()
    for _ in range(4):
        pace.learn("mapped", 0.5)

    assert pace.left({"mapped": 10}) == pytest.approx(5)
    assert pace.left({"mapped": 0}) == 0


def test_parts_not_seen_yet_take_their_usual_share():
    pace = Pace({"extracted": 1, "bigquery": 4})
    for _ in range(3):
        pace.learn("extracted", 0.5)

    assert pace.left({"extracted": 2, "bigquery": 10}) == pytest.approx(2 * 0.5 + 10 * 2)


@pytest.mark.parametrize(("seconds", "text"), [
    (0, "0.0 s"), (4.24, "4.2 s"), (42.4, "42 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (59.6, "1 min 0 s"),
])  # fmt: skip
def test_durations_are_said_as_people_do(seconds, text):
    assert duration(seconds) == text


def test_the_bars_of_a_large_run_fit_into_80_columns():
    task = Task("acme: events of 2020-01-01 to 2026-12-31", {name: Part(5_114) for name in ("s3_archive", "bigquery")})
    task.parts["s3_archive"] = Part(5_114, 5_114, 1_234_567_890, 987_654_321_000)
    for _ in range(3):
        task.pace.learn("s3_archive", 0.5)

    bar_lines = lines(task)

    assert len(bar_lines) == 3
    assert max(map(len, bar_lines)) <= 80
    assert bar_lines[0].startswith("acme: events of 2020-01-01 to 2026-12-31  0.0 s, about ")
    assert "5,114/5,114" in bar_lines[1]
    assert "1,234,567,890 rows" not in bar_lines[1] or "987.7 GB" in bar_lines[1]
    assert "0/5,114" in bar_lines[2]


def test_pieces_that_will_not_come_are_not_waited_for():
    task = Task("acme: 26 account tables", {name: Part(26) for name in STAGES})
    for _ in range(3):
        task.advance("extracted", rows=10, size=1_000)
    task.complete("extracted")

    assert (task.parts["extracted"].done, task.parts["extracted"].remaining) == (3, 0)
    assert task.parts["mapped"].remaining == 26
    assert "3/3" in lines(task)[1]


def test_the_time_before_a_step_is_not_the_pieces(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    task = Task("acme", {"mapped": Part(10)}, began=40.0, _moved=40.0)
    task.begin()
    for _ in range(3):
        task.advance("mapped")

    assert task.left == 0


def test_every_row_is_counted_once_though_all_stages_handle_it():
    task = Task("acme", {name: Part(2) for name in STAGES})
    for stage in STAGES:
        task.advance(stage, rows=1_500, size=2_000_000)

    assert task.summary.startswith("acme: 1,500 rows, 2.0 MB (")


def test_steps_are_done_when_the_next_begins():
    task = Task("acme", {"steps": Part(4)})
    for doing in ("counting in Postgres", "counting in BigQuery", "comparing reports"):
        task.step(doing)

    assert task.parts["steps"].done == 2
    assert lines(task)[0].startswith("acme: comparing reports")


def test_on_a_terminal_bars_are_drawn_and_a_line_stays():
    console = terminal()
    with Progress(console).task("acme: days", {"mapped": 2}) as task:
        task.advance("mapped", rows=5)

    assert "━" in text_of(console)
    assert text_of(console).rstrip().endswith("acme: days: 5 rows (0.0 s)")


def test_piped_there_is_a_plain_line_and_nothing_else():
    console = Console(file=io.StringIO(), width=240)
    progress = Progress(console)
    with progress.task("acme: days", {"mapped": 2}) as task:
        task.advance("mapped", rows=1_234, size=5_000)
    with progress.task("acme: sync", stays=False):
        pass
    progress.note("acme: new rows")

    assert text_of(console).splitlines() == ["acme: days: 1,234 rows, 5.0 kB (0.0 s)", "acme: new rows"]


def test_where_nothing_may_move_nothing_does():
    """A dumb terminal, or colors that were forced into a pipe."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, force_interactive=False)
    with Progress(console).task("acme: days", {"mapped": 2}):
        pass

    assert "━" not in text_of(console)


def test_colors_are_taken_away_when_asked(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal(color_system="256")
    console.print(Task("acme", {"mapped": Part(2, 1)}))

    assert "━" in text_of(console)
    assert "\x1b[3" not in text_of(console)


def test_a_task_that_is_stopped_leaves_no_line():
    console = Console(file=io.StringIO(), width=80)
    with pytest.raises(KeyboardInterrupt), Progress(console).task("acme: days"):
        raise KeyboardInterrupt

    assert text_of(console) == ""
