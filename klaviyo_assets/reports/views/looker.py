"""The views that Looker Studio reads: `looker_<report>`, flat, with names, and only with numbers that may be summed.

Here: which columns of a report they show, and how fresh an account's reports are. Not here: labels, ratios and the link
to Looker Studio (`klaviyo_assets/looker`), and the names themselves (`<report>_named`).

Looker Studio sums whatever it is given. So people and rates are left out: sends take the place of people, and a ratio
is a quotient of sums.
"""

from collections.abc import Iterable, Iterator

from klaviyo_assets.model.spec import Column, LogicalType, TableSpec
from klaviyo_assets.model.statistics import ADDITIVE_TWINS, STATISTICS, Kind, Statistic
from klaviyo_assets.reports.spec import DateBasis, ReportSpec
from klaviyo_assets.reports.views.spec import ViewColumn, ViewSpec, copied, view
from klaviyo_assets.tables.list import SPEC as LIST

PREFIX = "looker_"
ACCOUNT = Column(
    name="account", type=LogicalType.STRING, description="The account, by its name in `accounts.toml`."
)  # fmt: skip
_ACCOUNT = ViewColumn(ACCOUNT, "@account")
# What a chart may show or filter by, besides ids; the named views have more.
_OF_MESSAGES = ("subject", "from_label", "template_name", "tags", "utm_source", "utm_medium", "utm_campaign")
NAMES = {
    "campaign": ("campaign_name", "campaign_status", "message_label", *_OF_MESSAGES),
    "flow": ("flow_name", "flow_status", "trigger_type", "action_type", "message_name", *_OF_MESSAGES),
}
_UNNAMED = "The id if no name is known."
_GROWTH_OF = ViewColumn(
    Column(name="growth_of", type=LogicalType.STRING,
           description="list: the row is about a list; channel: about consent to the channel itself. One act is "
           "often both, so filter by one of them before you sum."),
    "IF(report.list_id IS NULL AND report.list_name IS NULL, 'channel', 'list')",
)  # fmt: skip
_CURRENT_NAME = "The list's current name, or else the name that the event states; null if the row is not about a list."


def looker_messages(report: ReportSpec, named_report: ViewSpec) -> ViewSpec:
    """The view for Looker Studio of a report of messages.

    Args:
        report: The report, of campaigns or of flows.
        named_report: Its view with names.
    """
    owner = report.name.partition("_")[0]
    names = (
        copied(named_report, name, sql=f"COALESCE(named.{name}, named.{owner}_id)", note=_UNNAMED)
        if name == f"{owner}_name"
        else copied(named_report, name, sql=f"named.{name}")
        for name in NAMES[owner]
    )
    return _looker_view(report, (named_report,), names, f"FROM {named_report.name} AS named", "named")


def looker_report(report: ReportSpec) -> ViewSpec:
    """The view for Looker Studio of a report whose rows need no names."""
    return _looker_view(report, (report,), (), f"FROM {report.name} AS report", "report")


def looker_lists(report: ReportSpec) -> ViewSpec:
    """The view for Looker Studio of the growth of lists, with the lists' current names."""
    source = f"FROM {report.name} AS report\nLEFT JOIN list ON list.list_id = report.list_id"
    return _looker_view(report, (report, LIST), (_GROWTH_OF,), source, "report")


def looker_freshness(report: ReportSpec, snapshot: ReportSpec) -> ViewSpec:
    """One row that says up to when an account's reports are complete.

    Args:
        report: The account day by day.
        snapshot: A report whose `data_through` advances even if nothing happens in the account.
    """
    date = LogicalType.DATE
    columns = (
        _ACCOUNT,
        ViewColumn(Column(name="timezone", type=LogicalType.STRING, description="Time zone of the account's days."),
                   "@timezone"),
        ViewColumn(Column(name="currency", type=LogicalType.STRING, description="Currency of the account's money."),
                   "@currency"),
        ViewColumn(Column(name="first_occurred_on", type=date, description="The first day with events."),
                   "MIN(reached.occurred_on)"),
        ViewColumn(Column(name="last_occurred_on", type=date, description="The last day with events."),
                   "MAX(reached.occurred_on)"),
        ViewColumn(Column(name="final_through", type=date, description="The last day with events whose attribution "
                          "window has passed; later days still gain orders. Null if there is none yet."),
                   "MAX(IF(reached.is_final, reached.occurred_on, NULL))"),
        ViewColumn(Column(name="data_through", type=LogicalType.TIMESTAMP, description="The reports include all that "
                          "happened up to here (UTC): start of the newest Fivetran sync they show. Null before the "
                          "first load."),
                   "MAX(reached.data_through)"),
    )  # fmt: skip
    return view(
        name=f"{PREFIX}freshness",
        questions=("Up to when are the reports complete?",),
        grain="One row for the account.",
        description="For Looker Studio: up to when the reports are complete; show it on every page.",
        order=("account",),
        reads=(report, snapshot),
        columns=columns,
        source=f"""FROM (
  SELECT occurred_on, is_final, data_through FROM {report.name}
  UNION ALL SELECT CAST(NULL AS DATE) AS occurred_on, CAST(NULL AS BOOL) AS is_final, data_through FROM {snapshot.name}
) AS reached""",
    )


def _looker_view(
    report: ReportSpec, reads: tuple[TableSpec, ...], names: Iterable[ViewColumn], source: str, rows: str
) -> ViewSpec:
    statistics = {statistic.name for statistic in report.statistics}
    names_kept = (name for name in report.column_names if name not in statistics - report.additive)
    own = [_view_column(report, name, rows) for name in names_kept]
    keys = [each for each in own if each.column.name in report.grain_columns]
    other_columns = [each for each in own if each not in keys]
    return view(
        name=f"{PREFIX}{report.name}",
        questions=report.questions,
        grain=report.grain,
        description=f"For Looker Studio, {_basis(report)}: {report.description} Every number here may be summed: "
        f"people and rates are left out. {_ratios(report.statistics)}".strip(),
        order=(ACCOUNT.name, *report.order),
        reads=reads,
        columns=(_ACCOUNT, *keys, *names, *other_columns),
        source=source,
    )


def _view_column(report: ReportSpec, name: str, rows: str) -> ViewColumn:
    """A report's column; times of events become days because Looker Studio would show them in UTC."""
    if name in ("first_event_at", "last_event_at"):
        end = name.partition("_")[0]
        column = Column(name=f"{end}_event_on", type=LogicalType.DATE,
                        description=f"Day of the row's {end} event, in the account's time zone.")  # fmt: skip
        return ViewColumn(column, f"DATE({rows}.{name}, @timezone)")
    if name == "list_name":
        current = Column(name=name, type=LogicalType.STRING, description=_CURRENT_NAME)
        return ViewColumn(current, f"COALESCE(list.name, {rows}.{name})")
    return copied(report, name, sql=f"{rows}.{name}")


def _basis(report: ReportSpec) -> str:
    return (
        "over all time"
        if report.date_basis is DateBasis.LIFETIME
        else f"by {report.date_basis} (`{report.day_column}`)"
    )


def _ratios(statistics: Iterable[Statistic]) -> str:
    ratios = "; ".join(_quotients(statistics))
    return f"Ratios are quotients of sums: {ratios}." if ratios else ""


def _quotients(statistics: Iterable[Statistic]) -> Iterator[str]:
    for statistic in statistics:
        if statistic.kind is Kind.RATE:
            yield f"`{statistic.name}` = {' / '.join(sums_of(statistic))}"


def additive(statistic: str) -> str:
    """What takes the place of a statistic when rows are summed: the statistic itself if it may be summed."""
    return ADDITIVE_TWINS.get(statistic, statistic)


def sums_of(rate: Statistic) -> tuple[str, str]:
    """The two sums whose quotient is the rate of many rows, in syntax that GoogleSQL and Looker Studio share.

    If a row does not state the denominator, its numerator does not count either: money earned by emails is not a return
    on the cost of text messages.
    """
    above, below = additive(rate.numerator), additive(rate.denominator)
    if STATISTICS[below].is_null_without_data:
        return f"SUM(CASE WHEN {below} IS NOT NULL THEN {above} END)", f"SUM({below})"
    return f"SUM({above})", f"SUM({below})"
