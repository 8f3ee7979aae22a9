"""The external systems as commands use them outside Dagster: the same resources, from the same environment.

Here: making them, with a clear error where a required setting is missing. Not here: any command.
"""

import os
from typing import TYPE_CHECKING

from klaviyo_assets.errors import SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.resources.bigquery import BigQueryProjectResource
    from klaviyo_assets.resources.postgres.resource import PostgresResource


def required(name: str) -> str:
    """A setting that has to be there.

    Raises:
        SettingsError: it is not; the message says where to set it.
    """
    if not os.environ.get(name):
        raise SettingsError(
            f"the setting {name} is missing",
            "Set it in .env (see .env.example), or run `klaviyo-assets sandbox start` to use the local servers.",
        )
    return os.environ[name]


def postgres() -> "PostgresResource":
    """Fivetran's Postgres destination."""
    from klaviyo_assets.resources.postgres.resource import PostgresResource

    return PostgresResource(url=required("POSTGRES_URL"))


def bigquery() -> "BigQueryProjectResource":
    """The BigQuery project."""
    from klaviyo_assets.resources.bigquery import BigQueryProjectResource

    return BigQueryProjectResource(project=required("BIGQUERY_PROJECT"))
