"""The digest mail: one mail per day with what matters, the worst first.

Here: assembling it. Not here: reading its content (`headlines.py`, `findings.py`), its looks (`rendering.py`,
`templates/`), and when it goes out (`defs/automation/mail.py`).

An account that cannot be read is named, and the numbers of the other accounts are sent all the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.audit.anomalies import Anomaly, find_anomalies
from klaviyo_assets.errors import KlaviyoAssetsError, NotFoundError, contained
from klaviyo_assets.publishing.mail.findings import (
    DigestFinding,
    Level,
    Noted,
    quarantined,
    ui_url,
    unusual_day,
    yesterday,
)
from klaviyo_assets.publishing.mail.headlines import SOURCES, Headlines, read_headlines
from klaviyo_assets.publishing.mail.privacy import scrubbed
from klaviyo_assets.publishing.mail.rendering import rendered
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.mail.resource import Message, Picture
from klaviyo_assets.text import one_line, plural

# Mail programs cut off mails longer than 100 kB: further accounts get one line each, further findings a count.
MOST_IN_DETAIL = 5
MOST_FINDINGS = 12
MOST_DRAWN = 4
_DRAWN_WIDTH = 545


@dataclass
class Digest:
    """Everything in a digest mail.

    Attributes:
        on: The day it is sent.
        findings: What needs a look, the worst first.
        accounts: The headline numbers; the account that earned most comes first.
        notes: What is in quarantine.
        recovered: How many incidents ended in the last day.
        pictures: PNG pictures, by content id.
    """

    on: date
    findings: list[DigestFinding] = field(default_factory=list)
    accounts: list[Headlines] = field(default_factory=list)
    notes: list[Noted] = field(default_factory=list)
    recovered: int = 0
    pictures: dict[str, bytes] = field(default_factory=dict)

    @property
    def level(self) -> str:
        """`well`, `odd` or `bad`, by the worst finding."""
        if not self.findings:
            return "well"
        return "bad" if any(one.level is Level.BAD for one in self.findings) else "odd"

    @property
    def verdict(self) -> str:
        """The first line of the mail."""
        if not self.findings:
            return "All is well."
        bad = sum(one.level is Level.BAD for one in self.findings)
        odd = len(self.findings) - bad
        parts = [f"{plural(bad, 'thing')} to fix" if bad else "", f"{plural(odd, 'thing')} to look at" if odd else ""]
        return f"{' and '.join(filter(None, parts))}."

    @property
    def subject(self) -> str:
        """The subject of the mail."""
        about = self.accounts[0].account.name if len(self.accounts) == 1 else f"{len(self.accounts)} accounts"
        return f"Klaviyo, {about}, {self.on:%a %b} {self.on.day}: {self.verdict.rstrip('.').lower()}"

    def message(self) -> Message:
        """The mail."""
        html, text = rendered(
            "digest", digest=self, detailed=self.accounts[:MOST_IN_DETAIL], others=self.accounts[MOST_IN_DETAIL:],
            findings=self.findings[:MOST_FINDINGS], hidden_count=len(self.findings[MOST_FINDINGS:]), ui=ui_url(),
            anomaly_picture=anomaly_picture, revenue_picture=revenue_picture, sources=SOURCES,
        )  # fmt: skip
        pictures = tuple(Picture(name, png) for name, png in self.pictures.items() if f"cid:{name}" in html)
        return Message(self.subject, text, html, pictures)


def build_digest(
    accounts: Accounts, bigquery: BigQueryProjectResource, findings: Iterable[DigestFinding], recovered: int
) -> Digest:  # fmt: skip
    """The digest mail as of now.

    Args:
        accounts: The accounts.
        bigquery: Where the numbers are.
        findings: Findings from Dagster's records; those from the datasets are added.
        recovered: How many incidents ended in the last day.
    """
    since = datetime.now(UTC) - timedelta(days=1)
    today = max(account.today() for account in accounts.by_name.values())
    digest = Digest(today, list(findings), recovered=recovered)
    for account in accounts.by_name.values():
        _add_account(digest, account, bigquery, since)
    digest.findings.sort(key=lambda finding: finding.level)
    digest.accounts.sort(key=lambda numbers: -numbers.revenue_of_week)
    digest.pictures = dict(_pictures(digest))
    return digest


def _add_account(digest: Digest, account: Account, bigquery: BigQueryProjectResource, since: datetime) -> None:
    day = yesterday(account)
    digest.accounts.append(Headlines(account, day))
    try:
        dataset = bigquery.dataset(account)
        digest.accounts[-1] = read_headlines(dataset, account, day)
        digest.notes += quarantined(dataset, account, since)
        digest.findings += unusual_day(find_anomalies(dataset, account, [day]))
    except Exception as error:  # noqa: BLE001  one account's failure must not hide the others
        digest.findings.append(_unreadable(account, contained(error)))


def _unreadable(account: Account, error: KlaviyoAssetsError) -> DigestFinding:
    if isinstance(error, NotFoundError):
        text = (
            f"Load it with `klaviyo-assets run --account {account.name}`; its numbers will be in the next digest mail."
        )
        return DigestFinding(Level.ODD, f"{account.name}: nothing has been loaded yet", text)
    return DigestFinding(Level.BAD, f"{account.name}: numbers could not be read", scrubbed(one_line(error)[:300]))


def revenue_picture(numbers: Headlines) -> str:
    """Content id of an account's picture."""
    return f"revenue-{numbers.account.name}"


def anomaly_picture(anomaly: Anomaly) -> str:
    """Content id of an unusual number's picture."""
    return f"unusual-{anomaly.account}-{anomaly.statistic}"


def _pictures(digest: Digest) -> Iterator[tuple[str, bytes]]:
    unusual = [one.anomaly for one in digest.findings[:MOST_FINDINGS] if one.anomaly]
    for anomaly in unusual[:MOST_DRAWN]:
        yield anomaly_picture(anomaly), _drawn_anomaly(anomaly)
    for numbers in digest.accounts[:MOST_IN_DETAIL]:
        if any(value for _, _, value in numbers.revenue):
            yield revenue_picture(numbers), _drawn_revenue(numbers)


def _drawn_revenue(numbers: Headlines) -> bytes:
    import pandas as pd

    from klaviyo_assets.publishing import charts

    rows = pd.DataFrame(
        [(on, SOURCES[source], float(value)) for on, source, value in numbers.revenue],
        columns=["day", "series", "value"],
    )
    names: Sequence[str] = list(SOURCES.values())
    title = f"Revenue of {numbers.account.name} by day"
    chart: Any = charts.stacked(
        rows, series=names, title=title, unit=numbers.account.currency, width=_DRAWN_WIDTH - 50, height=140,
        is_titled=False,
    )  # fmt: skip
    return charts.png(chart)


def _drawn_anomaly(anomaly: Anomaly) -> bytes:
    import pandas as pd

    from klaviyo_assets.publishing import charts

    days = [*anomaly.history, (anomaly.day, anomaly.value)]
    rows = pd.DataFrame(days, columns=["day", "value"]).assign(low=anomaly.low, high=anomaly.high)
    rows["odd"] = rows["day"] == anomaly.day
    chart: Any = charts.history(
        rows, title=f"{anomaly.label}, {anomaly.weekday}s", unit=anomaly.unit or "count", width=_DRAWN_WIDTH - 70,
        height=90, is_titled=False,
    )  # fmt: skip
    return charts.png(chart)
