"""The portfolio stage: views over all accounts, in a dataset of their own.

Here: the assets, and which accounts take part in which view. Not here: the statements (`reports/views/portfolio.py`),
and when they are rebuilt (`defs/automation/portfolio.py`).

An account whose dataset or table does not exist, or may not be read, is left out and named; it breaks no view. A
transient error is different: views stay as they were rather than lose an account for a moment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.assets.view import looker_metadata
from klaviyo_assets.defs.failure_metadata import Cause, metadata_of
from klaviyo_assets.defs.specs import asset_spec
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.errors import (
    KlaviyoAssetsError,
    NotFoundError,
    TransientError,
    UnforeseenError,
    contained,
    stack_of,
)
from klaviyo_assets.model.googlesql import table_of
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.reports.views.portfolio import PORTFOLIO_VIEWS, Member, create_portfolio_view
from klaviyo_assets.reports.views.statement import LABEL
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.stages.graph import PORTFOLIO

NOT_YET = "nothing has been loaded yet"


def portfolio_key(name: str) -> dg.AssetKey:
    """The key of a portfolio view's asset."""
    return dg.AssetKey([PORTFOLIO, name])


def build_portfolio_assets(accounts: Accounts) -> dg.AssetsDefinition:
    """One step for all views of the portfolio, which has no partitions."""

    @dg.multi_asset(
        name="create_portfolio",
        specs=[
            asset_spec(PORTFOLIO, view, None, {"bigquery", "sql", "view"}, is_table=True)
            for view in PORTFOLIO_VIEWS.values()
        ],
        can_subset=True,
    )
    def create_portfolio(context: dg.AssetExecutionContext, bigquery: BigQueryProjectResource) -> Iterator[Any]:
        failures: dict[str, KlaviyoAssetsError] = {}
        try:
            portfolio = Portfolio.of(accounts, bigquery)
        except KlaviyoAssetsError as error:
            raise _failure({PORTFOLIO: error}) from error
        failures |= portfolio.unforeseen
        for name, reason in portfolio.left_out.items():
            context.log.warning(f"account {name} is left out: {reason}")
        for view in PORTFOLIO_VIEWS.values():
            if portfolio_key(view.name) not in context.selected_asset_keys:
                continue
            try:
                metadata = portfolio.create(view)
            except Exception as caught:  # noqa: BLE001  whatever it is, it is this view's alone
                failed = failures[view.name] = contained(caught)
                context.log.error(f"{view.name}: {failed}{stack_of(failed)}")  # noqa: TRY400  the reason says it all
            else:
                yield dg.MaterializeResult(asset_key=portfolio_key(view.name), metadata=metadata)
        if failures:
            raise _failure(failures)

    return create_portfolio


def _failure(failures: Mapping[str, KlaviyoAssetsError]) -> dg.Failure:
    causes = {
        (portfolio_key(name).to_user_string(), ""): Cause.of(portfolio_key(name), error)
        for name, error in failures.items()
        if name in PORTFOLIO_VIEWS
    }
    return dg.Failure(
        description="\n".join(f"{name}: {error}" for name, error in failures.items()),
        metadata=metadata_of(causes),
        allow_retries=all(isinstance(error, TransientError) for error in failures.values()),
    )


@dataclass
class Portfolio:
    """The portfolio's dataset, what each account's dataset holds, and why some accounts take no part at all.

    An account's unexpected error is also in `unforeseen`: it fails the run once the others have their views.
    """

    dataset: BigQueryDataset
    members: dict[str, tuple[str, Mapping[str, frozenset[str]]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unforeseen: dict[str, KlaviyoAssetsError] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, accounts: Accounts, bigquery: BigQueryProjectResource) -> "Portfolio":
        """Examine every account's dataset.

        Raises:
            TransientError: BigQuery could not be reached; the views stay as they are.
            PermanentError: the portfolio's own dataset cannot be created.
        """
        portfolio = cls(bigquery.portfolio())
        portfolio.dataset.ensure("Klaviyo reporting of all accounts: views over the accounts' own datasets.")
        portfolio.labels = portfolio.dataset.tables()
        for account in accounts.by_name.values():
            dataset = bigquery.dataset(account)
            try:
                columns = columns_by_table(dataset)
            except TransientError:
                raise
            except Exception as caught:  # noqa: BLE001  one account's fault leaves the others their views
                error = contained(caught)
                portfolio.left_out[account.name] = NOT_YET if isinstance(error, NotFoundError) else str(error)
                portfolio.unforeseen |= {f"account {account.name}": error} if isinstance(error, UnforeseenError) else {}
                continue
            portfolio.members[account.name] = (dataset.qualified, columns)
        return portfolio

    @property
    def is_current(self) -> bool:
        """Whether every view is there as it would be created now."""
        return all(
            self.labels.get(view.name, {}).get(LABEL) == self._statement(view)[1] for view in PORTFOLIO_VIEWS.values()
        )

    def _statement(self, view: TableSpec) -> tuple[str, str]:
        return create_portfolio_view(view, self._members_of(view), self.dataset.qualified)

    def _members_of(self, view: TableSpec) -> list[Member]:
        return [
            Member(name, dataset, tables[view.name])
            for name, (dataset, tables) in self.members.items()
            if view.name in tables
        ]

    def create(self, view: TableSpec) -> dict[str, Any]:
        """Create one view; what the UI shows of it."""
        members = self._members_of(view)
        sql, label = self._statement(view)
        if self.labels.get(view.name, {}).get(LABEL) != label:
            self.dataset.query(sql)
        left_out = self.left_out | {
            name: f"{NOT_YET} into {view.name}" for name, (_, tables) in self.members.items() if view.name not in tables
        }
        return {
            "table": f"{self.dataset.qualified}.{view.name}",
            "accounts": dg.MetadataValue.json([member.account for member in members]),
            "left_out": dg.MetadataValue.json(left_out),
            "sql": dg.MetadataValue.md(f"```sql\n{sql}\n```"),
        } | looker_metadata(view.name, self.dataset.qualified, PORTFOLIO)


def columns_by_table(dataset: BigQueryDataset) -> dict[str, frozenset[str]]:
    """The columns of every table and view in a dataset."""
    columns_of: dict[str, set[str]] = {}
    columns = table_of(dataset.qualified, "INFORMATION_SCHEMA", "COLUMNS")
    rows = dataset.query(f"SELECT table_name, column_name FROM {columns}")
    for row in rows:
        columns_of.setdefault(row["table_name"], set()).add(row["column_name"])
    return {table: frozenset(columns) for table, columns in columns_of.items()}
