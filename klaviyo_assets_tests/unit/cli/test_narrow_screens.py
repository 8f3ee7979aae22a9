"""Tables at 80 columns: what may be long is folded, and no number, time or state is cut or broken."""

import io
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from rich.console import Console

from klaviyo_assets.cli import sandbox
from klaviyo_assets.cli.connections import connections_table
from klaviyo_assets.cli.extract import _summary
from klaviyo_assets.cli.extract_files import Written
from klaviyo_assets.resources.fivetran.models import Connection, Group

WIDTH = 80


def printed_text(table) -> str:
    console = Console(file=io.StringIO(), width=WIDTH, color_system=None)
    console.print(table)
    return console.file.getvalue()


def test_connections_are_readable():
    long = Connection(
        "speak_menial",
        "klaviyo",
        "klaviyo_of_a_rather_long_name",
        "g",
        succeeded_at=datetime(2026, 3, 1, 4, 5, tzinfo=UTC),
    )

    text = printed_text(connections_table([(Group("g", "Warehouse of the whole group"), long)]))

    assert max(map(len, text.splitlines())) <= WIDTH
    assert "2026-03-01 04:05" in text
    assert "scheduled" in text
    assert "…" not in text


def test_files_are_readable():
    path = Path("a/rather/long/folder/for/all/that/is/extracted/acme/event/2026-01-01.parquet")
    files = [Written("acme", "event", date(2026, 1, 1), path, 1_234_567_890, 123_456_789_012)] * 2

    text = printed_text(_summary(files))

    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(number in text for number in ("1,234,567,890", "123,456,789,012", "2,469,135,780", "246,913,578,024"))
    assert "…" not in text


def test_servers_are_readable(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    address = "postgresql://reporting@127.0.0.1:18367/klaviyo"
    row = {
        "name": "postgres",
        "state": "running",
        "address": address,
        "pid": 1234567,
        "data": Path("/var/lib/of/it/data"),
    }

    sandbox._print_table([row])

    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "1234567" in text
    assert "…" not in text


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_without_a_terminal_forced_colors_are_there_and_nothing_moves(monkeypatch, stream):
    from klaviyo_assets.cli.console import console, notes

    monkeypatch.setenv("FORCE_COLOR", "1")
    stream_console = console() if stream == "stdout" else notes()

    assert not stream_console.is_interactive
    assert stream_console.width > WIDTH
