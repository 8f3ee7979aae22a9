"""`klaviyo-assets looker-link`: the link that opens an account's report in Looker Studio.

Here: options, the choice of links, and how they are printed. Not here: the link itself (`reports/looker/link.py`), and
the views it leads to (`reports/views/looker.py`).
"""

import json
import webbrowser
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from klaviyo_assets.cli import systems
from klaviyo_assets.cli.console import AsJson, Verbose, console, errors, notes
from klaviyo_assets.errors import PermanentError, SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.reports.looker.link import Source
    from klaviyo_assets.resources.bigquery import BigQueryProjectResource


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link and what it opens; `of` is the account, or `portfolio`."""

    of: str
    template: str
    url: str
    sources: "tuple[Source, ...]"


def looker_link(
    account: Annotated[list[str] | None, typer.Option("--account", "-a", help="Can be repeated. Default: all.")] = None,
    portfolio: Annotated[bool, typer.Option("--portfolio", help="The report over all accounts.")] = False,
    template: Annotated[
        str | None,
        typer.Option("--template", metavar="ID", help="Looker Studio report to copy: its id or address. Default: the "
                     "account's looker_template_id, else LOOKER_TEMPLATE_ID."),
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the link in the browser.")] = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:  # fmt: skip
    """Print the link that opens a report in Looker Studio over an account's BigQuery views.

    With a template it copies that report; without one it starts an empty report. Nothing is asked of BigQuery.

    Example: klaviyo-assets looker-link --account acme --open
    """
    with errors(verbose=verbose):
        bigquery = systems.bigquery()
        links = list(_links(bigquery, account, portfolio=portfolio, template=template))
        if open_it and len(links) > 1:
            raise SettingsError(
                f"--open opens one link, but there are {len(links)}: {', '.join(link.of for link in links)}",
                "Choose one with --account, or use --portfolio.",
            )
        _print(links, bigquery, as_json=as_json)
        if open_it and not webbrowser.open(links[0].url):
            raise PermanentError("no browser could be opened", "Copy the link into a browser.")


def _links(
    bigquery: "BigQueryProjectResource", names: list[str] | None, *, portfolio: bool, template: str | None
) -> Iterator[Link]:
    from klaviyo_assets.accounts import PORTFOLIO, load_accounts
    from klaviyo_assets.reports.looker import link
    from klaviyo_assets.settings import optional

    accounts = load_accounts()
    chosen = names or ([] if portfolio else accounts.names)
    wanted = {name: accounts[name].looker_template_id for name in chosen} | ({PORTFOLIO: ""} if portfolio else {})
    for name, own in wanted.items():
        given = template or optional(own, "LOOKER_TEMPLATE_ID")
        copied = link.template_id(given) if given else ""
        data = link.sources(bigquery.qualified(name), name)
        url = link.looker_link(data, link.report_name(name), copied)
        yield Link(of=name, template=copied, url=url, sources=data if copied else (link.first_of(data),))


def _print(links: list[Link], bigquery: "BigQueryProjectResource", *, as_json: bool) -> None:
    if as_json:
        console().print_json(json.dumps([asdict(link) for link in links]))
    for link in () if as_json else links:
        notes().print(_heading(link), style="bold", soft_wrap=True)
        # An address must neither be broken into lines nor be read as markup.
        console().print(link.url, soft_wrap=True, markup=False)
    if any(not link.template for link in links):
        notes().print(
            "Without a template the report is empty and has one data source. docs/looker_studio.md explains how to "
            "create one; then set LOOKER_TEMPLATE_ID in .env."
        )
    if bigquery.is_stand_in:
        notes().print(
            "Looker Studio cannot reach these datasets of the local servers; it reads only Google's BigQuery."
        )


def _heading(link: Link) -> str:
    data = link.sources[0]
    many = f"{len(link.sources)} data sources" if len(link.sources) > 1 else f"one data source, {data.table},"
    return f"{link.of}: {many} of {data.project}.{data.dataset}"
