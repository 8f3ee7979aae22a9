"""People with what they did: `person` and the report `person_lifetime` joined.

Here: the view. Not here: the statistics (`reports/person_lifetime.py`).
"""

from klaviyo_assets.model.spec import Column, LogicalType
from klaviyo_assets.model.statistics import Kind
from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views.spec import ViewColumn, ViewSpec, copied, view
from klaviyo_assets.tables.person import SPEC as PERSON

_NUMBERS = (LogicalType.INTEGER, LogicalType.NUMERIC, LogicalType.FLOAT)
_HAS_EVENTS = ViewColumn(
    Column(name="has_events", type=LogicalType.BOOLEAN, description="Whether any event of the person is loaded."),
    "report.person_id IS NOT NULL",
)


def person_detail(report: ReportSpec) -> ViewSpec:
    """A view with one row per person of `person`.

    Args:
        report: What people did, one row per person with events.
    """
    statistics = tuple(_statistic(report, name) for name in report.column_names if name != "person_id")
    return view(
        name="person_detail",
        questions=("Who are the people behind the numbers?", "Who can be sent messages but never bought anything?"),
        grain="One row per person.",
        description="Everyone the account knows, and what they did over all time. People who did nothing have 0 in "
        "every number. People who have events but no row in `person` are in the report only.",
        order=("person_id",),
        reads=(PERSON, report),
        columns=(*(_of_person(report, column.name) for column in PERSON.columns), _HAS_EVENTS, *statistics),
        source=f"""FROM person
LEFT JOIN {report.name} AS report ON report.person_id = person.person_id""",
    )


def _of_person(report: ReportSpec, name: str) -> ViewColumn:
    """A column of `person`; if the report has a column of the same name, this one is Klaviyo's own value."""
    clashes = name != "person_id" and name in report.column_names
    return copied(PERSON, name, as_=f"klaviyo_{name}" if clashes else "")


def _statistic(report: ReportSpec, name: str) -> ViewColumn:
    """A number is 0 for people who did nothing; times and rates stay null: there is nothing to divide by."""
    rates = {statistic.name for statistic in report.statistics if statistic.kind is Kind.RATE}
    column = f"report.{name}"
    if name == "currency":
        return copied(report, name, sql=f"COALESCE({column}, @currency)")
    if report.column(name).type in _NUMBERS and name not in rates:
        return copied(report, name, sql=f"IF(report.person_id IS NULL, 0, {column})")
    return copied(report, name, sql=column)
