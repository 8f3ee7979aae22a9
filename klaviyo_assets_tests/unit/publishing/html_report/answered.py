"""Answers of BigQuery made by hand: two small accounts of different currencies, one of them with hostile names.

Here: rows. Not here: any expectation.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation import Conservation, Discrepancy, Equation, Severity
from klaviyo_assets.publishing.html_report.answers import Answers, Period
from klaviyo_assets.publishing.html_report.questions import SERIES
from klaviyo_assets.publishing.html_report.report import Report, render_report

ACCOUNT = Account("acme", "acme", timezone="America/New_York", currency="USD")
PERIOD = Period(date(2026, 1, 8), date(2026, 1, 14))
HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'single' </td></table>",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "\N{SPARKLES} emoji \U0001f6cd",
    "x" * 300,
    '=HYPERLINK("http://x") javascript:alert(1) {{ 7 * 7 }} {% raw %}',
)
Row = Mapping[str, Any]


def money(text: str) -> Decimal:
    return Decimal(text)


def coverage(**changes: Any) -> Row:
    return {
        "first_occurred_on": date(2025, 6, 1), "last_occurred_on": date(2026, 1, 20), "final_through": date(2026, 1, 9),
        "data_through": datetime(2026, 1, 20, 4, 30, tzinfo=UTC), "timezone": "America/New_York", "currency": "USD",
        "events": 1234, **changes,
    }  # fmt: skip


def headline(**changes: Any) -> Row:
    names = ("conversion_value", "conversions", "conversion_value_unattributed", "delivered", "recipients",
             "unsubscribes", "spam_complaints", "conversions_other_currency")  # fmt: skip
    row = {f"{name}{kind}": money("0.5") for name in names for kind in ("", "_before", "_change")}
    return row | {
        "conversion_value": money("12345.678"), "conversion_value_change": money("0.25"), "conversions": money("61"),
        "conversions_before": money("0"), "conversions_change": None, "delivered": 20000, "recipients": 20500,
        "delivered_change": -0.1234, "revenue": money("40000"), "share_of_revenue": money("0.308641975"),
        "share_of_revenue_change": money("0"), **changes,
    }  # fmt: skip


def rates(**changes: Any) -> Row:
    names = ("open_rate", "open_rate_excl_machine", "click_rate", "conversion_rate", "unsubscribe_rate",
             "delivery_rate")  # fmt: skip
    row: dict[str, Any] = {f"{name}{kind}": 0.1 for name in names for kind in ("", "_before", "_change")}
    return row | {
        "rows_not_final": 3, "delivered": 20000, "open_rate": 0.4321, "open_rate_change": -0.031, "unsubscribe_rate":
        0.0, "unsubscribe_rate_change": 0.002, "revenue_per_recipient": money("0.617283900"),
        "revenue_per_recipient_before": money("0.5"), "revenue_per_recipient_change": money("0.1172839"), **changes,
    }  # fmt: skip


def message(number: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "campaign_id": f"C{number}", "flow_id": f"F{number}", "message_id": f"M{number}", "channel": "email",
        "first_send_on": date(2026, 1, 8) + timedelta(days=number % 7), "campaign_name": name, "flow_name": name,
        "message_name": name, "flow_status": "live", "subject": name, "is_final": number % 2 == 0, "messages": 1,
        "recipients": 1000 + number, "delivered": 990 + number, "sends_opened": 400, "sends_clicked": 30,
        "sends_converted": number, "conversions": money(str(number)), "conversion_value": money(f"{number * 100}.5"),
        "open_rate": 0.4, "open_rate_excl_machine": 0.2, "click_rate": 0.03, "conversion_rate": 0.004,
        "revenue_per_recipient": money("0.1"), "unsubscribe_rate": 0.0, "campaigns": 30, "flows": 30,
        "flow_messages": 30, "delivery_rate": 0.99, **changes,
    }  # fmt: skip


def subject(number: int, name: str) -> Row:
    return {
        "subject": name, "campaigns": 1, "delivered": 1000, "sends_opened_excl_machine": 100 + 40 * number,
        "sends_clicked": 10, "open_rate_excl_machine": 0.1 + 0.04 * number, "others_delivered": 9000,
        "others_opened_excl_machine": 1500, "subject_lines": 6,
    }  # fmt: skip


def variation(name: str, arm: str, opened: int, clicked: int, delivered: int = 4000) -> Row:
    return {
        "source": "campaign", "owner_id": "C1", "message_id": "M1", "variation_id": arm, "owner_name": name,
        "message_name": name, "delivered": delivered, "sends_opened_excl_machine": opened, "sends_clicked": clicked,
        "sends_converted": 4, "conversion_value": money("99.5"), "open_rate_excl_machine": opened / delivered,
        "click_rate": clicked / delivered, "conversion_rate": 0.001, "arms": 2,
    }  # fmt: skip


def rows(names: tuple[str, ...] = HOSTILE, campaigns: int = 30) -> dict[str, list[Row]]:
    """An answer to every question."""
    named = [names[number % len(names)] for number in range(campaigns)]
    days = [date(2026, 1, 8) + timedelta(days=after) for after in range(7)]
    earned = {name: money("10.25") for name in SERIES}
    compared = {"conversion_value": money("51.25"), "conversion_value_before": money("0"), "conversions": money("2"),
                "conversion_value_change": None, "conversions_before": money("1"), "conversions_change": money("1"),
                "share_of_conversion_value": money("0.2")}  # fmt: skip
    return {
        "coverage": [coverage()],
        "headline": [headline()],
        "rates": [rates()],
        "revenue_by_day": [{"occurred_on": day, **earned, "conversion_value": money("51.25")} for day in days],
        "revenue_by_source": [{"series": name, **compared} for name in SERIES],
        "funnel": [message(1, "", channel="email"), message(2, "", channel="sms", open_rate=None)],
        "campaigns": [message(number, name) for number, name in enumerate(named)],
        "subject_lines": [subject(number, name) for number, name in enumerate(names)],
        "variations": [variation(names[0], "aaa", 800, 200), variation(names[0], "bbb", 600, 190)],
        "flows": [message(number, name) for number, name in enumerate(named[:6])],
        "flow_messages": [message(number, name) for number, name in enumerate(named[:6])],
        "machine_opens": [{"source": "campaign", "delivered": 9, "sends_opened": 5, "sends_opened_by_machine": 2,
                           "sends_opened_excl_machine": 3, "open_rate": 5 / 9, "open_rate_excl_machine": 3 / 9,
                           "click_rate": 0.1, "click_rate_excl_bot": 0.05}],
        "list_growth_by_day": [{"occurred_on": day, "subscribes": 5, "unsubscribes": 2, "net_growth": 3}
                               for day in days],
        "lists": [{"growth_of": "list", "list_name": names[-1], "channel": "email", "subscribes": 35,
                   "unsubscribes": 14, "net_growth": 21},
                  {"growth_of": "channel", "list_name": None, "channel": "sms", "subscribes": 0, "unsubscribes": 2,
                   "net_growth": -2}],
        "domains": [{"domain": "gmail.com", "recipients": 900, "delivered": 890, "bounced": 10, "bounced_hard": 4,
                     "spam_complaints": 1, "unsubscribes": 3, "delivery_rate": 0.98889, "bounce_rate": 0.0111,
                     "spam_complaint_rate": 0.00112}],
    }  # fmt: skip


def answers(**changes: Any) -> Answers:
    """All there is of the account in dollars; `changes` are those of `Answers`."""
    dollar_answers = Answers(ACCOUNT, PERIOD, rows(), Conservation([], {"equations": 42, "days": 7}))
    return replace(dollar_answers, **changes)


def euro() -> Answers:
    """Another account, in euro."""
    account = replace(ACCOUNT, name="bloom", currency="EUR", timezone="Europe/Berlin")
    euro_rows = rows(("Frühling",), campaigns=2)
    euro_rows["coverage"] = [coverage(currency="EUR", timezone="Europe/Berlin")]
    return answers(account=account, rows=euro_rows)


def broken() -> Conservation:
    """A reconciliation that failed."""
    equation = Equation("whole_money", "Money is whole.", "event", "report")
    finding = Discrepancy("acme", date(2026, 1, 9), equation, Decimal(2), Decimal(1), Severity.ERROR, "Load it again.")
    return Conservation([finding], {"equations": 42})


def report(*all_answers: Answers) -> Report:
    """The page of these answers."""
    chosen = all_answers or (answers(),)
    return render_report(chosen, {each.account.name: f"p.klaviyo_{each.account.name}" for each in chosen}, PERIOD)
