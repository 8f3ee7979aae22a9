"""The link that opens a report in Looker Studio over an account's views: an address of its Linking API.

Here: the address. Not here: the project and the template (settings, which the caller reads), and opening anything.

With a template the report's pages are copied, and each of its data sources is pointed at the view whose name is its
alias. `refreshFields=false` keeps the template's types, formats and calculated fields. Without a template Looker
Studio starts an empty report, and takes one data source for it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS, TITLES

ADDRESS = "https://lookerstudio.google.com/reporting/create"
# What every server and browser has to accept (RFC 9110, 4.1).
MAX_LENGTH = 8000
# The view that an empty report starts with: its numbers are those of Klaviyo's own pages.
FIRST_VIEW = "looker_campaign_by_send_date"
# Types, formats and calculated fields of the template's data sources stay as they are.
_KEPT = (("refreshFields", "false"),)
_TEMPLATE_ID = r"[A-Za-z0-9_-]{8,}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data source of a report: a BigQuery view.

    Attributes:
        alias: Its name in the template: the name of the view.
        title: What users read.
        project: Google Cloud project.
        dataset: The dataset's id, without the project.
        table: The view.
    """

    alias: str
    title: str
    project: str
    dataset: str
    table: str


def sources(dataset: str, owner: str) -> tuple[Source, ...]:
    """One data source per view that Looker Studio reads.

    Args:
        dataset: `project.dataset` that holds the views.
        owner: The account's name, for titles.

    Raises:
        PermanentError: `dataset` is not `project.dataset`.
    """
    project, _, schema = dataset.rpartition(".")
    if not (project and schema):
        raise PermanentError(f"cannot link to the dataset {dataset!r}", "Write the dataset as `project.dataset`.")
    return tuple(
        Source(alias=name, title=f"{TITLES[name]} ({owner})", project=project, dataset=schema, table=name)
        for name in LOOKER_VIEWS
    )


def report_name(owner: str) -> str:
    """What the new report of an account, or of the portfolio, is called."""
    return f"Klaviyo: {owner}"


def first_of(data: Sequence[Source]) -> Source:
    """The data source that an empty report starts with."""
    return next((source for source in data if source.alias == FIRST_VIEW), data[0])


def template_id(text: str) -> str:
    """The id of a template from an id, or from the address of its page.

    Raises:
        SettingsError: the text is neither.
    """
    match = re.search(rf"/reporting/({_TEMPLATE_ID})", text) or re.fullmatch(rf"\s*({_TEMPLATE_ID})\s*", text)
    if not match:
        raise SettingsError(
            f"{text!r} is not a Looker Studio template",
            "Give the id in its address, the part after /reporting/; docs/looker_studio.md explains how to create one.",
        )
    return match[1]


def looker_link(data: Sequence[Source], name: str, template: str = "") -> str:
    """The address that opens a report over data sources.

    Args:
        data: The data sources; without a template only `FIRST_VIEW`, or else the first of them, is linked.
        name: What the new report is called.
        template: Id of the template; empty for an empty report.

    Raises:
        PermanentError: the address would be longer than browsers have to take.
    """
    about = [("r.reportName", name)]
    if not template:
        return _address([*about, *_single(first_of(data))])
    about.insert(0, ("c.reportId", template))
    full = _encoded([*about, *(pair for source in data for pair in _of_alias(source))])
    return full if len(full) <= MAX_LENGTH else _address([*about, *_shared(data)])


def _of_alias(source: Source) -> Iterator[tuple[str, str]]:
    yield from ((f"ds.{source.alias}.{name}", value) for name, value in (*_settings(source), *_KEPT))


def _single(source: Source) -> Iterator[tuple[str, str]]:
    # An empty report has one data source, so it needs no alias, and there are no fields to keep.
    yield from ((f"ds.{name}", value) for name, value in _settings(source))


def _shared(data: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """A shorter form: what all data sources have in common is stated once."""
    own = {"tableId", "datasourceName"}
    yield from ((f"ds.*.{name}", value) for name, value in (*_settings(data[0]), *_KEPT) if name not in own)
    yield from ((f"ds.{source.alias}.tableId", source.table) for source in data)


def _settings(source: Source) -> tuple[tuple[str, str], ...]:
    return (
        ("connector", "bigQuery"), ("type", "TABLE"), ("projectId", source.project), ("datasetId", source.dataset),
        ("tableId", source.table), ("datasourceName", source.title),
    )  # fmt: skip


def _address(parameters: Sequence[tuple[str, str]]) -> str:
    address = _encoded(parameters)
    if len(address) > MAX_LENGTH:
        raise PermanentError(
            f"the link to Looker Studio would be {len(address)} characters long, but not every browser takes more than "
            f"{MAX_LENGTH}",
            "Shorten what is in it: BIGQUERY_DATASET_PREFIX, the account's name or the report's.",
        )
    return address


def _encoded(parameters: Sequence[tuple[str, str]]) -> str:
    return f"{ADDRESS}?{urlencode(parameters, quote_via=quote, safe='')}"
