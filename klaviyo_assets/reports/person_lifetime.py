"""What each person did over all time. Its grain, columns and SQL follow from `people.py`."""

from klaviyo_assets.reports.people import person_lifetime

SPEC = person_lifetime()
