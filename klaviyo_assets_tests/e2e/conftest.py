"""One project with a sandbox, and one `dagster dev` in it, for all tests of this folder.

All of it ends with the folder's last test: servers take time from other tests of the process, and a browser leaves an
event loop running in it.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from klaviyo_assets_tests.e2e.dagster_dev import DagsterDev
from klaviyo_assets_tests.e2e.pages import Ui, browser
from klaviyo_assets_tests.e2e.project import ROOT, Project


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A synced sandbox with one account."""
    synced_project = Project.begin(tmp_path_factory.mktemp("project"))
    yield synced_project
    synced_project.end()


@pytest.fixture(scope="package")
def dagster_dev(project: Project) -> Iterator[DagsterDev]:
    """Webserver and daemon; every schedule is off."""
    began = time.monotonic()
    started = DagsterDev.begin(project)
    print(f"dagster dev serves the code location after {time.monotonic() - began:.1f} s")
    yield started
    started.end()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with browser() as launched:
        yield launched


@pytest.fixture
def ui(dagster_dev: DagsterDev, chromium: Browser, tmp_path: Path) -> Iterator[Ui]:
    """A tab; a complaint in its console fails the test. Pictures are kept where KLAVIYO_PICTURES says."""
    kept = os.environ.get("KLAVIYO_PICTURES")
    opened = Ui.open(dagster_dev.url, chromium, ROOT / kept if kept else tmp_path)
    yield opened
    opened.page.close()
    assert opened.complaints == []
