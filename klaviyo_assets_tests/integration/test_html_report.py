"""The report of a real small deployment: every number on the page is the result of the statement it names.

Two accounts of different currencies; the command and the weekly asset make the same page.
"""

import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from klaviyo_assets.publishing.html_report import make_report
from klaviyo_assets.publishing.html_report.answers import Period, rows_of
from klaviyo_assets.publishing.html_report.formatting import exact
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.stages.keys import monday_of, week_key
from klaviyo_assets_tests.integration.deployment import Deployment, environment
from klaviyo_assets_tests.page_numbers import Page

# Loading an account takes longer than everything else that is looked at here.
pytestmark = pytest.mark.slow
KEY = dg.AssetKey(["html_report", "weekly"])


@pytest.fixture(scope="module")
def dollars(deploy) -> Deployment:
    """An account in dollars, its last days loaded."""
    deployment = deploy("report_dollars", "acme", last_days=6)
    deployment.run()
    return deployment


def _read(deployments: list[Deployment], first: date, last: date) -> Page:
    with environment(deployments[0].variables):
        html_report = make_report(
            [each.account for each in deployments], {each.account.name: each.dataset for each in deployments},
            first, last,
        )  # fmt: skip
    assert (html_report.empty, html_report.broken) == ([], [])
    return Page(html_report.html)


def _differences(page: Page, deployment: Deployment, period: Period) -> list[str]:
    """The numbers of an account's part of the page that are not those of the statements, asked again."""
    rows = {name: rows_of(deployment.dataset, question, period) for name, question in QUESTIONS.items()}
    wrong = []
    for each in (each for each in page.numbers if each.account == deployment.account.name):
        wanted = rows[each.statement][each.row][each.column]
        if each.value != exact(wanted):
            wrong.append(f"{each} is not {wanted}")
        if each.read and isinstance(wanted, int | float | Decimal):
            number, step = each.read
            wrong += [] if abs(number - Decimal(str(wanted))) <= step / 2 else [f"{each} reads as {number}"]
    return wrong


def _week(deployment: Deployment) -> date:
    """The Monday of a week with events."""
    return monday_of(deployment.account.today() - timedelta(days=1))


def test_every_number_is_the_result_of_the_statement_it_names(dollars):
    """And there are many of them, of every statement that had rows."""
    last = dollars.account.today() - timedelta(days=1)
    period = Period(last - timedelta(days=2), last)
    page = _read([dollars], period.start, period.end)

    assert _differences(page, dollars, period) == []
    assert len(page.numbers) > 150
    answered = {name for name, question in QUESTIONS.items() if rows_of(dollars.dataset, question, period)}
    assert answered - {each.statement for each in page.numbers} == set()


def test_the_asset_puts_the_week_into_the_bucket_and_the_command_writes_the_same_numbers(dollars, tmp_path: Path):
    monday = _week(dollars)
    done = dollars._execute([KEY], partition_key=week_key(dollars.account.name, monday))
    key = f"{dollars.prefix}/{dollars.account.name}/html_report/week={monday}/report.html"

    assert done.success, done.failures
    published = dollars.contents()[key].decode()
    command = dollars.command(
        tmp_path, "report", "--start", str(monday), "--end", str(monday + timedelta(days=6)), "--out", "week.html"
    )
    assert command.exit_code == 0, command.output
    assert str(tmp_path / "week.html") in command.stdout
    written = (tmp_path / "week.html").read_text()
    assert Page(written).numbers == Page(published).numbers

    materialized = dollars.instance.get_latest_materialization_event(KEY).asset_materialization
    metadata = {name: value.value for name, value in materialized.metadata.items()}
    assert materialized.partition == week_key(dollars.account.name, monday)
    assert metadata["dagster/uri"] == f"s3://klaviyo/{key}"
    assert (metadata["bytes"], metadata["has_data"], metadata["adds_up"]) == (len(published.encode()), True, True)


def test_a_week_that_cannot_be_made_fails_by_name_and_the_others_are_made(dollars, monkeypatch):
    """Of a range of weeks, one page cannot be put into the bucket."""
    monday = _week(dollars)
    before = monday - timedelta(days=7)
    # Another account began earlier, so there is a partition of the week before.
    monkeypatch.setattr(dollars, "first_day", before)
    archive = dollars.archive
    keys = [week_key(dollars.account.name, each) for each in (before, monday)]
    first, last = ({"dagster/asset_partition_range_start": keys[0]}, {"dagster/asset_partition_range_end": keys[1]})
    publish = type(archive).publish

    def refused(self, account, name, week, *rest):
        bucket = "no-such-bucket" if week == str(before) else self.bucket
        return publish(type(self)(self.client, bucket, self.prefix), account, name, week, *rest)

    monkeypatch.setattr(type(archive), "publish", refused)
    done = dollars._execute([KEY], tags=first | last)

    assert not done.success
    assert done.materialized == [("html_report/weekly", keys[1])]
    assert "1 of 2 partition(s) failed, the others are done" in done.failures[0]
    assert keys[0] in done.failures[0]


def test_nobody_is_on_the_page(dollars):
    """No address, no id of a person, and no domain that few have."""
    last = dollars.account.today() - timedelta(days=1)
    html = _read([dollars], last - timedelta(days=5), last).html
    people = [row[0] for row in dollars.query("SELECT person_id FROM person")]
    fields = [json.dumps(value)[1:-1] for row in dollars.raw("SELECT email, phone_number FROM {}.person")
              for value in row if value]  # fmt: skip

    assert len(people) > 10
    assert not [each for each in (*people, *fields) if each in html]
    assert "@" not in html.split("<main")[1].split('class="making"')[0]


def test_an_account_that_was_never_loaded_has_a_page_that_says_so(deploy, tmp_path: Path):
    empty = deploy("report_empty", "acme", last_days=1)
    done = empty.command(tmp_path, "report", "--out", "empty.html")

    assert done.exit_code == 0
    assert "There is nothing to show for report_empty" in done.stderr
    assert "Nothing has been loaded for report_empty yet." in (tmp_path / "empty.html").read_text()


def test_two_accounts_of_different_currencies_have_their_own_numbers(dollars, deploy):
    euros = deploy("report_euros", "bloom")
    euros.run()
    last = euros.account.today() - timedelta(days=2)
    period = Period(last - timedelta(days=4), last)
    page = _read([dollars, euros], period.start, period.end)

    assert [_differences(page, each, period) for each in (dollars, euros)] == [[], []]
    money = {each.account: each.text[0] for each in page.of("headline", "conversion_value")}
    assert money == {"report_dollars": "$", "report_euros": "\N{EURO SIGN}"}
