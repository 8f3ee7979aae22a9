"""The BigQuery project that reports live in.

Here: settings and the client. Not here: tables and loads (`destinations/bigquery.py`).
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import PORTFOLIO, Account
from klaviyo_assets.destinations.bigquery import BigQueryDataset
from klaviyo_assets.destinations.bigquery_pace import GOOGLE, UNLIMITED
from klaviyo_assets.resources.environment import optional

if TYPE_CHECKING:
    from google.cloud.bigquery import Client


class BigQueryProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A project and the prefix of its datasets; credentials are Google's application default ones.

    Where `emulator_host` is set, requests go there with BIGQUERY_EMULATOR_TOKEN as bearer token,
    and no Google credential is looked for.
    """

    project: str = Field(description="Google Cloud project (BIGQUERY_PROJECT).")
    dataset_prefix: str = Field(default="", description="Datasets are <prefix>_<account> (BIGQUERY_DATASET_PREFIX).")
    location: str = Field(default="", description="Where datasets are made: US, EU, ... (BIGQUERY_LOCATION).")
    emulator_host: str = Field(default="", description="Address of a local stand-in (BIGQUERY_EMULATOR_HOST).")

    def dataset(self, account: Account) -> BigQueryDataset:
        """The account's dataset: `<prefix>_<account>`."""
        return self._dataset(account.name)

    def portfolio(self) -> BigQueryDataset:
        """The dataset of the views over all accounts: `<prefix>_portfolio`."""
        return self._dataset(PORTFOLIO)

    def qualified(self, name: str) -> str:
        """`project.dataset` of an account or of the portfolio, by name; nobody is asked for it."""
        return f"{self.project}.{self._dataset_id(name)}"

    @property
    def is_stand_in(self) -> bool:
        """Whether a local stand-in answers instead of Google."""
        return bool(self._emulator)

    def _dataset_id(self, name: str) -> str:
        return f"{optional(self.dataset_prefix, 'BIGQUERY_DATASET_PREFIX', 'klaviyo')}_{name}"

    def _dataset(self, name: str) -> BigQueryDataset:
        # A stand-in on this machine that does not answer is down, not busy.
        patience = 10.0 if self._emulator else 120.0
        pace = UNLIMITED if self._emulator else GOOGLE
        return BigQueryDataset(self.client, self._dataset_id(name), self._location, patience, pace=pace)

    @property
    def _emulator(self) -> str:
        return optional(self.emulator_host, "BIGQUERY_EMULATOR_HOST")

    @property
    def _location(self) -> str:
        return optional(self.location, "BIGQUERY_LOCATION", "US")

    @cached_property
    def client(self) -> "Client":
        """A client of the project, made when it is first needed: importing it takes a second."""
        if not self._emulator:
            from dagster_gcp import BigQueryResource

            with BigQueryResource(project=self.project, location=self._location).get_client() as client:
                return client
        from google.cloud import bigquery
        from google.oauth2.credentials import Credentials

        return bigquery.Client(
            project=self.project,
            location=self._location,
            credentials=Credentials(os.environ.get("BIGQUERY_EMULATOR_TOKEN", "none")),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self._emulator},
        )
