"""Statistics of flow messages by send date. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import SEND_DATE, Owner, message_report

SPEC = message_report("flow_by_send_date", Owner.FLOW, SEND_DATE, questions=(
    "How did each flow do by the day its messages were sent?",
    "Which flow messages had the best open, click and conversion rates?",
))  # fmt: skip
