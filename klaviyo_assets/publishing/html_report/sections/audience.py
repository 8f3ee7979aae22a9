"""Whom messages can reach: how lists grow, and how email providers receive what is sent."""

from klaviyo_assets.publishing.html_report.answers import Answers
from klaviyo_assets.publishing.html_report.figures import (
    Chart,
    Figure,
    Section,
    Table,
    TableColumn,
    chart_pictures,
    lines,
)
from klaviyo_assets.publishing.html_report.formatting import Kind
from klaviyo_assets.publishing.html_report.questions import DOMAINS_ASKED, FEW_RECIPIENTS, LIST_GROWTH_BY_DAY, LISTS
from klaviyo_assets.publishing.html_report.sections.messages import CHANNELS

_DAY_COLUMNS = (
    TableColumn("occurred_on", "Day", Kind.DAY),
    TableColumn("subscribes", "Subscribed", Kind.COUNT),
    TableColumn("unsubscribes", "Unsubscribed", Kind.COUNT),
    TableColumn("net_growth", "Net", Kind.COUNT),
)
_LIST_COLUMNS = (
    TableColumn("list_name", "List", Kind.TEXT, names={"None": "Consent to the channel itself"}),
    TableColumn("channel", "Channel", Kind.TEXT, names=CHANNELS),
    *_DAY_COLUMNS[1:],
)
_DOMAIN_COLUMNS = (
    TableColumn("domain", "Email domain", Kind.TEXT),
    TableColumn("recipients", "Attempted", Kind.COUNT, has_bar=True),
    TableColumn("delivered", "Delivered", Kind.COUNT),
    TableColumn("delivery_rate", "Delivery rate", Kind.SHARE),
    TableColumn("bounced", "Bounced", Kind.COUNT),
    TableColumn("bounced_hard", "of them hard", Kind.COUNT),
    TableColumn("bounce_rate", "Bounce rate", Kind.SHARE),
    TableColumn("spam_complaints", "Spam complaints", Kind.COUNT),
    TableColumn("spam_complaint_rate", "Complaint rate", Kind.SHARE),
    TableColumn("unsubscribes", "Unsubscribes", Kind.COUNT),
)


def list_growth(answers: Answers) -> Section:
    """Subscribes and unsubscribes, by day and by list."""
    rows = answers.all(LIST_GROWTH_BY_DAY)
    title = "Subscribes and unsubscribes by day, all lists"
    by_day = Table(LIST_GROWTH_BY_DAY, title, columns=_DAY_COLUMNS,
                   lines=lines(rows, _DAY_COLUMNS, answers.currency))  # fmt: skip
    chart: list[Figure] = [
        Chart(LIST_GROWTH_BY_DAY, title,
              "A person who joins two lists counts twice. Consent to a channel is not included.",
              pictures=_pictures(answers, title), table=by_day)
    ] if rows else []  # fmt: skip
    note = "One act can be about a list and about consent to its channel: do not add these rows to each other."
    table = Table(LISTS, "By list", note, columns=_LIST_COLUMNS, is_searchable=True,
                  lines=lines(answers.all(LISTS), _LIST_COLUMNS, answers.currency),
                  empty="Nobody subscribed or unsubscribed in these days.")  # fmt: skip
    return Section("list_growth", "List growth", "How many people joined and left.", [*chart, table])


def deliverability(answers: Answers) -> Section:
    """Email domains."""
    note = (
        f"Bounces and complaints count on the day they happened. Domains with fewer than {FEW_RECIPIENTS} recipients "
        'are in "all others" because they may belong to one person. Providers want complaints below 0.1%.'
    )
    table = Table(DOMAINS_ASKED, "Email domains", note, columns=_DOMAIN_COLUMNS,
                  lines=lines(answers.all(DOMAINS_ASKED), _DOMAIN_COLUMNS, answers.currency),
                  empty="No email was sent in these days.")  # fmt: skip
    return Section("deliverability", "Deliverability", "How mailbox providers received your email.", [table])


def _pictures(answers: Answers, title: str) -> dict[str, str]:
    import pandas as pd

    signs = {"subscribes": ("Subscribed", 1), "unsubscribes": ("Unsubscribed", -1)}
    rows = [
        {"day": row["occurred_on"], "series": name, "value": float(sign * row[column])}
        for row in answers.all(LIST_GROWTH_BY_DAY) for column, (name, sign) in signs.items()
    ]  # fmt: skip
    description = f"{title}, {answers.period.text}"
    names = [name for name, _ in signs.values()]
    return chart_pictures("stacked", pd.DataFrame(rows), title=description, unit="people", series=names)
