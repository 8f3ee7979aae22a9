"""The views that Looker Studio reads as its data sources, and their titles.

Here: the list and the titles. Not here: the views themselves (`reports/views/looker.py`): they are created, described
and listed like every other view.
"""

from klaviyo_assets.reports import REPORTS
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.reports.views.looker import PREFIX
from klaviyo_assets.reports.views.spec import ViewSpec

LOOKER_VIEWS: dict[str, ViewSpec] = {name: view for name, view in VIEWS.items() if name.startswith(PREFIX)}
# The names of the data sources in Looker Studio; the date basis is part of the name.
TITLES: dict[str, str] = {
    "looker_account_by_event_date": "Account by event date",
    "looker_campaign_by_event_date": "Campaigns by event date",
    "looker_campaign_by_send_date": "Campaigns by send date",
    "looker_campaign_lifetime": "Campaigns over all time",
    "looker_flow_by_event_date": "Flows by event date",
    "looker_flow_by_send_date": "Flows by send date",
    "looker_flow_lifetime": "Flows over all time",
    "looker_deliverability_by_event_date": "Deliverability by event date",
    "looker_list_growth_by_event_date": "List growth by event date",
    "looker_freshness": "Freshness",
}


def report_of(view: str) -> ReportSpec | None:
    """The report whose rows a view shows; None for the view that says how fresh they are."""
    return REPORTS.get(view.removeprefix(PREFIX))
