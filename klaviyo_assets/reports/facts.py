"""Facts: what every report counts, as GoogleSQL over `event`, `attribution` and `campaign`.

Here: which events and credits are facts, and the day on which the message of each was sent. Not here: statistics over
them (`model/statistics.py`), and the grain they are counted at (`counting.py`).
"""

from enum import StrEnum

from klaviyo_assets.model.metrics import MESSAGE_ROLES, Role
from klaviyo_assets.model.statistics import (
    CONVERTED,
    CONVERTED_OTHER_CURRENCY,
    COUNTED_ROLES,
    UNATTRIBUTED,
    UNATTRIBUTED_OTHER_CURRENCY,
    fact_of,
    metrics_of,
    text_literals,
)

READS = ("event", "attribution", "campaign")


class Scope(StrEnum):
    """Which events and credits a report looks at."""

    MESSAGES = "messages"  # message events that feed a statistic, and the credits of conversions
    TOUCHES = "touches"  # every message event, and the credits of all that messages earned
    EVERYTHING = "everything"  # every event, the credits of conversions, and the conversions that no message earned


# Klaviyo writes one unsubscribe as several events in the same second. We keep the one that says most about its message.
_ECHO = f"""
SELECT event.event_id
FROM event
WHERE event.metric IN ({text_literals(metrics_of(Role.UNSUBSCRIBED))})
  AND event.person_id IS NOT NULL AND event.occurred_on >= @first_event_on
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY event.person_id, event.channel, TIMESTAMP_TRUNC(event.occurred_at, SECOND)
  ORDER BY COALESCE(event.campaign_id, event.flow_id) IS NULL, event.message_id IS NULL, event.event_id
) > 1
"""

_OWN_CURRENCY = "COALESCE(event.currency, @currency) = @currency"


def _events(condition: str) -> str:
    return f"""
SELECT TRUE AS is_event, event.occurred_on, event.occurred_at, event.metric,
  IF(echo.event_id IS NULL AND event.channel IS NOT NULL, {fact_of("event.metric")}, NULL) AS fact,
  event.campaign_id, event.flow_id, event.message_id, event.channel, event.variation_id, event.person_id,
  event.is_machine_open OR event.is_bot_click AS is_machine, LOWER(event.email_domain) AS email_domain,
  IF(event.metric IN ({text_literals(metrics_of(Role.BOUNCED))}), LOWER(event.bounce_type), NULL) AS bounce_type,
  event.segment_count, event.credit_usage, event.spend, CAST(1 AS NUMERIC) AS weight, event.value,
  {_OWN_CURRENCY} AS is_own_currency, event.send_at, event.send_on
FROM event
LEFT JOIN echo ON echo.event_id = event.event_id
WHERE event.occurred_on >= @first_event_on AND {condition}
"""


# A credit, or a conversion without one, says what a message earned; it is not an event itself.
_NO_EVENT = """FALSE AS is_machine, CAST(NULL AS STRING) AS email_domain, CAST(NULL AS STRING) AS bounce_type,
  CAST(NULL AS INT64) AS segment_count, CAST(NULL AS NUMERIC) AS credit_usage, CAST(NULL AS NUMERIC) AS spend"""


def _credits(metric: str, condition: str) -> str:
    return f"""
SELECT FALSE AS is_event, attribution.occurred_on, event.occurred_at, {metric} AS metric,
  IF(event.is_conversion, IF({_OWN_CURRENCY},
     {text_literals([CONVERTED])}, {text_literals([CONVERTED_OTHER_CURRENCY])}), NULL) AS fact,
  attribution.campaign_id, attribution.flow_id, attribution.message_id, attribution.touch_channel AS channel,
  attribution.variation_id, event.person_id, {_NO_EVENT}, attribution.weight, attribution.value,
  {_OWN_CURRENCY} AS is_own_currency, attribution.send_at, attribution.send_on
FROM attribution
JOIN event ON event.event_id = attribution.event_id AND event.occurred_on = attribution.occurred_on
WHERE {condition} AND event.occurred_on >= @first_event_on AND attribution.occurred_on >= @first_event_on
"""


_UNATTRIBUTED = f"""
SELECT FALSE AS is_event, event.occurred_on, event.occurred_at, CAST(NULL AS STRING) AS metric,
  IF({_OWN_CURRENCY},
     {text_literals([UNATTRIBUTED])}, {text_literals([UNATTRIBUTED_OTHER_CURRENCY])}) AS fact,
  CAST(NULL AS STRING) AS campaign_id, CAST(NULL AS STRING) AS flow_id, CAST(NULL AS STRING) AS message_id,
  CAST(NULL AS STRING) AS channel, CAST(NULL AS STRING) AS variation_id, event.person_id, {_NO_EVENT},
  CAST(1 AS NUMERIC) AS weight, event.value, {_OWN_CURRENCY} AS is_own_currency,
  CAST(NULL AS TIMESTAMP) AS send_at, CAST(NULL AS DATE) AS send_on
FROM event
LEFT JOIN earned ON earned.event_id = event.event_id AND earned.occurred_on = event.occurred_on
WHERE event.is_conversion AND earned.event_id IS NULL AND event.occurred_on >= @first_event_on
"""
_EARNED = "SELECT DISTINCT event_id, occurred_on FROM attribution WHERE occurred_on >= @first_event_on"

# The send that an event or touch states, or else its campaign's: joined here so that a rescheduled campaign is right.
# A flow sends to one person at a time, so only the stated send can be the send of a flow's message.
_SENT = """
SELECT happened.* EXCEPT (send_at, send_on),
  IF(happened.send_on IS NULL, campaign.send_at, happened.send_at) AS send_at,
  COALESCE(happened.send_on, DATE(campaign.send_at, @timezone)) AS send_on
FROM happened
LEFT JOIN campaign ON campaign.campaign_id = happened.campaign_id AND happened.flow_id IS NULL
"""

# Nothing happens before its send. A stated send more than a day later is ignored: an unknown day is better than a wrong
# one. (This also lets a report by send date skip the events of earlier days.)
_BELIEVED = """
SELECT sent.* EXCEPT (send_at, send_on),
  CASE WHEN sent.flow_id IS NOT NULL THEN 'flow' WHEN sent.campaign_id IS NOT NULL THEN 'campaign' ELSE 'none' END
    AS message_source,
  IF(sent.send_on <= DATE_ADD(sent.occurred_on, INTERVAL 1 DAY), sent.send_on, NULL) AS send_on,
  CONCAT(
    COALESCE(CAST(IF(sent.send_on <= DATE_ADD(sent.occurred_on, INTERVAL 1 DAY), UNIX_MICROS(sent.send_at), NULL)
      AS STRING), ''),
    '|', COALESCE(sent.variation_id, ''), '|', COALESCE(sent.message_id, ''), '|', sent.person_id
  ) AS send_key
FROM sent
"""


def facts(scope: Scope) -> str:
    """Common table expressions that end in `facts`: one row per event and per credit of the scope.

    Parameters: first_event_on (DATE), currency and timezone (STRING).
    """
    ctes = {"echo": _ECHO}
    if scope is Scope.EVERYTHING:
        ctes["earned"] = _EARNED
        happened = [_events("TRUE"), _credits("CAST(NULL AS STRING)", "event.is_conversion"), _UNATTRIBUTED]
    elif scope is Scope.TOUCHES:
        of_messages = f"event.metric IN ({text_literals(metrics_of(*sorted(MESSAGE_ROLES)))})"
        happened = [_events(of_messages), _credits("event.metric", "TRUE")]
    else:
        of_statistics = f"event.metric IN ({text_literals(metrics_of(*COUNTED_ROLES))})"
        happened = [_events(of_statistics), _credits("CAST(NULL AS STRING)", "event.is_conversion")]
    ctes |= {"happened": " UNION ALL ".join(happened), "sent": _SENT, "facts": _BELIEVED}
    return ",\n".join(f"{name} AS ({query})" for name, query in ctes.items())
