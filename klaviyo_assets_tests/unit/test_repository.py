"""The repository as a house: its files agree with each other, and the code location loads anywhere, quickly."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest

from klaviyo_assets_tests.checkout import ROOT

PACKAGE = ROOT / "klaviyo_assets"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGETS = ("setup", "run", "test", "test-slow", "test-live", "lint", "ui", "bench", "clean")
# Bare folders of people's machines, with something in them: no file of a repository has a reason to name one.
_MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|Users|work|root)/[\w.-]+")
# The only production package that needs what the extra `sandbox` brings.
_SANDBOX = PACKAGE / "sandbox"

NEEDED_TO_LOAD = {
    "dagster", "numpy", "pandas", "pandera", "psycopg", "pyarrow", "pydantic", "sqlglot", "tzdata",
}  # fmt: skip
_LOAD = """
import json, os, socket, sys

def refuse(*_):
    raise AssertionError("loading the code location used the network")

socket.socket.connect = refuse
from klaviyo_assets.definitions import defs

repository = defs.get_repository_def()
print(json.dumps({
    "jobs": sorted(job.name for job in repository.get_all_jobs()),
    "stages": sorted({key.path[0] for key in repository.asset_graph.get_all_asset_keys()}),
    "packages": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def imported_packages(folder: Path, without: Path | None = None) -> set[str]:
    """Top-level names that a folder's modules import, not those of the standard library and our own."""
    packages = set()
    for path in folder.rglob("*.py"):
        if without and path.is_relative_to(without):
            continue
        for node in ast.walk(_without_type_checking(ast.parse(path.read_text(encoding="utf-8")))):
            if isinstance(node, ast.Import):
                packages |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                packages.add(node.module.split(".")[0])
    return packages - set(sys.stdlib_module_names) - {"klaviyo_assets", "klaviyo_assets_tests"}


def _without_type_checking(module: ast.Module) -> ast.Module:
    """A module without what only type checkers import."""
    module.body = [
        node for node in module.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return module


def plain_name(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-").replace(".", "-")


def declared(*extras: str) -> set[str]:
    project = PYPROJECT["project"]
    listed = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return {plain_name(one) for one in listed}


# Looks through every installed distribution: half a second each time.
providers_of_packages = functools.cache(packages_distributions)


def undeclared(imported: set[str], declared_packages: set[str]) -> set[str]:
    """Imported packages of which no distribution is among the declared ones."""
    providers = providers_of_packages()
    return {
        name
        for name in imported
        if not {plain_name(provider) for provider in providers.get(name, [name])} & declared_packages
    }


def clean_environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "DAGSTER_DISABLE_TELEMETRY": "yes"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict:
    """What the code location holds when it is loaded from an empty folder with an empty environment."""
    folder = tmp_path_factory.mktemp("empty")
    done = subprocess.run(
        [sys.executable, "-c", _LOAD], cwd=folder, env=clean_environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_code_location_loads_without_environment_and_network_and_its_jobs_resolve(loaded):
    assert {"dimensions", "events", "reports"} <= set(loaded["jobs"])
    assert {"fivetran", "extracted", "mapped", "s3_archive", "bigquery", "report"} <= set(loaded["stages"])


def test_loading_imports_no_library_that_it_does_not_need(loaded):
    """Clients, charts and servers take up to a second each; they are imported where they are used.

    How many seconds it takes is a matter of the machine: `make bench` prints them.
    """
    declared_packages = declared("sandbox", "klaviyo", "dev")
    ours = {
        name
        for name in loaded["packages"]
        if name in providers_of_packages() and not undeclared({name}, declared_packages)
    }

    assert ours == NEEDED_TO_LOAD


def test_every_make_target_of_the_contract_exists_and_is_explained():
    explained = set(re.findall(r"^([a-z-]+):.*## \S", text_of(ROOT / "Makefile"), re.MULTILINE))

    assert set(TARGETS) <= explained


def test_a_clean_machine_runs_the_tests_as_make_does():
    """`.ci/run` calls pytest itself, so that the tests' closing line is the last one."""
    (in_make,) = re.findall(r"^test: .*\n\t@\$\(BIN\)(.*)$", text_of(ROOT / "Makefile"), re.MULTILINE)

    assert f"exec .venv/bin{in_make}".replace("$(WORKERS)", "3") in text_of(ROOT / ".ci" / "run")


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml", "pyproject.toml"])
def test_every_entrance_calls_the_code_location_by_the_same_name(name):
    """The name is part of every schedule's and sensor's identity: another one would forget their state."""
    text = text_of(ROOT / name)

    named = re.findall(r'^\s*(?:code_location_name|location_name)\s*[=:]\s*"?(\w+)"?', text, re.MULTILINE)

    assert set(named) == ({"klaviyo_assets"} if name != "dagster.yaml" else set())


def test_constraints_pin_versions_and_nothing_else():
    lines = [line for line in text_of(ROOT / "constraints.txt").splitlines() if not line.startswith("#")]

    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+-]+", line)] == []


def test_constraints_pin_every_declared_dependency():
    pinned = {plain_name(line) for line in text_of(ROOT / "constraints.txt").splitlines() if "==" in line}

    assert declared("sandbox", "dev") - pinned == set()


def test_no_file_names_a_path_of_somebodys_machine():
    paths_by_file = {str(path.relative_to(ROOT)): _MACHINE_PATH.findall(text_of(path)) for path in tracked_files()}

    assert {name: paths for name, paths in paths_by_file.items() if paths} == {}


def test_everything_the_product_imports_is_a_declared_dependency():
    assert undeclared(imported_packages(PACKAGE, without=_SANDBOX), declared("klaviyo")) == set()


def test_everything_the_sandbox_imports_is_a_declared_dependency():
    assert undeclared(imported_packages(_SANDBOX), declared("sandbox")) == set()


TOP_LEVEL_MODULES = {"__init__", "accounts", "definitions", "errors", "settings", "text"}


def rooms() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_a_module_stands_in_a_room():
    """Beside the rooms there are those few modules: put a new one where its import contract says what it may know."""
    outside = {path.stem for path in PACKAGE.glob("*.py")} - TOP_LEVEL_MODULES

    assert outside == set(), f"move these into one of the rooms of docs/architecture.md: {sorted(outside)}"


def test_the_import_contract_and_the_documentation_name_the_same_rooms():
    (contract,) = (each for each in PYPROJECT["tool"]["importlinter"]["contracts"] if each["id"] == "layers")
    floors = [set(re.split(r"\s*[|:]\s*", layer)) for layer in contract["layers"]]
    described: list[set[str]] = []
    for floor, room in re.findall(
        r"^\| (\d*) ?\| `(\w+)(?:/|\.py)` \|", text_of(ROOT / "docs/architecture.md"), re.MULTILINE
    ):
        if floor:
            described.append(set())
        described[-1].add(room)

    assert described == floors
    assert set().union(*floors) == rooms() | TOP_LEVEL_MODULES - {"__init__"}
    assert contract["exhaustive"]


def test_the_unit_tests_mirror_the_rooms():
    """Beside the rooms: tests of the tests' own tools, of the documentation and of the repository."""
    unit = ROOT / "klaviyo_assets_tests" / "unit"
    folders = {path.parent.relative_to(unit) for path in unit.rglob("test_*.py")}
    strays = {str(folder) for folder in folders if folder.parts and folder.parts[0] not in rooms() | {"faults"}}

    assert strays == set()


def test_no_packages_import_each_other_in_a_circle():
    graph = grimp.build_graph("klaviyo_assets", exclude_type_checking_imports=True)
    # The parts of a query hold each other: a subquery is a query.
    packages = {name for name in graph.modules if graph.find_children(name)} - {"klaviyo_assets.sandbox.bigquery.sql"}
    for package in packages:
        imported = {child: set() for child in graph.find_children(package)}
        for child, others in imported.items():
            for module in {child} | graph.find_descendants(child):
                for name in graph.find_modules_directly_imported_by(module):
                    others |= {each for each in imported if each != child and f"{name}.".startswith(f"{each}.")}
        list(TopologicalSorter(imported).static_order())
