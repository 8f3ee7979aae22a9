"""The view stage: views in BigQuery that join tables and reports for reading, created or brought up to date.

Here: the assets. Not here: what a view shows, and the statement (`reports/views/`). A view holds no rows: it shows
what its tables hold when it is read, so it is created once and replaced only for a new definition.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Account, Accounts
from klaviyo_assets.defs.partitions import Partitions
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.defs.stage_run import ONE_ACCOUNT, Done, StageRun
from klaviyo_assets.defs.turns import AccountTurns
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.looker.link import looker_link, report_name, sources, template_id
from klaviyo_assets.reports.looker.sources import LOOKER_VIEWS
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.spec import ViewSpec
from klaviyo_assets.reports.views.statement import LABEL, create_view, definition
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.settings import optional
from klaviyo_assets.stages.graph import VIEW
from klaviyo_assets.tables import TABLES


def build_published_assets(accounts: Accounts, partitions: Partitions) -> dg.AssetsDefinition:
    """One step for all views of an account."""

    @dg.multi_asset(
        name="create_views",
        specs=[
            asset_spec(VIEW, view, partitions.accounts, {"bigquery", "sql", "view"}, is_table=True)
            for view in VIEWS.values()
        ],
        can_subset=True,
        backfill_policy=ONE_ACCOUNT,
    )
    def create_views(
        context: dg.AssetExecutionContext,
        frames: dg.ResourceParam[FrameStore],
        turns: AccountTurns,
        bigquery: BigQueryProjectResource,
    ) -> Iterator[Any]:
        run = StageRun(context, frames, turns)
        for name in run.partition_keys:
            yield from _create_all(run, accounts[name], bigquery)
        yield from run.outputs()

    return create_views


def looker_metadata(view: str, dataset: str, owner: str, template: str = "") -> dict[str, Any]:
    """The link to Looker Studio, for the views that it reads; a link that cannot be built does not fail the view.

    Args:
        view: The view.
        dataset: The `project.dataset` that holds it.
        owner: The account, or the portfolio.
        template: The account's own template, else that of LOOKER_TEMPLATE_ID. Without one, a new report on this view.
    """
    if view not in LOOKER_VIEWS:
        return {}
    try:
        address = optional(template, "LOOKER_TEMPLATE_ID")
        template_report = template_id(address) if address else ""
        data = [source for source in sources(dataset, owner) if template_report or source.table == view]
        return {"looker_studio": dg.MetadataValue.url(looker_link(data, report_name(owner), template_report))}
    except KlaviyoAssetsError as error:
        return {"looker_studio": dg.MetadataValue.text(str(error))}


def _create_all(run: StageRun, account: Account, bigquery: BigQueryProjectResource) -> Iterator[Any]:
    opened: list[_AccountViews] = []

    def create(view: ViewSpec) -> Done:
        if not opened:
            opened.append(_AccountViews(account, bigquery.dataset(account)))
        return opened[0].create(view)

    for view in VIEWS.values():
        key = dg.AssetKey([VIEW, view.name])
        if run.selects(key):
            yield from run.work(key, account.name, FrameKey(VIEW, account.name, view.name), partial(create, view))


class _AccountViews:
    """The views in one account's dataset."""

    def __init__(self, account: Account, dataset: BigQueryDataset) -> None:
        self._account, self._dataset = account, dataset
        dataset.ensure(f"Klaviyo reporting of the account {account.name}.")
        self._labels = dataset.tables()
        self._ready: set[str] = set()

    def create(self, view: ViewSpec) -> Done:
        """Create a view after everything that it reads: BigQuery refuses a view on a table that does not exist."""
        label = definition(view, self._dataset.qualified, self._account)
        if self._labels.get(view.name, {}).get(LABEL) != label:
            for name in view.reads:
                self._make_ready(name)
            self._dataset.query(create_view(view, self._dataset.qualified, self._account))
            self._labels[view.name] = {LABEL: label}
        return Done(
            {
                "table": f"{self._dataset.qualified}.{view.name}",
                "sql": dg.MetadataValue.md(f"```sql\n{view.sql.strip()}\n```"),
            }
            | looker_metadata(view.name, self._dataset.qualified, self._account.name, self._account.looker_template_id)
        )

    def _make_ready(self, name: str) -> None:
        if name in VIEWS:
            self.create(VIEWS[name])
        elif name not in self._ready:
            # A table that an older version created lacks the columns added since.
            self._dataset.prepare(REPORTS[name] if name in REPORTS else TABLES[name])
            self._ready.add(name)
