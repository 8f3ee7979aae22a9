"""The reports: tables of statistics that BigQuery computes from the mapped tables, one file each.

Here: the list of them. Not here: what they hold. A new report is a file beside this one and a line below.
"""

from klaviyo_assets.reports.account_by_event_date import SPEC as ACCOUNT_BY_EVENT_DATE
from klaviyo_assets.reports.campaign_by_event_date import SPEC as CAMPAIGN_BY_EVENT_DATE
from klaviyo_assets.reports.campaign_by_send_date import SPEC as CAMPAIGN_BY_SEND_DATE
from klaviyo_assets.reports.campaign_lifetime import SPEC as CAMPAIGN_LIFETIME
from klaviyo_assets.reports.deliverability_by_event_date import SPEC as DELIVERABILITY_BY_EVENT_DATE
from klaviyo_assets.reports.flow_by_event_date import SPEC as FLOW_BY_EVENT_DATE
from klaviyo_assets.reports.flow_by_send_date import SPEC as FLOW_BY_SEND_DATE
from klaviyo_assets.reports.flow_lifetime import SPEC as FLOW_LIFETIME
from klaviyo_assets.reports.list_growth_by_event_date import SPEC as LIST_GROWTH_BY_EVENT_DATE
from klaviyo_assets.reports.person_lifetime import SPEC as PERSON_LIFETIME
from klaviyo_assets.reports.person_touch import SPEC as PERSON_TOUCH
from klaviyo_assets.reports.snapshots import CONSENT as CONSENT_SNAPSHOT
from klaviyo_assets.reports.snapshots import MEMBERSHIP as MEMBERSHIP_SNAPSHOT
from klaviyo_assets.reports.spec import ReportSpec

REPORTS: dict[str, ReportSpec] = {
    report.name: report
    for report in (
        ACCOUNT_BY_EVENT_DATE,
        CAMPAIGN_BY_EVENT_DATE,
        CAMPAIGN_BY_SEND_DATE,
        CAMPAIGN_LIFETIME,
        FLOW_BY_EVENT_DATE,
        FLOW_BY_SEND_DATE,
        FLOW_LIFETIME,
        PERSON_LIFETIME,
        PERSON_TOUCH,
        DELIVERABILITY_BY_EVENT_DATE,
        LIST_GROWTH_BY_EVENT_DATE,
        MEMBERSHIP_SNAPSHOT,
        CONSENT_SNAPSHOT,
    )
}
