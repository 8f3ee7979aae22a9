"""A project folder of its own with a small sandbox, as a newcomer would have it, for the tests of this folder.

Here: making it, commands in it, and reading what the pipeline left in S3 and BigQuery. Not here: the Dagster
processes (`dagster_dev.py`).
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from dotenv import dotenv_values
from google.cloud import bigquery
from google.oauth2.credentials import Credentials

from klaviyo_assets.accounts import Account, Accounts, load_accounts
from klaviyo_assets_tests.checkout import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BIN = Path(sys.executable).parent
SHOP = ("--accounts", "1", "--events-per-day", "60", "--days", "35")
# What the run did, not what the data are: these grow with every run, by design.
# What tells when it was made, or what was so on a day: a rebuild cannot give it.
HISTORY = {"ledger", "membership_snapshot", "consent_snapshot"}


@dataclass(frozen=True)
class Project:
    """A folder that commands are run in, and the settings of its sandbox."""

    folder: Path
    settings: Mapping[str, str]

    @classmethod
    def begin(cls, folder: Path, shop: Sequence[str] = SHOP) -> "Project":
        """Start the sandbox of a new folder and let its shop's data sync to Postgres."""
        for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        run(folder, "sandbox", "start", *shop)
        run(folder, "sync")
        settings = dotenv_values(folder / ".env")
        return cls(folder, {name: value or "" for name, value in settings.items()})

    def end(self) -> None:
        """Stop the sandbox's servers and remove its data."""
        run(self.folder, "sandbox", "reset", "--yes")

    @property
    def accounts(self) -> Accounts:
        """The accounts as the code location reads them."""
        return load_accounts(self.settings)

    @property
    def account(self) -> Account:
        """The one account there is."""
        return next(iter(self.accounts.by_name.values()))

    def day(self, ago: int) -> date:
        """The account's calendar day so many days ago."""
        return self.account.today() - timedelta(days=ago)

    def archive_state(self) -> dict[str, str]:
        """Every object of the archive with its ETag and when it was written: nothing may be written again."""
        s3: S3Client = boto3.client(
            "s3", endpoint_url=self.settings["S3_ENDPOINT_URL"], region_name=self.settings["AWS_REGION"],
            aws_access_key_id=self.settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.settings["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.settings["S3_BUCKET"])
        objects = [one for page in pages for one in page.get("Contents", [])]
        return {one["Key"]: f"{one['ETag']} {one['Size']} {one['LastModified']}" for one in objects}

    def table_hashes(self) -> dict[str, str]:
        """SHA-256 of the rows of every BigQuery table, whatever their order; history left out."""
        client = bigquery.Client(
            project=self.settings["BIGQUERY_PROJECT"],
            credentials=Credentials(self.settings["BIGQUERY_EMULATOR_TOKEN"]),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": self.settings["BIGQUERY_EMULATOR_HOST"]},
        )
        dataset = f"{self.settings['BIGQUERY_DATASET_PREFIX']}_{self.account.name}"
        names = sorted(table.table_id for table in client.list_tables(dataset) if table.table_type == "TABLE")
        return {name: _hash_of_rows(client, f"{dataset}.{name}") for name in names if name not in HISTORY}


def run(folder: Path, *arguments: str, seconds: float = 180) -> str:
    """Run `klaviyo-assets` in a folder, at most so long, without the settings of whoever runs the tests."""
    done = subprocess.run(
        [BIN / "klaviyo-assets", *arguments],
        cwd=folder,
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"klaviyo-assets {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout


def bare_environment() -> dict[str, str]:
    """What a fresh shell has, and no setting: `.env` in the folder names the sandbox."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {"DAGSTER_DISABLE_TELEMETRY": "yes"}


def _hash_of_rows(client: bigquery.Client, table: str) -> str:
    rows = sorted(repr(row.values()) for row in client.list_rows(table))
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return f"{len(rows)} rows {digest}"
