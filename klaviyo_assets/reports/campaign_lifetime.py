"""Statistics of campaign messages over all time. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import Owner, lifetime_report

SPEC = lifetime_report("campaign_lifetime", Owner.CAMPAIGN, questions=(
    "How did each campaign do over all time?",
    "What did people do on the site and in the shop because of a campaign?",
))  # fmt: skip
