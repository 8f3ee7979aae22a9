"""Facts: what every report of messages counts, as GoogleSQL over `event`, `attribution` and `campaign`.

Here: which events and credits are facts, and the day each one's message was sent. Not here: statistics over them
(`statistics.py`) and the grain they are counted at (`messages.py`).
"""

from klaviyo_assets.metrics import Role
from klaviyo_assets.statistics import (
    CONVERTED,
    CONVERTED_OTHER_CURRENCY,
    COUNTED_ROLES,
    fact_of,
    metrics_of,
    text_literals,
)

READS = ("event", "attribution", "campaign")

# One act of unsubscribing is several events in one second; the one that says most about its message is kept.
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

_MESSAGE_EVENTS = f"""
SELECT event.occurred_on, event.campaign_id, event.flow_id, event.message_id, event.channel, event.variation_id,
  {fact_of("event.metric")} AS fact, event.person_id, event.segment_count,
  CAST(NULL AS NUMERIC) AS weight, CAST(NULL AS NUMERIC) AS value, event.send_at, event.send_on
FROM event
LEFT JOIN echo ON echo.event_id = event.event_id
WHERE event.metric IN ({text_literals(metrics_of(*COUNTED_ROLES))}) AND event.channel IS NOT NULL
  AND echo.event_id IS NULL AND event.occurred_on >= @first_event_on
"""

_CREDITS = f"""
SELECT attribution.occurred_on, attribution.campaign_id, attribution.flow_id, attribution.message_id,
  attribution.touch_channel AS channel, attribution.variation_id,
  IF(COALESCE(event.currency, @currency) = @currency,
     {text_literals([CONVERTED])}, {text_literals([CONVERTED_OTHER_CURRENCY])}) AS fact,
  event.person_id, CAST(NULL AS INT64) AS segment_count,
  attribution.weight, attribution.value, attribution.send_at, attribution.send_on
FROM attribution
JOIN event ON event.event_id = attribution.event_id AND event.occurred_on = attribution.occurred_on
WHERE event.is_conversion AND event.occurred_on >= @first_event_on AND attribution.occurred_on >= @first_event_on
"""

# The send an event or touch states, else its campaign's, joined late so that a rescheduled campaign is right. Flows
# send one person at a time, so a flow's message has no other send than the stated one.
_SENT = """
SELECT happened.* EXCEPT (send_at, send_on),
  IF(happened.send_on IS NULL, campaign.send_at, happened.send_at) AS send_at,
  COALESCE(happened.send_on, DATE(campaign.send_at, @timezone)) AS send_on
FROM happened
LEFT JOIN campaign ON campaign.campaign_id = happened.campaign_id AND happened.flow_id IS NULL
"""

# Nothing happens before its send. A stated send more than a day later is not believed: its day is unknown, not wrong.
# (That is also what lets a report of send days skip the events of earlier days.)
_BELIEVED = """
SELECT sent.* EXCEPT (send_at, send_on),
  IF(sent.send_on <= DATE_ADD(sent.occurred_on, INTERVAL 1 DAY), sent.send_on, NULL) AS send_on,
  CONCAT(
    COALESCE(CAST(IF(sent.send_on <= DATE_ADD(sent.occurred_on, INTERVAL 1 DAY), UNIX_MICROS(sent.send_at), NULL)
      AS STRING), ''),
    '|', COALESCE(sent.variation_id, ''), '|', COALESCE(sent.message_id, ''), '|', sent.person_id
  ) AS send_key
FROM sent
"""

# Common table expressions that end in `facts`: one row per message event and per credit of a conversion.
# Parameters: first_event_on (DATE), currency and timezone (STRING).
FACTS = f"""
echo AS ({_ECHO}),
happened AS ({_MESSAGE_EVENTS} UNION ALL {_CREDITS}),
sent AS ({_SENT}),
facts AS ({_BELIEVED})
"""
