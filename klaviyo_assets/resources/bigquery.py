"""The BigQuery project that reports live in.

Here: settings and the client. Not here: tables and loads (`destinations/bigquery/dataset.py`).
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from klaviyo_assets.accounts import PORTFOLIO, Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.errors import explained, no_credentials
from klaviyo_assets.destinations.bigquery.pace import GOOGLE, UNLIMITED
from klaviyo_assets.settings import optional
from klaviyo_assets.transport.limited_http import HttpLimits, limit_session
from klaviyo_assets.transport.time_limits import (
    BIGQUERY_CONNECT,
    BIGQUERY_EXCHANGE,
    BIGQUERY_JOB,
    BIGQUERY_PATIENCE,
    BIGQUERY_SILENCE,
)

if TYPE_CHECKING:
    from google.cloud.bigquery import Client

# A stand-in on this machine that does not answer is down, not busy.
_STAND_IN_PATIENCE_SECONDS = 10.0


class BigQueryProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A project and the prefix of its datasets; credentials are Google's application default ones.

    If `emulator_host` is set, requests go there with BIGQUERY_EMULATOR_TOKEN as bearer token, and no Google credentials
    are needed.
    """

    project: str = Field(description="Google Cloud project (BIGQUERY_PROJECT).")
    dataset_prefix: str = Field(default="", description="Datasets are <prefix>_<account> (BIGQUERY_DATASET_PREFIX).")
    location: str = Field(default="", description="Where datasets are created: US, EU, ... (BIGQUERY_LOCATION).")
    emulator_host: str = Field(default="", description="Address of a local stand-in (BIGQUERY_EMULATOR_HOST).")
    connect_timeout_seconds: float = Field(
        default=BIGQUERY_CONNECT.seconds, description="How long to wait for a connection."
    )
    silence_timeout_seconds: float = Field(
        default=BIGQUERY_SILENCE.seconds, description="How long to wait for the next byte."
    )
    exchange_timeout_seconds: float = Field(
        default=BIGQUERY_EXCHANGE.seconds, description="How long a request and its answer may take in all."
    )
    patience_seconds: float = Field(
        default=0,
        description=f"How long a call is repeated; 0: {BIGQUERY_PATIENCE.seconds:g}, with a stand-in "
        f"{_STAND_IN_PATIENCE_SECONDS:g}.",
    )
    job_timeout_seconds: float = Field(
        default=BIGQUERY_JOB.seconds, description="How long to wait for the end of a job."
    )

    def dataset(self, account: Account) -> BigQueryDataset:
        """The account's dataset: `<prefix>_<account>`."""
        return self._dataset(account.name)

    def portfolio(self) -> BigQueryDataset:
        """The dataset of the views over all accounts: `<prefix>_portfolio`."""
        return self._dataset(PORTFOLIO)

    def qualified(self, name: str) -> str:
        """`project.dataset` of an account or of the portfolio, by name; sends no request."""
        return f"{self.project}.{self._dataset_id(name)}"

    @property
    def is_stand_in(self) -> bool:
        """Whether a local stand-in answers instead of Google."""
        return bool(self._emulator)

    def _dataset_id(self, name: str) -> str:
        return f"{optional(self.dataset_prefix, 'BIGQUERY_DATASET_PREFIX', 'klaviyo')}_{name}"

    def _dataset(self, name: str) -> BigQueryDataset:
        usual = _STAND_IN_PATIENCE_SECONDS if self._emulator else BIGQUERY_PATIENCE.seconds
        return BigQueryDataset(
            self.client,
            self._dataset_id(name),
            self._location,
            self.patience_seconds or usual,
            self.job_timeout_seconds,
            pace=UNLIMITED if self._emulator else GOOGLE,
        )

    @property
    def _emulator(self) -> str:
        return optional(self.emulator_host, "BIGQUERY_EMULATOR_HOST")

    @property
    def _location(self) -> str:
        return optional(self.location, "BIGQUERY_LOCATION", "US")

    @cached_property
    def client(self) -> "Client":
        """A client of the project, created on first use: importing it takes a second.

        Raises:
            SettingsError: there are no Google credentials.
        """
        with explained("looking for Google credentials"):
            client = self._stand_in_client() if self._emulator else self._google_client()
        self._limit(client)
        return client

    def _google_client(self) -> "Client":
        from dagster_gcp import BigQueryResource

        try:
            with BigQueryResource(project=self.project, location=self._location).get_client() as client:
                return client
        except (IsADirectoryError, PermissionError, UnicodeDecodeError, AttributeError) as error:
            # google-auth reads the file and assumes that it is a text with a JSON object.
            raise no_credentials() from error

    def _stand_in_client(self) -> "Client":
        from google.cloud import bigquery
        from google.oauth2.credentials import Credentials

        token = Credentials(os.environ.get("BIGQUERY_EMULATOR_TOKEN", "none"))  # type: ignore[no-untyped-call]
        return bigquery.Client(
            project=self.project,
            location=self._location,
            credentials=token,
            client_options={"api_endpoint": self._emulator},
        )

    def _limit(self, client: "Client") -> None:
        """Bound every request that the client makes, including those for a token.

        Google's client bounds none of them, and takes a time-out only as an argument of each call; uploads and result
        pages take none.
        """
        limits = HttpLimits(self.connect_timeout_seconds, self.silence_timeout_seconds, self.exchange_timeout_seconds)
        session = client._http
        limit_session(session, limits)
        limit_session(session._auth_request_session, limits)
