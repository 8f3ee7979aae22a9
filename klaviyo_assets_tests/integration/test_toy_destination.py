"""A destination that another package adds is one of the graph, the command line, the checks, planning and `verify`.

It is installed as pip would install it: an entry point beside the module, and nothing of the product is changed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.tables import ACCOUNT_TABLES, ATTRIBUTION, DAILY_TABLES, EVENT, TABLES
from klaviyo_assets_tests import toy_destination
from klaviyo_assets_tests.integration.deployment import Deployment

# Prints what the graph and Dagster's records are in a process that has the toy installed.
_GRAPH = """
import json
from klaviyo_assets.accounts import load_accounts
from klaviyo_assets.cli.project import instance
from klaviyo_assets.definitions import defs
from klaviyo_assets.defs.checks.freshness import ages
repository = defs.get_repository_def()
graph = repository.asset_graph
toys = {key.path[1]: graph.get(key) for key in graph.get_all_asset_keys() if key.path[0] == "toy"}
metadata = toys["event"].metadata
def assets_of(job):
    return [key.path[1] for key in repository.get_job(job).asset_layer.selected_asset_keys if key.path[0] == "toy"]
with instance() as dagster:
    now = [age for age in ages(load_accounts(), dagster) if age.stage == "toy"]
print(json.dumps({
    "partitions": {name: type(asset.partitions_def).__name__ for name, asset in toys.items()},
    "jobs": {job: sorted(assets_of(job)) for job in ("dimensions", "events")},
    "checks": [key.name for key in graph.asset_check_keys if key.asset_key.path == ["freshness", "toy"]],
    "ages": [(age.account, age.verdict) for age in now],
    "columns": [column.name for column in metadata["dagster/column_schema"].columns],
    "lineage": {
        name: [[dep.asset_key.to_user_string(), dep.column_name] for dep in deps]
        for name, deps in metadata["dagster/column_lineage"].deps_by_column.items()
    },
    "code": [reference.file_path for reference in metadata["dagster/code_references"].code_references],
}))
"""


class Installed:
    """A deployment in whose processes the toy is installed."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment, self.folder = deployment, folder
        self.data = folder / "data" / deployment.account.name
        deployment.changes[toy_destination.FOLDER] = str(folder / "data")
        point = folder / "site" / "toy-1.0.dist-info"
        point.mkdir(parents=True)
        (point / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        (point / "entry_points.txt").write_text(
            f"[klaviyo_assets.destinations]\ntoy = {toy_destination.__name__}:TOY\n"
        )
        root = Path(toy_destination.__file__).parents[1]
        deployment.changes["PYTHONPATH"] = f"{point.parent}:{root}"

    def command(self, *arguments: str) -> tuple[int, Any]:
        """Exit code, and the document that a command prints."""
        process = self.deployment.process(self.folder, *arguments, "--json")
        out, err = process.communicate(timeout=400)
        assert out.strip(), err
        return process.returncode, json.loads(out)

    def graph(self) -> dict[str, Any]:
        """The graph, and how old its data are."""
        variables = {name: value for name, value in self.deployment.variables.items() if value is not None}
        accounts = str(self.deployment.accounts_file(self.folder))
        process = subprocess.run(
            [sys.executable, "-P", "-c", _GRAPH], cwd=self.folder, text=True, capture_output=True, check=False,
            env={"PATH": "/usr/bin:/bin", **variables, "KLAVIYO_ACCOUNTS_FILE": accounts},
        )  # fmt: skip
        assert process.returncode == 0, process.stderr
        document: dict[str, Any] = json.loads(process.stdout.strip().splitlines()[-1])
        return document


@pytest.fixture
def installed(deploy: Any, tmp_path: Path) -> Installed:
    return Installed(deploy("toyed", last_days=2), tmp_path)


def named(document: dict[str, Any], stage: str) -> dict[str, Any]:
    (stage_document,) = [each for each in document["stages"] if each["stage"] == stage]
    return dict(stage_document)


def names(tables: Any) -> list[str]:
    return sorted(table.name for table in tables)


def lineage(table: TableSpec) -> dict[str, list[list[str]]]:
    return {column.name: [[f"mapped/{table.name}", column.name]] for column in table.columns}


def test_a_destination_of_another_package_is_like_the_others(installed: Installed) -> None:
    account, today = installed.deployment.account, str(installed.deployment.account.today())
    first = account.start_date
    blocked = installed.data / "event" / f"{first}.parquet"
    blocked.mkdir(parents=True)

    code, ran = installed.command("run", "--no-sync")

    # The run names the partition that failed and no other; BigQuery and reports have their data.
    (own,) = ran["accounts"]
    assert code != 0
    assert [failure for failure in own["failures"] if f"event [toyed|{first}]: {first}.parquet cannot be" in failure]
    assert not [failure for failure in own["failures"] if today in failure]
    assert named(ran, "toy")["partitions"] == named(ran, "bigquery")["partitions"] - 1
    assert named(ran, "toy")["seconds"] > 0
    assert named(ran, "report")["partitions"] > 0

    # Verify misses the day there.
    code, (seen,) = installed.command("verify")
    missed = {(finding["day"], finding["equation"], finding["subject"]) for finding in seen["findings"]}
    assert code != 0
    assert (str(first), "destination_rows", "toy") in missed
    assert {day for day, equation, _ in missed if equation.startswith("destination")} == {str(first)}

    # What only the toy has not is dirty, so the next run takes it there, and nothing else.
    blocked.rmdir()
    code, ran = installed.command("run", "--no-sync")
    (own,) = ran["accounts"]
    assert (code, own["failures"]) == (0, [])
    assert [(work["first"], work["last"]) for work in own["days"]] == [(str(first), str(first))]

    # Rows and money there are those of BigQuery.
    code, (seen,) = installed.command("verify")
    assert code == 0, seen["findings"]
    toy, bigquery = named(seen, "toy"), named(seen, "BigQuery event")
    assert (toy["rows"], toy["money"]) == (bigquery["rows"], bigquery["money"])
    assert toy["rows"] > 0

    # The graph has its assets, jobs, checks, columns and their lineage.
    graph = installed.graph()
    assert graph["partitions"] == {
        **dict.fromkeys(names(DAILY_TABLES), "MultiPartitionsDefinition"),
        **dict.fromkeys(names(ACCOUNT_TABLES), "StaticPartitionsDefinition"),
    }
    assert graph["jobs"] == {"dimensions": names(ACCOUNT_TABLES), "events": names([EVENT, ATTRIBUTION])}
    assert graph["checks"] == ["fresh_toyed"]
    assert [place for place, _ in graph["ages"]] == ["toyed"]
    assert graph["ages"][0][1] != "unknown"
    assert graph["columns"] == [column.name for column in TABLES["event"].columns]
    assert graph["lineage"] == lineage(TABLES["event"])
    assert str(Path(toy_destination.__file__)) in graph["code"]
