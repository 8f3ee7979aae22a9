"""A simulated Klaviyo account, as raw tables in Fivetran's shape.

`Shop(profile(0), seed=7, events_per_day=400, start=date(2026, 9, 1)).rows(until)` gives Arrow tables by name;
`klaviyo_assets.sandbox.fivetran.writer.write_sync` writes them into Postgres.
"""

from klaviyo_assets.sandbox.fivetran.shop.catalog import TABLES, Table
from klaviyo_assets.sandbox.fivetran.shop.incidents import EFFECTS, KINDS, Incident
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile, profile, profiles
from klaviyo_assets.sandbox.fivetran.shop.values_reports import GROUPINGS, STATISTICS, ValuesReports, Wanted
from klaviyo_assets.sandbox.fivetran.shop.world import Shop

__all__ = [
    "EFFECTS",
    "GROUPINGS",
    "KINDS",
    "STATISTICS",
    "TABLES",
    "Incident",
    "Profile",
    "Shop",
    "Table",
    "ValuesReports",
    "Wanted",
    "profile",
    "profiles",
]
