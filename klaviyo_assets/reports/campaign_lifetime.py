"""Statistics of campaign messages over all time. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import Owner, lifetime_report

SPEC = lifetime_report("campaign_lifetime", Owner.CAMPAIGN)
