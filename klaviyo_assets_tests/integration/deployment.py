"""A small sandbox with real servers, and accounts on it that a test may do with as it likes.

Here: starting and syncing the sandbox, copying an account, running stages of it in process, reading what came of it.
Not here: any expectation.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psycopg
import pytest
from click.testing import Result
from psycopg import sql
from rich.console import Console
from typer.testing import CliRunner

from klaviyo_assets import definitions
from klaviyo_assets.accounts import Account, Accounts, read_accounts_file
from klaviyo_assets.cli.main import app
from klaviyo_assets.cli.pipeline import Pipeline, Totals
from klaviyo_assets.cli.progress import Progress
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.bigquery.ledger import current
from klaviyo_assets.destinations.s3.archive import S3Archive
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.reports import REPORTS
from klaviyo_assets.resources.bigquery import BigQueryProjectResource
from klaviyo_assets.resources.fivetran.resource import fivetran_from_environment
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.sandbox import lifecycle
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.postgres import create_schema, writer_url
from klaviyo_assets.sandbox.state import State
from klaviyo_assets.source.extraction import AccountSource
from klaviyo_assets.stages.keys import range_tags
from klaviyo_assets.stages.planning import Plan, plan
from klaviyo_assets.tables import DAILY_TABLES, TABLES

SHOP = {"accounts": 2, "events_per_day": 60, "days": 14}
STAGES = ("extracted", "mapped", "s3_archive", "bigquery")
Rows = list[tuple[Any, ...]]


@contextmanager
def environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """The process's environment with these variables; None takes one away."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            if value is None:
                patch.delenv(name, raising=False)
            else:
                patch.setenv(name, value)
        yield


@dataclass
class Sandbox:
    """A sandbox of its own in a temporary folder, synced once."""

    folder: Folder
    variables: dict[str, str]
    first_switches: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls) -> "Sandbox":
        # Postgres as another user has to pass through; pytest's own folders are closed to others.
        root = Path(tempfile.mkdtemp(prefix="klaviyo-pipeline-"))
        root.chmod(0o755)
        new_sandbox = cls(Folder(root / ".sandbox"), {})
        new_sandbox.start()
        with environment(new_sandbox.variables):
            client = fivetran_from_environment()
            for account in new_sandbox.accounts.by_name.values():
                begun = client.sync(account.fivetran_connection_id)
                client.wait(account.fivetran_connection_id, begun.since, timeout_seconds=120, interval_seconds=0.2)
        new_sandbox.first_switches = new_sandbox.switches()
        return new_sandbox

    @classmethod
    @cache
    def of_session(cls) -> "Sandbox":
        """The one sandbox of a test process, whichever package asks for it first."""
        return cls.begin()

    def start(self) -> None:
        self.variables = dict(lifecycle.start(self.folder, SHOP, lambda *_: None, None).variables)

    def end(self) -> None:
        lifecycle.reset(self.folder)
        shutil.rmtree(self.folder.root.parent, ignore_errors=True)

    @property
    def state(self) -> State:
        return lifecycle.known_state(self.folder)

    def switches(self) -> dict[str, str]:
        """What every module of a session finds, and none may leave changed: the accounts, and Fivetran's faults."""
        login = self.variables["FIVETRAN_API_KEY"], self.variables["FIVETRAN_API_SECRET"]
        faults = httpx.get(f"{self.variables['FIVETRAN_API_URL']}/sandbox/faults", auth=login).raise_for_status()
        return {"accounts": self.folder.accounts_file.read_text(), "faults": faults.text}

    def pid(self, server: str) -> int:
        return self.state.processes[server].identity.pid

    @property
    def accounts(self) -> Accounts:
        return read_accounts_file(self.folder.accounts_file)

    @contextmanager
    def postgres(self) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """Postgres as Fivetran writes it; every statement commits."""
        with psycopg.connect(writer_url(self.state), autocommit=True, options="-c TimeZone=UTC") as connection:
            yield connection

    def copy_account(self, source: str, name: str, *, last_days: int | None = None, **changes: Any) -> Account:
        """A new account with the raw tables of another one, or with its last days of events only."""
        original = self.accounts[source]
        schema = f"klaviyo_{name}"
        # One transaction: the server writes to disk once, not eighty times.
        with self.postgres() as connection, connection.transaction():
            create_schema(connection, schema)
            tables = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [original.postgres_schema]
            ).fetchall()
            for (table,) in tables:
                names = (sql.Identifier(schema, table), sql.Identifier(original.postgres_schema, table))
                connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(*names))
                connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(*names))
            first = original.start_date
            if last_days is not None:
                first = original.today() - timedelta(days=last_days)
                start, _ = original.day_bounds(first)
                connection.execute(
                    sql.SQL("DELETE FROM {} WHERE datetime < %s").format(sql.Identifier(schema, "event")), [start]
                )
        return replace(original, **{"name": name, "postgres_schema": schema, "start_date": first, **changes})


@dataclass(frozen=True)
class Outcome:
    """What came of a run: whether it succeeded, and every step's failure as people see it."""

    success: bool
    failures: list[str]
    materialized: list[tuple[str, str]]


@dataclass
class Deployment:
    """One account on a sandbox, with its own instance, frames, archive prefix and dataset."""

    sandbox: Sandbox
    account: Account
    instance: dg.DagsterInstance
    changes: dict[str, str | None] = field(default_factory=dict)
    prefix: str = "klaviyo"
    # Where daily partitions begin; another account may have started earlier than this one.
    first_day: date | None = None
    _graph: tuple[Any, dg.Definitions] | None = field(default=None, init=False, repr=False)

    @property
    def variables(self) -> dict[str, str | None]:
        frames = f"{self.sandbox.folder.frames}/{self.prefix}"
        own = {"BIGQUERY_DATASET_PREFIX": self.prefix, "S3_PREFIX": self.prefix, "KLAVIYO_FRAMES_URL": frames}
        return {**self.sandbox.variables, **own, **self.changes}

    def elsewhere(self, prefix: str) -> "Deployment":
        """The same account, loaded to other places: nothing of what was done before is there."""
        return replace(self, prefix=prefix, changes=dict(self.changes))

    @property
    def definitions(self) -> dg.Definitions:
        """The graph of this account; building one takes longer than many a run of it."""
        basis = (self.account, self.first_day, self.variables)
        if self._graph is None or self._graph[0] != basis:
            self._graph = (basis, self._build())
        return self._graph[1]

    def _build(self) -> dg.Definitions:
        listed = {self.account.name: self.account}
        if self.first_day:
            listed["earlier"] = replace(self.account, name="earlier", start_date=self.first_day)
        return definitions.build_definitions(accounts=Accounts(listed, "a test"))

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """The environment, and this account's graph in place of the one of the working folder."""
        logging.disable(logging.WARNING)
        try:
            with environment(self.variables), pytest.MonkeyPatch.context() as patch:
                patch.setattr(definitions, "defs", self.definitions)
                yield
        finally:
            logging.disable(logging.NOTSET)

    def run(self, first: date | None = None, last: date | None = None) -> Totals:
        """What `klaviyo-assets run --no-sync` does for this account."""
        totals = Totals()
        with self._ready():
            Pipeline(self.instance, totals, Progress(Console(quiet=True))).account(
                self.account, (first, last), sync=False
            )
        return totals

    def accounts_file(self, folder: Path) -> Path:
        """An accounts file of this one account."""
        given = {name: value for name, value in vars(self.account).items() if name != "attribution" and value}
        path = folder / "accounts.toml"
        lines = [f"{name} = {value if name == 'start_date' else json.dumps(value)}" for name, value in given.items()]
        path.write_text("\n".join(["[[account]]", *lines, ""]))
        return path

    def command(self, folder: Path, *arguments: str) -> Result:
        """A `klaviyo-assets` command in a folder of its own; exit code and what a person sees."""
        self.changes["KLAVIYO_ACCOUNTS_FILE"] = str(self.accounts_file(folder))
        with self._ready(), pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("COLUMNS", "240")
            return CliRunner().invoke(app, list(arguments))

    def process(self, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
        """The same command as a process; its messages come through standard error."""
        self.changes["KLAVIYO_ACCOUNTS_FILE"] = str(self.accounts_file(folder))
        told = {name: value for name, value in self.variables.items() if value is not None}
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
        code = "from klaviyo_assets.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-P", "-c", code, *arguments],
            cwd=folder, env={**kept, **told}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def days(
        self, first: date, last: date | None = None, *, stages: Sequence[str] = STAGES,
        reading: Mapping[str, Any] | None = None, **config: Any,
    ) -> Outcome:  # fmt: skip
        """The daily tables of some days through some stages; `config` is the mapped stage's, `reading` the first's."""
        keys = [
            dg.AssetKey([stage, table.name])
            for stage in stages
            for table in DAILY_TABLES
            if (stage, table.name) != ("extracted", "attribution")
        ]
        steps = {"map_events": config, "extract_events": reading}
        given = {"ops": {step: {"config": dict(settings)} for step, settings in steps.items() if settings}}
        return self._execute(keys, tags=range_tags(self.account.name, first, last or first), run_config=given)

    def all_days(self) -> Outcome:
        """The daily tables of every day there is: what a run loads, without account tables and reports."""
        return self.days(self.account.start_date, self.account.today())

    def tables(self, *names: str) -> Outcome:
        """Some account tables through all stages."""
        keys = [dg.AssetKey([stage, name]) for stage in STAGES for name in names]
        return self._execute(keys, partition_key=self.account.name)

    def reports(self) -> Outcome:
        return self._execute(
            [dg.AssetKey(["report", name]) for name in REPORTS], partition_key=self.account.name
        )  # fmt: skip

    def _execute(self, keys: list[dg.AssetKey], **partition: Any) -> Outcome:
        with self._ready():
            job = definitions.defs.resolve_implicit_global_asset_job_def()
            result = job.execute_in_process(
                instance=self.instance, asset_selection=keys, raise_on_error=False, **partition
            )
        failures = [
            event.step_failure_data.user_failure_data.description or ""
            if event.step_failure_data.user_failure_data
            else event.step_failure_data.error.to_string()
            for event in result.all_events
            if event.is_step_failure
        ]
        done = [
            ("/".join(event.asset_key.path), event.partition)
            for event in result.all_events
            if event.event_type_value == "ASSET_MATERIALIZATION"
        ]
        return Outcome(result.success, failures, done)

    def event_log(self) -> str:
        """Everything Dagster has recorded of this deployment's runs."""
        return "\n".join(
            str(entry.to_json()) for run in self.instance.get_runs() for entry in self.instance.all_logs(run.run_id)
        )

    def dirty(self, last: date | None = None) -> list[date]:
        """The days that planning finds."""
        return [found.day for found in self.plan(last).days]

    def plan(self, last: date | None = None) -> Plan:
        """What planning finds."""
        with environment(self.variables), PostgresResource(url=self.variables["POSTGRES_URL"]).snapshot() as snapshot:
            source = AccountSource.open(self.account, snapshot)
            last = last or self.account.today()
            return plan(source, current(self.dataset), self.account.start_date, last)

    def has_column(self, name: str, table: str = "event") -> bool:
        """Whether a raw table has a column."""
        columns = self.raw(
            "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND column_name = %s",
            [self.account.postgres_schema, table, name],
        )
        return bool(columns)

    def raw(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """A statement on the account's Postgres schema, which stands as {} in it."""
        with self.sandbox.postgres() as connection:
            schema = sql.Identifier(self.account.postgres_schema)
            cursor = connection.execute(sql.SQL(statement).format(schema), parameters or None)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    @cached_property
    def dataset(self) -> BigQueryDataset:
        with environment(self.variables):
            resource = BigQueryProjectResource(project=self.sandbox.variables["BIGQUERY_PROJECT"])
            return resource.dataset(self.account)

    def query(self, text: str) -> Rows:
        """Rows of a query on the account's dataset."""
        return [tuple(row.values()) for row in self.dataset.query(text)]

    def bigquery(self, *tables: str) -> dict[str, Rows]:
        """Every row of mapped tables (all of them by default), in an order of its own."""
        return {
            name: sorted(self.query(f"SELECT * FROM `{name}`"), key=repr) for name in tables or tuple(TABLES)
        }  # fmt: skip

    def noted(self) -> Rows:
        """The quarantine, without what names the run."""
        return sorted(
            self.query("SELECT table_name, `partition`, row_id, field, rule, value, is_dropped FROM quarantine")
        )

    @cached_property
    def archive(self) -> S3Archive:
        with environment(self.variables):
            return S3ArchiveResource(bucket=self.sandbox.variables["S3_BUCKET"]).archive

    def objects(self) -> dict[str, tuple[str, Any]]:
        """Every object of the account in S3: key -> ETag and time of writing."""
        archive = self.archive
        pages = archive.client.get_paginator("list_objects_v2").paginate(
            Bucket=archive.bucket, Prefix=f"{archive.prefix}/{self.account.name}/"
        )
        return {
            found["Key"]: (found["ETag"], found["LastModified"]) for page in pages for found in page.get("Contents", [])
        }

    def contents(self) -> dict[str, bytes]:
        """Every object of the account in S3 with its bytes."""
        archive = self.archive
        return {key: archive.client.get_object(Bucket=archive.bucket, Key=key)["Body"].read() for key in self.objects()}

    @property
    def frames(self) -> FrameStore:
        return FrameStore(url=str(self.variables["KLAVIYO_FRAMES_URL"]))

    def frame_files(self) -> list[str]:
        """Files that are left between stages."""
        root = Path(str(self.variables["KLAVIYO_FRAMES_URL"]))
        files = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
        return sorted(str(path) for path in files if self.account.name in path.parts)
