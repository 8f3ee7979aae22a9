"""What each person did with each campaign or flow. Its grain, columns and SQL follow from `people.py`."""

from klaviyo_assets.reports.people import person_touch

SPEC = person_touch()
