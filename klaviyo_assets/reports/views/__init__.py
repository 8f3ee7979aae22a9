"""The views: tables and reports joined for reading, one file per view or per family of views; they hold no rows.

Here: the list of them. Not here: what any of them shows, and the statement that creates one (`statement.py`).
"""

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.views.campaign_message_detail import DETAILS as CAMPAIGN_MESSAGES
from klaviyo_assets.reports.views.event_with_attribution import SPEC as EVENT_WITH_ATTRIBUTION
from klaviyo_assets.reports.views.flow_message_detail import DETAILS as FLOW_MESSAGES
from klaviyo_assets.reports.views.looker import looker_freshness, looker_lists, looker_messages, looker_report
from klaviyo_assets.reports.views.messages import Details
from klaviyo_assets.reports.views.named import named_view
from klaviyo_assets.reports.views.person_detail import person_detail
from klaviyo_assets.reports.views.spec import ViewSpec

# The reports of messages, and the view that has the names of their messages.
_NAMED: dict[str, Details] = {
    "campaign_by_event_date": CAMPAIGN_MESSAGES,
    "campaign_by_send_date": CAMPAIGN_MESSAGES,
    "campaign_lifetime": CAMPAIGN_MESSAGES,
    "flow_by_event_date": FLOW_MESSAGES,
    "flow_by_send_date": FLOW_MESSAGES,
    "flow_lifetime": FLOW_MESSAGES,
}

_WITH_NAMES = {name: named_view(REPORTS[name], names) for name, names in _NAMED.items()}

# In an order in which they can be created: a view comes after those that it reads.
VIEWS: dict[str, ViewSpec] = {
    view.name: view
    for view in (
        EVENT_WITH_ATTRIBUTION,
        CAMPAIGN_MESSAGES.spec,
        FLOW_MESSAGES.spec,
        *_WITH_NAMES.values(),
        person_detail(REPORTS["person_lifetime"]),
        looker_report(REPORTS["account_by_event_date"]),
        *(looker_messages(REPORTS[name], view) for name, view in _WITH_NAMES.items()),
        looker_report(REPORTS["deliverability_by_event_date"]),
        looker_lists(REPORTS["list_growth_by_event_date"]),
        looker_freshness(REPORTS["account_by_event_date"], REPORTS["consent_snapshot"]),
    )
}
