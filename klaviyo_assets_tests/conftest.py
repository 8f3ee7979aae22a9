"""How the tests are run: the order of their files, and what the garbage collector need not look at.

What takes longest begins first, so that no worker is left alone with it at the end.
"""

import gc

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

LONGEST = (
    "e2e/test_dagster_dev.py", "integration/test_pipeline.py", "properties/test_incremental.py",
    "integration/test_visibility.py", "integration/test_verify.py", "integration/test_planning.py",
    "integration/test_pipeline_imperfect.py", "integration/test_backfill_cuts.py", "unit/test_statements.py",
    "properties/test_raw_to_reports.py", "integration/test_containment.py", "integration/test_real_input.py",
    "integration/test_sandbox_supervisor.py", "integration/test_sync_sensor.py", "integration/test_reference.py",
    "integration/test_many_accounts.py", "integration/test_statements.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; within and between the others the order stays."""

    def rank(item: pytest.Item) -> int:
        return next((place for place, name in enumerate(LONGEST) if item.nodeid.split("::")[0].endswith(name)), 99)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Some 300,000 objects of imports and tests stay to the end: looking through them took a fifth of the time."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter's end find them all again: libraries report what is left over then."""
    gc.unfreeze()
