"""Statistics of flow messages over all time. Its grain, columns and SQL follow from `messages.py`."""

from klaviyo_assets.reports.messages import Owner, lifetime_report

SPEC = lifetime_report("flow_lifetime", Owner.FLOW, questions=(
    "How did each flow do over all time?",
    "What did people do on the site and in the shop because of a flow?",
))  # fmt: skip
