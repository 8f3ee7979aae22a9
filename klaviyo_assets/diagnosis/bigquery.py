"""BigQuery: do the credentials work, may datasets be made and written, and do they lie where they should.

Here: a probe dataset that is made and deleted again, and looking at each account's dataset. Not here: loading
(`destinations/bigquery/dataset.py`). Loads are free, and nothing is queried, so a diagnosis costs nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

from klaviyo_assets.accounts import Account
from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset, explained
from klaviyo_assets.diagnosis.findings import Finding, Scope
from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.resources.bigquery import BigQueryProjectResource

BIGQUERY = "bigquery"
_PATIENCE_SECONDS = 15.0
_PROBE = (Column(name="probe", type=LogicalType.STRING, description="What `klaviyo-assets doctor` wrote."),)


def check_project(bigquery: BigQueryProjectResource) -> Iterator[Finding]:
    """Credentials and permissions: a dataset is made, a row loaded, and both deleted."""
    scope = Scope(BIGQUERY)
    probe = dataset_of(bigquery, Account(f"doctor_{uuid4().hex[:12]}", postgres_schema=""))
    probe.ensure("A probe of `klaviyo-assets doctor`; it may be deleted.")
    try:
        _write(probe)
    finally:
        probe.delete()
    yield scope.ok(f"project {probe.project}: datasets can be made, written and deleted")


def check_account(bigquery: BigQueryProjectResource, account: Account) -> Iterator[Finding]:
    """The account's dataset, if it is there: its location, and whether it can be written."""
    scope = Scope(BIGQUERY, account.name)
    dataset = dataset_of(bigquery, account)
    location = dataset.stored_location()
    if location is None:
        yield scope.ok(f"dataset {dataset.qualified} will be made by the first load")
        return
    if location.casefold() != dataset.location.casefold():
        yield scope.fail(
            f"dataset {dataset.qualified} lies in {location}, BIGQUERY_LOCATION says {dataset.location}",
            f"Set BIGQUERY_LOCATION={location}, or another BIGQUERY_DATASET_PREFIX: a dataset cannot be moved.",
        )
        return
    _write(dataset)
    yield scope.ok(f"dataset {dataset.qualified} in {location} is writable")


def dataset_of(bigquery: BigQueryProjectResource, account: Account) -> BigQueryDataset:
    """The account's dataset, asked with less patience than a load has."""
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
