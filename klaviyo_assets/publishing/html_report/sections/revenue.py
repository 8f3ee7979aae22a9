"""What messages earned, day by day and by kind of message."""

from datetime import timedelta
from typing import Any

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import Chart, Section, Table, TableColumn, chart_pictures, lines
from klaviyo_assets.publishing.html_report.formatting import Kind
from klaviyo_assets.publishing.html_report.questions import REVENUE_BY_DAY, REVENUE_BY_SOURCE, SERIES

NAMES = {
    "campaigns": "Campaigns", "flows": "Flows", "text_messages": "Text messages",
    "push_and_whatsapp": "Push and WhatsApp", "others": "Others",
}  # fmt: skip
_NOTE = (
    'Orders count on the day they were placed. "Campaigns" and "Flows" are their emails; text messages, and push and '
    "WhatsApp, are those of both. Orders that no message earned are not included."
)


def revenue(answers: Answers) -> Section:
    """Revenue over time, and by kind of message."""
    title = "Revenue from messages by day"
    figures = [
        Chart(
            REVENUE_BY_DAY, title, _NOTE, pictures=_pictures(answers, title),
            table=Table(REVENUE_BY_DAY, title, columns=_by_day(answers),
                        lines=lines(answers.all(REVENUE_BY_DAY), _by_day(answers), answers.currency)),
        ),
        Table(REVENUE_BY_SOURCE, "Revenue by kind of message",
              "Changes are compared with the period before." if answers.has_before else "", columns=_by_source(answers),
              lines=lines(answers.all(REVENUE_BY_SOURCE), _by_source(answers), answers.currency),
              empty="No order was credited to a message in these days."),
    ]  # fmt: skip
    return Section("revenue", "Revenue", "How much messages earned, and which kind of message earned it.", figures)


def _earning(answers: Answers) -> list[str]:
    rows = answers.all(REVENUE_BY_DAY)
    return [name for name in SERIES if any(row[name] for row in rows)] or list(SERIES[:3])


def _by_day(answers: Answers) -> list[TableColumn]:
    parts = [TableColumn(name, NAMES[name], Kind.MONEY) for name in _earning(answers)]
    return [
        TableColumn("occurred_on", "Day", Kind.DAY),
        *parts,
        TableColumn("conversion_value", "All messages", Kind.MONEY),
    ]


def _by_source(answers: Answers) -> list[TableColumn]:
    columns = [
        TableColumn("series", "Kind of message", Kind.TEXT, names=NAMES),
        TableColumn("conversion_value", "Revenue", Kind.MONEY),
        TableColumn("share_of_conversion_value", "Share", Kind.SHARE, has_bar=True),
        TableColumn("conversion_value_change", "Change", Kind.RISE),
        TableColumn("conversions", "Orders", Kind.COUNT),
        TableColumn("conversions_change", "Change", Kind.RISE),
    ]
    return columns if answers.has_before else [each for each in columns if each.kind is not Kind.RISE]


def _pictures(answers: Answers, title: str) -> dict[str, str]:
    import pandas as pd

    rows = {row["occurred_on"]: row for row in answers.all(REVENUE_BY_DAY)}
    days = [answers.period.start + timedelta(days=after) for after in range(answers.period.length)]
    chart_rows: list[dict[str, Any]] = [
        {"day": day, "series": NAMES[name], "value": float(rows[day][name] if day in rows else 0)}
        for day in days for name in _earning(answers)
    ]  # fmt: skip
    description = f"{title}, in {answers.currency}, {answers.period.text}"
    return chart_pictures(
        "stacked", pd.DataFrame(chart_rows), title=description, unit=answers.currency,
        series=[NAMES[name] for name in SERIES], height=240,
    )  # fmt: skip
