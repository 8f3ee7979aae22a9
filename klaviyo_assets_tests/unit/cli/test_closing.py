"""What `run` says in the end, at 80 columns: no number is cut or broken."""

import io
import json
from datetime import date
from decimal import Decimal

from rich.console import Console

from klaviyo_assets.accounts import Account
from klaviyo_assets.cli.closing import document, show_where_next, stage_table, statistics_table
from klaviyo_assets.cli.pipeline import StageSum, Totals, Work

SEND = {
    "send_on": date(2026, 11, 20), "campaign_id": "c1", "name": "Black Friday, and everything that comes after it",
    "delivered": 12_345_678, "opened": 6_000_000, "clicked": Decimal(100_000),
    "conversions": Decimal("12345.000000000"), "conversion_value": Decimal("98765432.10"), "currency": "EUR",
}  # fmt: skip
ACME = Account("acme", "klaviyo_acme")


def printed_text(table, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    return console.file.getvalue()


def test_stages_show_whole_numbers():
    stages = {"extracted": StageSum(366_000, 1_234_567_890, 987_654_321_000, 12_345.6), "view": StageSum()}

    text = printed_text(stage_table(stages, failed=False))

    assert all(number in text for number in ("366,000", "1,234,567,890", "987,654,321,000", "12345.6"))
    assert "view" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_statistics_keep_their_numbers_and_cut_the_name():
    text = printed_text(statistics_table(ACME, [SEND], 80))

    assert all(number in text for number in ("Nov 20", "12,345,678", "48.6 %", "0.8 %", "12,345 ", "98,765,432.10 EUR"))
    assert "Black" in text
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_longer_where_there_is_room():
    few = SEND | {"delivered": 8, "opened": 1, "clicked": 0, "conversions": 0, "conversion_value": None}

    assert "Black Friday, and every…" in printed_text(statistics_table(ACME, [few], 100), 100)
    assert "Black Friday, and" in printed_text(statistics_table(ACME, [few], 80))


def test_what_to_do_next_can_be_copied():
    console = Console(file=io.StringIO(), width=80, color_system=None)
    show_where_next(console, "acme", local=True)

    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("  klaviyo-assets report -a acme -o report.html  ")


def test_programs_are_told_sums_accounts_and_failures():
    totals = Totals()
    totals.stages["mapped"] = StageSum(2, 100, 2_000, 1.23456)
    totals.of("acme").work = [Work(date(2026, 1, 1), date(2026, 1, 2))]
    totals.of("acme").warnings.append("1 event is dated after today.")
    totals.fail("bloom", "Postgres went away")
    totals.fail("bloom", "Postgres went away")

    printed_document = json.loads(json.dumps(document(totals)))

    assert printed_document["ok"] is False
    assert [stage["stage"] for stage in printed_document["stages"]][:3] == ["fivetran", "extracted", "mapped"]
    assert printed_document["stages"][2] == {
        "stage": "mapped",
        "partitions": 2,
        "rows": 100,
        "bytes": 2_000,
        "seconds": 1.235,
    }
    assert printed_document["accounts"][0] == {
        "account": "acme", "ok": True, "seconds": 0.0, "failures": [], "warnings": ["1 event is dated after today."],
        "days": [{"first": "2026-01-01", "last": "2026-01-02", "only_attribution": False}],
    }  # fmt: skip
    assert printed_document["accounts"][1]["failures"] == ["Postgres went away"]
    assert totals.failures == ["bloom: Postgres went away"]
