"""A BigQuery dataset in this process: made once per file, empty for every test."""

import pytest

from klaviyo_assets_tests.unit.reports.view_dataset import Dataset


@pytest.fixture(scope="module")
def _dataset() -> Dataset:
    return Dataset()


@pytest.fixture
def dataset(_dataset: Dataset) -> Dataset:
    """An account's dataset, with every table and view and no rows."""
    _dataset.clear()
    return _dataset
