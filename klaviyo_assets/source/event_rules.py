"""What the mapping decides about one event, as SQL conditions: its kind, and its message.

Here: the twins of rules in `mapping/event.py`. Each is composed from the data that state the rule there, and a property
test compares the two. Not here: which events are read (`source/touches.py`, `source/days.py`), and the time
of an event (`source/sql.py`).
"""

from collections.abc import Callable
from string import ascii_lowercase, ascii_uppercase

from psycopg import sql

from klaviyo_assets.mapping.event import COHORT_MESSAGE, COHORT_TIME, MESSAGE_COLUMNS, SEND_COHORT
from klaviyo_assets.model.metrics import AccountMetrics, MetricKind, Role
from klaviyo_assets.model.spec import BLANKS
from klaviyo_assets.source.sql import RawTable, id_text


def spelling(text: sql.Composable) -> sql.Composed:
    """The twin of `model.metrics.spelling`."""
    letters = map(sql.Literal, (BLANKS, ascii_uppercase, ascii_lowercase))
    return sql.SQL("translate(btrim({}, {}), {}, {})").format(text, *letters)


def is_of_kind(table: RawTable, metrics: AccountMetrics, is_chosen: Callable[[MetricKind], bool]) -> sql.Composable:
    """Whether the metric of an event `t` belongs to a chosen kind: the twin of `AccountMetrics.name_of`; never null."""
    test = metrics.test_of(is_chosen)
    metric_id = id_text(table, "metric_id") if "metric_id" in table.columns else sql.SQL("NULL::text")
    conditions = [_is_any(metric_id, test.ids)]
    if "type" in table.columns:
        unnamed = sql.SQL("NOT coalesce({}, false)").format(_is_any(metric_id, test.named_ids))
        conditions.append(unnamed + sql.SQL(" AND ") + _is_any(spelling(id_text(table, "type")), test.spellings))
    return sql.SQL("coalesce({}, false)").format(sql.SQL(" OR ").join(conditions))


def is_receipt(table: RawTable, metrics: AccountMetrics) -> sql.Composable:
    """Whether an event `t` is the receipt of a message."""
    return is_of_kind(table, metrics, lambda kind: kind.role is Role.RECEIVED)


def message(event: str) -> sql.Composed:
    """The message of an event, in the columns that `source.sql.select` returns: the twin of `message_id`.

    Args:
        event: The alias of the selected rows.
    """
    names = (_message(sql.Identifier(event, name), name) for name in MESSAGE_COLUMNS)
    return sql.SQL("coalesce({})").format(sql.SQL(", ").join(names))


def _message(column: sql.Identifier, name: str) -> sql.Composed:
    if name == SEND_COHORT:
        return sql.SQL("substring({} from {})").format(column, sql.Literal(f"^{COHORT_TIME}:({COHORT_MESSAGE})$"))
    return sql.SQL("CASE WHEN btrim({0}, {1}) <> '' THEN {0} END").format(column, sql.Literal(BLANKS))


def _is_any(text: sql.Composable, values: tuple[str, ...]) -> sql.Composed:
    return sql.SQL("{} = ANY({}::text[])").format(text, sql.Literal(list(values)))
