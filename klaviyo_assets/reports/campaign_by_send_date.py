"""Statistics of campaign messages by send date. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import SEND_DATE, Owner, message_report

SPEC = message_report("campaign_by_send_date", Owner.CAMPAIGN, SEND_DATE)
