"""Statistics of campaign messages by event date. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import EVENT_DATE, Owner, message_report

SPEC = message_report("campaign_by_event_date", Owner.CAMPAIGN, EVENT_DATE, questions=(
    "What did campaigns bring in on each day, whenever they were sent?",
))  # fmt: skip
