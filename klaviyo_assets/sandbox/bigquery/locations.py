"""Where datasets are and where jobs run: a job sees only the datasets of its own location.

Location names are compared without regard to case, as in BigQuery.
"""

from collections.abc import Iterable

from klaviyo_assets.sandbox.bigquery.catalog import Catalog
from klaviyo_assets.sandbox.bigquery.errors import not_found

_FOUND_WITHOUT = ("US", "EU")
"""Jobs of these multi-regions are found without a location; for all others a request has to name it."""


def location_of(catalog: Catalog, datasets: Iterable[str], default: str) -> str:
    """Return where a job runs if it names no location: where its first dataset is."""
    places = {dataset.name: dataset.location for dataset in catalog.datasets()}
    return next((places[name] for name in datasets if name in places), default)


def check_datasets(catalog: Catalog, datasets: Iterable[str], location: str) -> None:
    """Check that a job can see its datasets.

    Raises:
        ApiError: 404 when one of them is in another location.
    """
    places = {dataset.name: dataset.location for dataset in catalog.datasets()}
    for name in datasets:
        if not is_in(places.get(name, location), location):
            raise not_found(f"Dataset {catalog.project}:{name} was not found in location {location}")


def is_in(place: str, location: str | None) -> bool:
    """Return whether a request that names `location`, or none, finds what is in `place`."""
    if not location:
        return place.upper() in _FOUND_WITHOUT
    return place.upper() == location.upper()
