"""Campaigns, flows and their messages by send date, and how far people got with them."""

from klaviyo_assets.publishing.html_report.answers import Answers, Row
from klaviyo_assets.publishing.html_report.figures import (
    Chart,
    Figure,
    Section,
    Table,
    TableColumn,
    chart_pictures,
    lines,
)
from klaviyo_assets.publishing.html_report.formatting import Kind, count, text_of
from klaviyo_assets.publishing.html_report.question import Question
from klaviyo_assets.publishing.html_report.questions import CAMPAIGNS, FLOW_MESSAGES, FLOWS, FUNNEL, LONGEST, RATES
from klaviyo_assets.text import plural

CHANNELS = {"email": "Email", "sms": "Text", "mobile_push": "Push", "whatsapp": "WhatsApp", "None": "Not known"}
_RATES = (
    TableColumn("open_rate", "Open rate", Kind.SHARE, below="open_rate_excl_machine", below_kind=Kind.SHARE,
          below_words=" by people"),
    TableColumn("click_rate", "Click rate", Kind.SHARE),
    TableColumn("conversion_rate", "Order rate", Kind.SHARE),
    TableColumn("revenue_per_recipient", "Per recipient", Kind.MONEY),
    TableColumn("unsubscribe_rate", "Unsubscribed", Kind.SHARE),
)  # fmt: skip
_CAMPAIGN_COLUMNS = (
    TableColumn("campaign_name", "Campaign", Kind.TEXT, below="subject"),
    TableColumn("first_send_on", "Sent on", Kind.DAY, below="channel", names=CHANNELS),
    TableColumn(
        "conversion_value", "Revenue", Kind.MONEY, below="is_final", names={"True": "", "False": "still growing"}
    ),
    TableColumn("conversions", "Orders", Kind.COUNT),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    *_RATES,
)
_FLOW_COLUMNS = (
    TableColumn("flow_name", "Flow", Kind.TEXT, below="flow_status"),
    TableColumn("conversion_value", "Revenue", Kind.MONEY),
    TableColumn("conversions", "Orders", Kind.COUNT),
    TableColumn("messages", "Messages", Kind.COUNT),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    *_RATES,
)
_FUNNEL_STEPS = (
    ("recipients", "", "Sent"), ("delivered", "delivery_rate", "Delivered"), ("sends_opened", "open_rate", "Opened"),
    ("sends_clicked", "click_rate", "Clicked"), ("sends_converted", "conversion_rate", "Ordered"),
)  # fmt: skip
_FLOW_MESSAGE_COLUMNS = (
    TableColumn("message_name", "Message", Kind.TEXT, below="flow_name"),
    TableColumn("channel", "Channel", Kind.TEXT, names=CHANNELS),
    TableColumn("delivered", "Delivered", Kind.COUNT, has_bar=True),
    TableColumn("sends_opened", "Opened", Kind.COUNT),
    TableColumn("open_rate", "of delivered", Kind.SHARE, has_bar=True),
    TableColumn("sends_clicked", "Clicked", Kind.COUNT),
    TableColumn("click_rate", "of delivered", Kind.SHARE, has_bar=True),
    TableColumn("sends_converted", "Ordered", Kind.COUNT),
    TableColumn("conversion_rate", "of delivered", Kind.SHARE, has_bar=True),
    TableColumn("conversion_value", "Revenue", Kind.MONEY),
)
_FUNNEL_COLUMNS = (
    TableColumn("channel", "Channel", Kind.TEXT, names=CHANNELS),
    *(TableColumn(column, heading, Kind.COUNT) for column, _, heading in _FUNNEL_STEPS),
    TableColumn("delivery_rate", "Delivered of sent", Kind.SHARE),
    TableColumn("open_rate", "Opened of delivered", Kind.SHARE),
    TableColumn("click_rate", "Clicked of delivered", Kind.SHARE),
    TableColumn("conversion_rate", "Ordered of delivered", Kind.SHARE),
)


def funnel(answers: Answers) -> Section:
    """Sent, delivered, opened, clicked, ordered."""
    rows = answers.all(FUNNEL)
    table = Table(FUNNEL, "By channel", columns=_FUNNEL_COLUMNS, lines=lines(rows, _FUNNEL_COLUMNS, answers.currency))
    title = f"From sent to ordered: {CHANNELS[str(rows[0]['channel'])].lower()}" if rows else ""
    note = (
        "Each step counts sends: one message to one person. Delivered is a share of sent; the other steps are shares "
        "of delivered. An order can happen without an open or a click."
    )
    figures: list[Figure] = [Chart(FUNNEL, title, note, pictures=_funnel_pictures(rows[0], title),
                                   table=table)] if rows else []  # fmt: skip
    return Section("funnel", "Engagement funnel", "How far the messages sent in these days got.", figures)


def campaigns(answers: Answers) -> Section:
    """The campaign table."""
    rows = answers.all(CAMPAIGNS)
    note = (
        'Everything that a campaign led to counts on the day it was sent, as in Klaviyo. "Still growing" means that '
        'the attribution window is open; "by people" leaves out machine opens.'
    )
    table = _table(answers, CAMPAIGNS, "Campaigns", note, _CAMPAIGN_COLUMNS, "campaigns")
    return Section("campaigns", "Campaigns", f"{plural(len(rows), 'campaign message')} sent in these days.", [table])


def flows(answers: Answers) -> Section:
    """Flows, and the funnel of each of their messages."""
    note = 'Everything that a message led to counts on the day it was sent. "By people" leaves out machine opens.'
    tables = [
        _table(answers, FLOWS, "Flows", note, _FLOW_COLUMNS, "flows"),
        _table(answers, FLOW_MESSAGES, "Flow messages, from delivered to ordered",
               "Bars compare the messages with each other.", _FLOW_MESSAGE_COLUMNS, "flow_messages"),
    ]  # fmt: skip
    return Section("flows", "Flows", "How each flow did, and how far people got with each of its messages.", tables)


def not_final(answers: Answers) -> bool:
    """Whether numbers by send date will still grow."""
    return bool(answers.row_of(RATES).get("rows_not_final"))


def _table(
    answers: Answers, question: Question, title: str, note: str, columns: tuple[TableColumn, ...], total: str
) -> Table:
    rows = answers.all(question)
    left_out = rows[0][total] - len(rows) if rows else 0
    limit_note = f" Only the first {LONGEST} of {rows[0][total]:,} are shown." if left_out else ""
    return Table(
        question, title, f"{note}{limit_note}", columns=columns, lines=lines(rows, columns, answers.currency),
        is_searchable=True, empty="Nothing was sent in these days.",
    )  # fmt: skip


def _funnel_pictures(row: Row, title: str) -> dict[str, str]:
    import pandas as pd

    steps = [
        {
            "name": name, "value": float(row[column]),
            "label": count(row[column]) + (f" ({text_of(row[rate], Kind.SHARE)})" if rate else ""),
        }
        for column, rate, name in _FUNNEL_STEPS
    ]  # fmt: skip
    return chart_pictures("bars", pd.DataFrame(steps), title=title, unit="sends")
