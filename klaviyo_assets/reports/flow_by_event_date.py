"""Statistics of flow messages by event date. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import EVENT_DATE, Owner, message_report

SPEC = message_report("flow_by_event_date", Owner.FLOW, EVENT_DATE, questions=(
    "What did flows bring in on each day, whenever their messages were sent?",
))  # fmt: skip
