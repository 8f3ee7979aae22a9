"""The HTML report: one file that contains everything it shows, for one account or several.

Here: assembling sections, style, script and statements into one page. Not here: numbers (`questions.py`, `sections/`)
and where the page goes (`cli/report.py`, `defs/assets/html_report.py`).
"""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.publishing import charts
from klaviyo_assets.publishing.html_report.answers import Answers, Period, ask
from klaviyo_assets.publishing.html_report.figures import Section
from klaviyo_assets.publishing.html_report.formatting import instant
from klaviyo_assets.publishing.html_report.questions import QUESTIONS
from klaviyo_assets.publishing.html_report.sections import accounts as side_by_side
from klaviyo_assets.publishing.html_report.sections.audience import deliverability, list_growth
from klaviyo_assets.publishing.html_report.sections.comparisons import machine_opens, subject_lines
from klaviyo_assets.publishing.html_report.sections.headline import headline
from klaviyo_assets.publishing.html_report.sections.messages import campaigns, flows, funnel
from klaviyo_assets.publishing.html_report.sections.revenue import revenue
from klaviyo_assets.publishing.html_report.sections.standing import Standing, nothing, standing, warnings

if TYPE_CHECKING:
    from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset

# In the order of the page.
SECTIONS: tuple[Callable[[Answers], Section], ...] = (
    headline, revenue, funnel, campaigns, subject_lines, flows, machine_opens, list_growth, deliverability,
)  # fmt: skip


@dataclass(frozen=True)
class AccountPage:
    """One account's part of the page.

    Attributes:
        name: The account.
        dataset: The dataset of its numbers.
        currency: The currency of its amounts.
        timezone: The time zone of its days.
        sections: Its figures; none if there is nothing to show.
        warnings: What to know before reading.
        nothing: Why there is nothing to show; empty if there is something.
        standing: Freshness and reconciliation.
    """

    name: str
    dataset: str
    currency: str
    timezone: str
    sections: Sequence[Section]
    warnings: Sequence[str]
    nothing: str
    standing: Standing


@dataclass(frozen=True)
class Report:
    """An HTML report, and what is worth knowing about it.

    Attributes:
        html: The whole page.
        figures: How many figures it has.
        empty: Accounts with nothing to show.
        broken: Accounts whose reports do not add up to their events.
    """

    html: str
    figures: int
    empty: Sequence[str]
    broken: Sequence[str]


def build_report(accounts: Sequence[Account], datasets: Mapping[str, "BigQueryDataset"], start: date, end: date) -> str:
    """The HTML report as one self-contained page.

    Args:
        accounts: The accounts, in the order of the page.
        datasets: The dataset of each account, by its name; only read.
        start: First day, a calendar day of each account's time zone.
        end: Last day, inclusive.

    Raises:
        SettingsError: the first day is after the last.
        TransientError: BigQuery could not be reached.
        PermanentError: BigQuery refused a statement.
    """
    return make_report(accounts, datasets, start, end).html


def make_report(
    accounts: Sequence[Account], datasets: Mapping[str, "BigQueryDataset"], start: date, end: date,
    say: Callable[[str], None] = lambda _: None,
) -> Report:  # fmt: skip
    """Like `build_report`, with facts for the command and the asset; `say` is called with each step."""
    period = Period(start, end)
    answered = []
    for account in accounts:
        say(f"asking BigQuery about {account.name}")
        answered.append(ask(account, datasets[account.name], period))
    say("drawing")
    return render_report(answered, {name: dataset.qualified for name, dataset in datasets.items()}, period)


def render_report(answered: Sequence[Answers], places: Mapping[str, str], period: Period) -> Report:
    """The page of BigQuery's answers.

    Args:
        answered: The answers for each account, in the order of the page.
        places: `project.dataset` of each account, by its name.
        period: The days.
    """
    pages = [_page(answers, places[answers.account.name]) for answers in answered]
    html = _rendered(pages, answered, period)
    return Report(
        html=html, figures=sum(len(section.figures) for page in pages for section in page.sections),
        empty=[page.name for page in pages if page.nothing],
        broken=[page.name for page in pages if page.standing.is_whole is False],
    )  # fmt: skip


def _page(answers: Answers, dataset: str) -> AccountPage:
    return AccountPage(
        name=answers.account.name, dataset=dataset, currency=answers.currency, timezone=answers.account.timezone,
        sections=[section(answers) for section in SECTIONS] if answers.has_data else (),
        warnings=warnings(answers) if answers.has_data else (),
        nothing="" if answers.has_data else nothing(answers), standing=standing(answers),
    )  # fmt: skip


def _rendered(pages: Sequence[AccountPage], answered: Sequence[Answers], period: Period) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("klaviyo_assets.publishing.html_report", "."), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    script = _file("page.js")
    values: dict[str, Any] = {
        "pages": pages,
        "account_lines": side_by_side.account_lines(answered) if len(pages) > 1 else [],
        "headings": side_by_side.HEADINGS,
        "has_currencies": side_by_side.has_currencies(answered),
        "period": period,
        "questions": QUESTIONS.values(),
        "made_at": f"{instant(datetime.now(UTC))} UTC",
        "version": version("klaviyo-assets"),
        "style": charts.STYLE + _file("page.css"),
        "script": script,
        # Nothing is loaded from anywhere, and no script runs but the page's own.
        "policy": f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'",
    }
    return environment.get_template("page.html.j2").render(values)


def _file(name: str) -> str:
    return (files("klaviyo_assets.publishing.html_report") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
