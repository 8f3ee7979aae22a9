"""Snapshots: how many members lists and segments have, and how many people consent, day by day from the first load on.

Here: what Klaviyo states only for the present, kept as history. Not here: growth computed from events
(`list_growth_by_event_date.py`), which reaches back before the first load.
"""

from klaviyo_assets.model.spec import Column, LogicalType, one_of
from klaviyo_assets.reports.spec import DateBasis, ReportSpec

_S, _I = LogicalType.STRING, LogicalType.INTEGER

_DAY = Column(name="snapshot_on", type=LogicalType.DATE, required=True,
              description="The calendar day of `data_through`, in the account's time zone.")  # fmt: skip
_THROUGH = Column(name="data_through", type=LogicalType.TIMESTAMP, required=True,
                  description="Start of the Fivetran sync that the snapshot shows (UTC).")  # fmt: skip
_WHEN = "DATE(@data_through, @timezone) AS snapshot_on"


def _members(group: str) -> str:
    # Groups without members have rows too: an empty list is not an unknown list.
    return f"""
SELECT {_WHEN}, '{group}' AS group_type, held.{group}_id AS group_id, COUNT(member.person_id) AS members,
  COUNTIF(member.person_id IS NOT NULL AND person.can_receive_email_marketing) AS members_with_email_consent,
  COUNTIF(member.person_id IS NOT NULL AND person.can_receive_sms_marketing) AS members_with_sms_consent,
  @data_through AS data_through
FROM (SELECT {group}_id FROM {group} WHERE NOT COALESCE(is_deleted, FALSE)) AS held
LEFT JOIN (
  SELECT {group}_id, person_id FROM {group}_person WHERE NOT COALESCE(is_deleted, FALSE)
) AS member ON member.{group}_id = held.{group}_id
LEFT JOIN person ON person.person_id = member.person_id
GROUP BY held.{group}_id
"""


def _consents(channel: str) -> str:
    return f"""
SELECT {_WHEN}, '{channel}' AS channel, person.{channel}_marketing_consent AS consent, COUNT(*) AS people,
  COUNTIF(person.can_receive_{channel}_marketing) AS people_who_can_receive, @data_through AS data_through
FROM person
WHERE NOT COALESCE(person.is_deleted, FALSE)
GROUP BY person.{channel}_marketing_consent
"""


MEMBERSHIP = ReportSpec(
    name="membership_snapshot", date_basis=DateBasis.SNAPSHOT, statistics=(), keeps_history=True,
    reads=("list", "list_person", "segment", "segment_person", "person"),
    questions=("How many members did each list and segment have on each day?",),
    grain="One row per day and list or segment.",
    description="How many members each list and segment had, day by day. Klaviyo states only the present: days "
    "without a load have no rows, and rows of past days are never recomputed.",
    key=(), order=("snapshot_on", "group_type", "group_id"), day_column="snapshot_on", cluster=("group_id",),
    columns=(
        _DAY,
        Column(name="group_type", type=_S, required=True, constraints=(one_of("list", "segment"),),
               description="list or segment."),
        Column(name="group_id", type=_S, required=True, description="Id of the list or segment."),
        Column(name="members", type=_I, required=True, description="Members of the list or segment."),
        Column(name="members_with_email_consent", type=_I, required=True,
               description="Members who may receive email marketing."),
        Column(name="members_with_sms_consent", type=_I, required=True,
               description="Members who may receive text messages."),
        _THROUGH,
    ),
    rows_sql=f"{_members('list')} UNION ALL {_members('segment')}",
)  # fmt: skip

CONSENT = ReportSpec(
    name="consent_snapshot", date_basis=DateBasis.SNAPSHOT, statistics=(), keeps_history=True, reads=("person",),
    questions=("How many people may receive email and text messages, day by day?",),
    grain="One row per day, channel and consent.",
    description="How many people consented to which channel, day by day. Klaviyo states only the present: days "
    "without a load have no rows, and rows of past days are never recomputed.",
    key=(), order=("snapshot_on", "channel", "consent"), day_column="snapshot_on", cluster=("channel",),
    columns=(
        _DAY,
        Column(name="channel", type=_S, required=True, constraints=(one_of("email", "sms"),),
               description="email or sms."),
        Column(name="consent", type=_S,
               description="SUBSCRIBED, UNSUBSCRIBED or NEVER_SUBSCRIBED; null if Klaviyo states none."),
        Column(name="people", type=_I, required=True, description="People with that consent who are not deleted."),
        Column(name="people_who_can_receive", type=_I, required=True,
               description="Those of them who may receive messages on the channel now."),
        _THROUGH,
    ),
    rows_sql=f"{_consents('email')} UNION ALL {_consents('sms')}",
)  # fmt: skip
