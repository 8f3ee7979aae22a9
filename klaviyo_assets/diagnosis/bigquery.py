"""BigQuery: do the credentials work, can datasets be created and written, and are they in the right location?

What belongs here: a probe dataset that is created and deleted again, and a check of each account's dataset. What does
not: loading (`destinations/bigquery/dataset.py`). Loads are free and nothing is queried, so a diagnosis costs nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset, explained
from klaviyo_assets.diagnosis.findings import DoctorFinding, Scope
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.resources.bigquery import BigQueryProjectResource

BIGQUERY = "bigquery"
_PATIENCE_SECONDS = 15.0
_PROBE = (Column(name="probe", type=LogicalType.STRING, description="What `klaviyo-assets doctor` wrote."),)


def check_project(bigquery: BigQueryProjectResource) -> Iterator[DoctorFinding]:
    """Credentials and permissions: create a dataset, load a row, and delete both."""
    scope = Scope(BIGQUERY)
    probe = dataset_of(bigquery, Account(f"doctor_{uuid4().hex[:12]}", postgres_schema=""))
    probe.ensure("A probe of `klaviyo-assets doctor`; it may be deleted.")
    try:
        _write(probe)
    finally:
        probe.delete()
    yield scope.ok(f"project {probe.project}: datasets can be created, written and deleted")


def check_account(bigquery: BigQueryProjectResource, account: Account) -> Iterator[DoctorFinding]:
    """The account's dataset, if it exists: its location, and whether it is writable."""
    scope = Scope(BIGQUERY, account.name)
    dataset = dataset_of(bigquery, account)
    location = dataset.stored_location()
    if location is None:
        yield scope.ok(f"the first load will create the dataset {dataset.qualified}")
        return
    if location.casefold() != dataset.location.casefold():
        yield scope.fail(
            f"dataset {dataset.qualified} is in {location}, but BIGQUERY_LOCATION is {dataset.location}",
            f"Set BIGQUERY_LOCATION={location}, or a different BIGQUERY_DATASET_PREFIX: a dataset cannot be moved.",
        )
        return
    _write(dataset)
    yield scope.ok(f"dataset {dataset.qualified} in {location} is writable")


def dataset_of(bigquery: BigQueryProjectResource, account: Account) -> BigQueryDataset:
    """The account's dataset, with a shorter timeout than a load has."""
    with explained("looking for Google credentials"):
        dataset = bigquery.dataset(account)
    return replace(dataset, patience_seconds=min(dataset.patience_seconds, _PATIENCE_SECONDS))


def _write(dataset: BigQueryDataset) -> None:
    """Load a row into a table of its own, and delete the table."""
    name = f"_doctor_{uuid4().hex[:12]}"
    try:
        dataset.append(name, _PROBE, [{"probe": "written"}], f"doctor-{uuid4().hex}")
    finally:
        dataset.drop(name)
