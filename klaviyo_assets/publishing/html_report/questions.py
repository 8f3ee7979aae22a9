"""What the HTML report asks BigQuery: each question is one named statement over the `looker_*` views.

Here: the statements. Not here: the pieces that they share (`question.py`), asking them (`answers.py`), and what a page
shows of the rows (`sections/`). Every number on the page is a column of a row of one of these statements. The page
names the statement and lists all statements at its end, so that a reader can check. Rates are the quotients of sums
that Looker Studio shows (`reports/looker/fields.py`).

All statements take the dates `@start_on` and `@end_on`, both included, and `@before_on`, the first day of the preceding
period of the same length.
"""

from klaviyo_assets.publishing.html_report.question import (
    RATES_OF_SENDS,
    SENT,
    Question,
    changes,
    messages,
    quotients,
    ratios,
    sums,
    sums_of,
    sums_with_before,
)
from klaviyo_assets.reports.spec import DateBasis

# What fits on a page; the page says so if there is more.
LONGEST = 500
# A domain with fewer recipients may belong to one person, whom it would identify.
FEW_RECIPIENTS = 10
DOMAINS = 20

_HEADLINE = ("conversion_value", "conversions", "conversion_value_unattributed", "delivered", "recipients",
             "unsubscribes", "spam_complaints", "conversions_other_currency")  # fmt: skip
_HEADLINE_RATES = ("open_rate", "open_rate_excl_machine", "click_rate", "conversion_rate", "revenue_per_recipient",
                   "unsubscribe_rate", "delivery_rate")  # fmt: skip
_SERIES = """CASE
    WHEN channel = 'sms' THEN 'text_messages'
    WHEN channel IN ('mobile_push', 'whatsapp') THEN 'push_and_whatsapp'
    WHEN message_source = 'campaign' THEN 'campaigns'
    WHEN message_source = 'flow' THEN 'flows'
    ELSE 'others'
  END"""
SERIES = ("campaigns", "flows", "text_messages", "push_and_whatsapp", "others")

COVERAGE = Question(
    "coverage", "Which days have data, and up to when are they complete?", DateBasis.NOW,
    """WITH happened AS (
  SELECT SUM(events) AS events
  FROM looker_account_by_event_date
  WHERE occurred_on BETWEEN @start_on AND @end_on
)
SELECT first_occurred_on, last_occurred_on, final_through, data_through, timezone, currency, events
FROM looker_freshness CROSS JOIN happened""",
)  # fmt: skip
HEADLINE = Question(
    "headline", "How much did messages earn, how many arrived, and how does this compare with the period before?",
    DateBasis.EVENT,
    f"""WITH sums AS (
  SELECT
    {sums_with_before(_HEADLINE, "occurred_on")}
  FROM looker_account_by_event_date
  WHERE occurred_on BETWEEN @before_on AND @end_on
)
SELECT
  {changes(_HEADLINE)},
  conversion_value + conversion_value_unattributed AS revenue,
  SAFE_DIVIDE(conversion_value, conversion_value + conversion_value_unattributed) AS share_of_revenue,
  SAFE_DIVIDE(conversion_value, conversion_value + conversion_value_unattributed)
    - SAFE_DIVIDE(conversion_value_before, conversion_value_before + conversion_value_unattributed_before)
    AS share_of_revenue_change
FROM sums""",
)  # fmt: skip
RATES = Question(
    "rates", "How did the messages sent in the period do, and those sent in the period before?", DateBasis.SEND,
    f"""WITH {messages("@before_on")},
sums AS (
  SELECT
    {sums_with_before((*SENT, "openable"), "send_on")},
    COUNTIF(send_on >= @start_on AND NOT is_final) AS rows_not_final
  FROM messages
)
SELECT
  rows_not_final,
  delivered,
  {quotients(sums_of(name) for name in _HEADLINE_RATES)}
FROM sums""",
)  # fmt: skip
REVENUE_BY_DAY = Question(
    "revenue_by_day", "What did campaigns, flows and text messages earn each day?", DateBasis.EVENT,
    f"""WITH earned AS (
  SELECT occurred_on, conversion_value, {_SERIES} AS series
  FROM looker_account_by_event_date
  WHERE occurred_on BETWEEN @start_on AND @end_on
)
SELECT
  occurred_on,
  {", ".join(f"SUM(IF(series = '{name}', conversion_value, 0)) AS {name}" for name in SERIES)},
  SUM(conversion_value) AS conversion_value
FROM earned
GROUP BY occurred_on
ORDER BY occurred_on""",
)  # fmt: skip
REVENUE_BY_SOURCE = Question(
    "revenue_by_source", "How much did each kind of message earn, and how does this compare with the period before?",
    DateBasis.EVENT,
    f"""WITH earned AS (
  SELECT
    {_SERIES} AS series,
    {sums_with_before(("conversion_value", "conversions"), "occurred_on")}
  FROM looker_account_by_event_date
  WHERE occurred_on BETWEEN @before_on AND @end_on
  GROUP BY series
)
SELECT
  series,
  {changes(("conversion_value", "conversions"))},
  SAFE_DIVIDE(conversion_value, SUM(conversion_value) OVER ()) AS share_of_conversion_value
FROM earned
WHERE conversion_value != 0 OR conversions != 0 OR conversion_value_before != 0
ORDER BY conversion_value DESC, series""",
)  # fmt: skip
CAMPAIGNS = Question(
    "campaigns", "How did each campaign sent in the period do?", DateBasis.SEND,
    f"""WITH counted AS (
  SELECT
    MIN(send_on) AS first_send_on,
    campaign_id, message_id, channel,
    MIN(campaign_name) AS campaign_name,
    MIN(subject) AS subject,
    LOGICAL_AND(is_final) AS is_final,
    {sums(("recipients", "delivered", "conversions", "conversion_value"))},
    {ratios(RATES_OF_SENDS)}
  FROM looker_campaign_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on
  GROUP BY campaign_id, message_id, channel
)
SELECT *, COUNT(*) OVER () AS campaigns
FROM counted
ORDER BY first_send_on DESC, conversion_value DESC, campaign_id, message_id, channel
LIMIT {LONGEST}""",
)  # fmt: skip
FLOWS = Question(
    "flows", "How did the messages that each flow sent in the period do?", DateBasis.SEND,
    f"""WITH counted AS (
  SELECT
    flow_id,
    MIN(flow_name) AS flow_name,
    MIN(flow_status) AS flow_status,
    COUNT(DISTINCT message_id) AS messages,
    {sums(("recipients", "delivered", "conversions", "conversion_value"))},
    {ratios(RATES_OF_SENDS)}
  FROM looker_flow_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on
  GROUP BY flow_id
)
SELECT *, COUNT(*) OVER () AS flows
FROM counted
ORDER BY conversion_value DESC, delivered DESC, flow_id
LIMIT {LONGEST}""",
)  # fmt: skip
FLOW_MESSAGES = Question(
    "flow_messages", "How far did people get with each message of a flow?", DateBasis.SEND,
    f"""WITH counted AS (
  SELECT
    flow_id, message_id, channel,
    MIN(flow_name) AS flow_name,
    COALESCE(MIN(message_name), MIN(subject), message_id) AS message_name,
    {sums(("delivered", "sends_opened", "sends_clicked", "sends_converted", "conversion_value"))},
    {ratios(("open_rate", "click_rate", "conversion_rate"))}
  FROM looker_flow_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on
  GROUP BY flow_id, message_id, channel
),
ranked AS (
  SELECT *, SUM(conversion_value) OVER (PARTITION BY flow_id) AS flow_value, COUNT(*) OVER () AS flow_messages
  FROM counted
)
SELECT *
FROM ranked
ORDER BY flow_value DESC, flow_id, delivered DESC, message_id, channel
LIMIT {LONGEST}""",
)  # fmt: skip
FUNNEL = Question(
    "funnel", "Of the messages sent in the period, how many arrived, were opened, clicked and led to an order?",
    DateBasis.SEND,
    f"""WITH {messages("@start_on")},
counted AS (
  SELECT
    channel,
    {sums(("recipients", "delivered", "sends_opened", "sends_clicked", "sends_converted"))},
    {ratios(("delivery_rate", "open_rate", "click_rate", "conversion_rate"))}
  FROM messages
  GROUP BY channel
)
SELECT *
FROM counted
WHERE recipients > 0
ORDER BY recipients DESC, channel""",
)  # fmt: skip
MACHINES = Question(
    "machine_opens", "How many opens and clicks of email may be the work of programs?", DateBasis.SEND,
    f"""WITH {messages("@start_on")},
counted AS (
  SELECT
    source,
    {sums(("delivered", "sends_opened", "sends_opened_excl_machine", "sends_clicked", "sends_clicked_excl_bot"))},
    {ratios(("open_rate", "open_rate_excl_machine", "click_rate", "click_rate_excl_bot"))}
  FROM messages
  WHERE channel = 'email'
  GROUP BY source
)
SELECT *, sends_opened - sends_opened_excl_machine AS sends_opened_by_machine
FROM counted
WHERE delivered > 0
ORDER BY source""",
)  # fmt: skip
SUBJECTS = Question(
    "subject_lines", "Which subject lines of campaigns were opened, without machine opens?", DateBasis.SEND,
    f"""WITH subjects AS (
  SELECT
    subject,
    COUNT(DISTINCT campaign_id) AS campaigns,
    {sums(("delivered", "sends_opened_excl_machine", "sends_clicked"))},
    {ratios(("open_rate_excl_machine",))}
  FROM looker_campaign_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on AND channel = 'email' AND subject IS NOT NULL
  GROUP BY subject
)
SELECT
  *,
  SUM(delivered) OVER () - delivered AS others_delivered,
  SUM(sends_opened_excl_machine) OVER () - sends_opened_excl_machine AS others_opened_excl_machine,
  COUNT(*) OVER () AS subject_lines
FROM subjects
WHERE delivered > 0
ORDER BY open_rate_excl_machine DESC, delivered DESC, subject
LIMIT {LONGEST}""",
)  # fmt: skip
VARIATIONS = Question(
    "variations", "How did the variations of A/B tests compare?", DateBasis.SEND,
    f"""WITH variations AS (
  SELECT 'campaign' AS source, campaign_id AS owner_id, campaign_name AS owner_name, message_id, message_label
      AS message_name, variation_id, send_on, channel, {", ".join(SENT)}
  FROM looker_campaign_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on AND variation_id IS NOT NULL
  UNION ALL
  SELECT 'flow' AS source, flow_id AS owner_id, flow_name AS owner_name, message_id, message_name, variation_id,
    send_on, channel, {", ".join(SENT)}
  FROM looker_flow_by_send_date
  WHERE send_on BETWEEN @start_on AND @end_on AND variation_id IS NOT NULL
),
counted AS (
  SELECT
    source, owner_id, message_id, variation_id,
    MIN(owner_name) AS owner_name,
    MIN(message_name) AS message_name,
    MIN(send_on) AS first_send_on,
    {sums(("delivered", "sends_opened_excl_machine", "sends_clicked", "sends_converted", "conversion_value"))},
    {ratios(("open_rate_excl_machine", "click_rate", "conversion_rate"))}
  FROM variations
  GROUP BY source, owner_id, message_id, variation_id
),
compared AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY source, owner_id, message_id) AS arms,
    MIN(first_send_on) OVER (PARTITION BY source, owner_id, message_id) AS test_first_send_on
  FROM counted
  WHERE delivered > 0
)
SELECT *
FROM compared
WHERE arms > 1
ORDER BY test_first_send_on DESC, source, owner_id, message_id, variation_id
LIMIT {LONGEST}""",
)  # fmt: skip
LIST_GROWTH_BY_DAY = Question(
    "list_growth_by_day", "How many people joined and left lists on each day?", DateBasis.EVENT,
    """SELECT
  occurred_on,
  SUM(subscribes) AS subscribes,
  SUM(unsubscribes) AS unsubscribes,
  SUM(net_growth) AS net_growth
FROM looker_list_growth_by_event_date
WHERE occurred_on BETWEEN @start_on AND @end_on AND growth_of = 'list'
GROUP BY occurred_on
ORDER BY occurred_on""",
)  # fmt: skip
LISTS = Question(
    "lists", "How did each list grow, and who gave or withdrew consent to a channel?", DateBasis.EVENT,
    f"""WITH counted AS (
  SELECT
    growth_of, list_id, channel,
    MIN(list_name) AS list_name,
    {sums(("subscribes", "unsubscribes", "net_growth"))}
  FROM looker_list_growth_by_event_date
  WHERE occurred_on BETWEEN @start_on AND @end_on
  GROUP BY growth_of, list_id, IF(list_id IS NULL, list_name, NULL), channel
)
SELECT *, COUNT(*) OVER () AS lists
FROM counted
ORDER BY growth_of DESC, net_growth DESC, list_name, list_id, channel
LIMIT {LONGEST}""",
)  # fmt: skip
DOMAINS_ASKED = Question(
    "domains", "How did each email provider receive what was sent?", DateBasis.EVENT,
    f"""WITH domains AS (
  SELECT
    email_domain,
    {sums(("recipients", "delivered", "bounced", "spam_complaints", "unsubscribes"))},
    SUM(IF(bounce_type = 'hard', bounced, 0)) AS bounced_hard
  FROM looker_deliverability_by_event_date
  WHERE occurred_on BETWEEN @start_on AND @end_on
  GROUP BY email_domain
),
named AS (
  SELECT *,
    IF(recipients >= {FEW_RECIPIENTS} AND ROW_NUMBER() OVER (ORDER BY recipients DESC, email_domain) <= {DOMAINS},
       COALESCE(email_domain, '(not stated)'), '(all others)') AS domain
  FROM domains
),
counted AS (
  SELECT
    domain,
    COUNT(*) AS domains,
    {sums(("recipients", "delivered", "bounced", "bounced_hard", "spam_complaints", "unsubscribes"))},
    {ratios(("delivery_rate", "bounce_rate", "spam_complaint_rate"))}
  FROM named
  GROUP BY domain
)
SELECT *
FROM counted
WHERE recipients > 0
ORDER BY domain = '(all others)', recipients DESC, domain""",
)  # fmt: skip

# In the order of the page. The first question finds out whether there is anything to ask about.
QUESTIONS: dict[str, Question] = {
    question.name: question
    for question in (
        COVERAGE, HEADLINE, RATES, REVENUE_BY_DAY, REVENUE_BY_SOURCE, FUNNEL, CAMPAIGNS, SUBJECTS, VARIATIONS, FLOWS,
        FLOW_MESSAGES, MACHINES, LIST_GROWTH_BY_DAY, LISTS, DOMAINS_ASKED,
    )
}  # fmt: skip
