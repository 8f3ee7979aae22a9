"""Settings of the environment beside a `.env` that says something else, through the real `dagster dev` and `dg dev`.

Both settings name a database of their own: who is called tells which setting a process went by.
"""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from klaviyo_assets_tests.e2e.dagster_dev import LOCATION, REPOSITORY, DagsterDev, wait
from klaviyo_assets_tests.e2e.project import ROOT, Project

ACCOUNT = (
    '[[account]]\nname = "{name}"\nfivetran_connection_id = "{name}"\npostgres_schema = "{name}"\ntimezone = "UTC"\n'
    'currency = "USD"\nconversion_metric = "Placed Order"\nstart_date = 2026-11-01\npii = "drop"\n'
)


@dataclass
class Database:
    """Something that counts who connects, and hangs up."""

    listener: socket.socket
    calls: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What POSTGRES_URL says to reach it."""
        return f"postgresql://user:word@127.0.0.1:{self.listener.getsockname()[1]}/shop"

    def answer(self) -> None:
        """Until the listener is closed."""
        while True:
            try:
                connection, caller = self.listener.accept()
            except OSError:
                return
            self.calls.append(str(caller))
            connection.close()


@contextmanager
def database() -> Iterator[Database]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = Database(listener)
        threading.Thread(target=opened.answer, daemon=True).start()
        yield opened
        listener.shutdown(socket.SHUT_RDWR)


def settings(folder: Path, name: str, postgres: Database) -> dict[str, str]:
    """Of one account, and of one database."""
    accounts = folder / f"{name}.toml"
    accounts.write_text(ACCOUNT.format(name=name))
    return {
        "KLAVIYO_ACCOUNTS_FILE": str(accounts), "POSTGRES_URL": postgres.url, "BIGQUERY_PROJECT": name,
        "FIVETRAN_API_KEY": name, "FIVETRAN_API_SECRET": name, "S3_BUCKET": name,
    }  # fmt: skip


def served_accounts(dagster: DagsterDev) -> list[str]:
    """The accounts of the code location, by the partitions that the page shows."""
    query = "query($k:AssetKeyInput!){assetNodeOrError(assetKey:$k){... on AssetNode{partitionKeys}}}"
    return list(dagster.ask(query, k={"path": ["bigquery", "campaign"]})["assetNodeOrError"]["partitionKeys"])


def try_sensor(dagster: DagsterDev, name: str) -> None:
    """Evaluate a sensor once, as the daemon does, in the code server."""
    selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "sensorName": name}
    dagster.ask("mutation($s:SensorSelector!){sensorDryRun(selectorData:$s,cursor:null){__typename}}", s=selector)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["dagster", "dg"])
def test_what_the_environment_sets_wins_over_dotenv_in_every_process(tmp_path, program):
    for name in ("dagster.yaml", "workspace.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "klaviyo_assets").symlink_to(ROOT / "klaviyo_assets")  # dg looks for the module in the project
    with database() as sandbox, database() as production:
        written = settings(tmp_path, "production", production)
        (tmp_path / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in written.items()))
        dagster = DagsterDev.begin(Project(tmp_path, {}), settings(tmp_path, "sandbox", sandbox), program)
        try:
            assert served_accounts(dagster) == ["sandbox"]
            try_sensor(dagster, "fivetran_syncs")
            dagster.launch("dimensions", {"dagster/partition": "sandbox"})
            dagster.ended_runs(lambda run: run.job == "dimensions", at_least=1)
            wait(lambda: bool(sandbox.calls), 60, "the run to call a database")
        finally:
            dagster.end()
    assert production.calls == []
    told = [line for line in (tmp_path / "dagster_dev.log").read_text().splitlines() if "environment wins" in line]
    assert told, "Dagster alone says that .env was loaded"
    assert all(name in line for line in told for name in ("POSTGRES_URL", "BIGQUERY_PROJECT"))
