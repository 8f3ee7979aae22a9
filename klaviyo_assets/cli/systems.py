"""The external systems that commands use outside Dagster: the same resources, from the same environment.

Here: creating them, with a clear error if a required setting is missing. Not here: commands.
"""

import os
from typing import TYPE_CHECKING

from klaviyo_assets.errors import SettingsError

if TYPE_CHECKING:
    from klaviyo_assets.resources.bigquery import BigQueryProjectResource
    from klaviyo_assets.resources.postgres.resource import PostgresResource


def required(name: str) -> str:
    """The value of a required setting.

    Raises:
        SettingsError: it is missing; the message says where to set it.
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
