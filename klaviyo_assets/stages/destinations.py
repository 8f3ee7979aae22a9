"""Which destinations there are."""

from functools import cache

from klaviyo_assets.stages.archiving import ARCHIVE
from klaviyo_assets.stages.destination import Destination
from klaviyo_assets.stages.graph import registered
from klaviyo_assets.stages.loading import WAREHOUSE


@cache
def registered_destinations() -> dict[str, Destination]:
    """Every destination by the name of its stage; BigQuery is the last, for reports follow its loads."""
    return {each.name: each for each in (ARCHIVE, *registered(), WAREHOUSE)}
