"""Statistics of campaign messages by send date. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import SEND_DATE, Owner, message_report

SPEC = message_report("campaign_by_send_date", Owner.CAMPAIGN, SEND_DATE, questions=(
    "How did each campaign do by the day it was sent?",
    "Which campaigns had the best open, click and conversion rates?",
    "Which arm of a campaign's A/B test did better?",
))  # fmt: skip
