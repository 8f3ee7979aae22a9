"""The reports: tables of statistics that BigQuery computes from the mapped tables, one file each.

Here: the list of them. Not here: what any of them holds. A new report is a file beside this one and a line below.
"""

from klaviyo_assets.reports.campaign_by_event_date import SPEC as CAMPAIGN_BY_EVENT_DATE
from klaviyo_assets.reports.campaign_by_send_date import SPEC as CAMPAIGN_BY_SEND_DATE
from klaviyo_assets.reports.flow_by_event_date import SPEC as FLOW_BY_EVENT_DATE
from klaviyo_assets.reports.flow_by_send_date import SPEC as FLOW_BY_SEND_DATE
from klaviyo_assets.reports.spec import ReportSpec

REPORTS: dict[str, ReportSpec] = {
    report.name: report
    for report in (CAMPAIGN_BY_EVENT_DATE, CAMPAIGN_BY_SEND_DATE, FLOW_BY_EVENT_DATE, FLOW_BY_SEND_DATE)
}
