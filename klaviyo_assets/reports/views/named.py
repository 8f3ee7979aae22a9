"""Reports of messages with names: `<report>_named` shows each row of a report with the names of its message.

Here: the view that follows from a report and a view of messages. Not here: the names themselves
(`campaign_message_detail.py`, `flow_message_detail.py`).
"""

from klaviyo_assets.reports.spec import ReportSpec
from klaviyo_assets.reports.views.messages import Details
from klaviyo_assets.reports.views.spec import ViewColumn, ViewSpec, copied, view


def named_view(report: ReportSpec, names: Details) -> ViewSpec:
    """A view with exactly one row per row of the report: names are joined by id, so no row is duplicated.

    Args:
        report: The report, with the columns `<owner>_id` and `message_id`.
        names: The names of the messages.
    """
    own = tuple(copied(report, name, sql=f"report.{name}") for name in report.column_names)
    return view(
        name=f"{report.name}_named",
        questions=report.questions,
        grain=report.grain,
        description=f"{report.description} With the current names of each row's message. A row without a "
        "message, or with an unknown message, still has the names of its "
        f"{names.owner_id.removesuffix('_id')}; if that has only one message, the row has the names of this message "
        "too.",
        order=report.order,
        reads=(report, names.spec),
        columns=(*own, *_names(report, names)),
        ctes=_common_tables(names),
        source=f"""FROM {report.name} AS report
LEFT JOIN owner ON owner.{names.owner_id} = report.{names.owner_id}
LEFT JOIN {names.spec.name} AS message ON message.message_id = report.message_id
LEFT JOIN only_message ON only_message.{names.owner_id} = report.{names.owner_id}
  AND (report.message_id IS NULL OR only_message.message_id IS NULL)""",
    )


def _names(report: ReportSpec, names: Details) -> tuple[ViewColumn, ...]:
    of_owner = (copied(names.spec, name, sql=f"owner.{name}") for name in names.of_owner)
    of_message = (
        copied(names.spec, name, sql=f"IF(message.message_id IS NULL, only_message.{name}, message.{name})")
        for name in names.of_message
    )
    return tuple(column for column in (*of_owner, *of_message) if column.column.name not in report.column_names)


def _common_tables(names: Details) -> str:
    """One row per campaign or flow, and the messages that are the only message of theirs."""
    owner_id, of_messages = names.owner_id, names.spec.name
    return f"""owner AS (
  SELECT {owner_id}, {", ".join(names.of_owner)}
  FROM {of_messages}
  WHERE {owner_id} IS NOT NULL
  QUALIFY ROW_NUMBER() OVER (PARTITION BY {owner_id} ORDER BY message_id) = 1
),
only_message AS (
  SELECT {owner_id}, message_id, {", ".join(names.of_message)}
  FROM {of_messages}
  WHERE {owner_id} IS NOT NULL
  QUALIFY COUNT(*) OVER (PARTITION BY {owner_id}) = 1
)"""
