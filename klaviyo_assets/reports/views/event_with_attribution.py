"""Events with what earned them: `event` and `attribution` joined, for questions that no report answers.

Here: the view. Not here: which touch earns credit (`mapping/credit.py`), and statistics (`reports/`).
"""

from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.reports.views.spec import ViewColumn, copied, view
from klaviyo_assets.tables.attribution import SPEC as ATTRIBUTION
from klaviyo_assets.tables.campaign import SPEC as CAMPAIGN
from klaviyo_assets.tables.event import SPEC as EVENT

_JOINED_BY = ("event_id", "occurred_on")
_SEND = (
    "If it is missing and no flow is involved, this is the campaign's send time, as in the reports. A send more than a "
    "day after the event is ignored: the value is null."
)


def _view_column(spec: TableSpec, name: str, prefix: str = "") -> ViewColumn:
    """A column of the view; a missing send falls back to the campaign's. `prefix` distinguishes equal names."""
    if name not in ("send_at", "send_on"):
        return copied(spec, name, as_=f"{prefix}{name}" if prefix else "")
    campaign = f"campaign_of_{spec.name}"
    day = f"COALESCE({spec.name}.send_on, DATE({campaign}.send_at, @timezone))"
    moment = f"IF({spec.name}.send_on IS NULL, {campaign}.send_at, {spec.name}.send_at)"
    value = moment if name == "send_at" else day
    credible_send = f"IF({day} <= DATE_ADD(event.occurred_on, INTERVAL 1 DAY), {value}, NULL)"
    return copied(spec, name, as_=f"{prefix}{name}" if prefix else "", sql=credible_send, note=_SEND)


_OF_EVENT = tuple(_view_column(EVENT, column.name) for column in EVENT.columns)
_OF_CREDIT = tuple(
    _view_column(ATTRIBUTION, column.name, "credited_" if column.name in EVENT.column_names else "")
    for column in ATTRIBUTION.columns if column.name not in _JOINED_BY
)  # fmt: skip

SPEC = view(
    name="event_with_attribution",
    questions=(
        "Which message earned a single order?",
        "Which events answer a question that no report covers?",
    ),
    grain="One row per event and touch that shares its credit; one row for an event that no message earned.",
    description="Everything that happened, and which message earned it. `campaign_id`, `flow_id`, `message_id` and "
    "`variation_id` are what Klaviyo wrote on the event; `credited_...` and `touch_...` describe the message that "
    "earned it. An event with several touches has several rows: to count events, sum `weight` or count distinct event "
    "ids; to add up money, sum `credited_value`.",
    order=("event_id", "touch_rank"),
    reads=(EVENT, ATTRIBUTION, CAMPAIGN),
    columns=(*_OF_EVENT, *_OF_CREDIT),
    source="""FROM event
LEFT JOIN attribution ON attribution.event_id = event.event_id AND attribution.occurred_on = event.occurred_on
LEFT JOIN campaign AS campaign_of_event
  ON campaign_of_event.campaign_id = event.campaign_id AND event.flow_id IS NULL
LEFT JOIN campaign AS campaign_of_attribution
  ON campaign_of_attribution.campaign_id = attribution.campaign_id AND attribution.flow_id IS NULL""",
)
