"""What a question to BigQuery is, and the pieces of SQL that several questions share.

Here: `Question`, and sums, rates and changes as SQL. Not here: the questions themselves (`questions.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from klaviyo_assets.reports.looker.fields import RATIOS
from klaviyo_assets.reports.spec import DateBasis


@dataclass(frozen=True)
class Question:
    """One statement.

    Attributes:
        name: Its name in the page, in `data-sql`.
        asks: What it asks, in words.
        date_basis: What its days mean.
        sql: GoogleSQL; its rows have a total order.
    """

    name: str
    asks: str
    date_basis: DateBasis
    sql: str


# Rates that make sense for all messages of a channel, of a flow, of a campaign.
RATES_OF_SENDS = ("open_rate", "open_rate_excl_machine", "click_rate", "conversion_rate", "revenue_per_recipient",
          "unsubscribe_rate")  # fmt: skip
SENT = ("recipients", "delivered", "sends_opened", "sends_opened_excl_machine", "sends_clicked",
         "sends_clicked_excl_bot", "sends_converted", "unsubscribes", "conversions", "conversion_value")  # fmt: skip


# A text message cannot be opened, so it is not in the denominator.
OPENABLE = "IF(channel = 'sms', 0, delivered)"


def ratios(names: Iterable[str]) -> str:
    """Rates as quotients of sums, each under its name."""
    return ",\n    ".join(f"{ratio(name)} AS {name}" for name in names)


def ratio(name: str) -> str:
    """A rate as a quotient of sums."""
    if name.startswith("open_rate"):
        return f"SAFE_DIVIDE({RATIOS[name].sums[0]}, SUM({OPENABLE}))"
    return RATIOS[name].sql


def sums(names: Iterable[str]) -> str:
    """Sums, each under the name of its column."""
    return ",\n    ".join(f"SUM({name}) AS {name}" for name in names)


def sums_with_before(names: Iterable[str], day: str) -> str:
    """Sums of the period and of the period before."""
    return ",\n    ".join(
        f"COALESCE(SUM(IF({day} >= @start_on, {name}, 0)), 0) AS {name},\n    "
        f"COALESCE(SUM(IF({day} < @start_on, {name}, 0)), 0) AS {name}_before"
        for name in names
    )


def changes(names: Iterable[str]) -> str:
    """The columns of `sums_with_before`, with their relative change."""
    return ",\n  ".join(
        f"{name}, {name}_before, SAFE_DIVIDE({name} - {name}_before, {name}_before) AS {name}_change" for name in names
    )


def quotients(quotients: Iterable[tuple[str, str, str]]) -> str:
    """Quotients of sums, now and before, and by how much they differ."""
    return ",\n  ".join(
        f"SAFE_DIVIDE({above}, {below}) AS {name},\n  "
        f"SAFE_DIVIDE({above}_before, {below}_before) AS {name}_before,\n  "
        f"SAFE_DIVIDE({above}, {below}) - SAFE_DIVIDE({above}_before, {below}_before) AS {name}_change"
        for name, above, below in quotients
    )


def sums_of(name: str) -> tuple[str, str, str]:
    """A rate, and the columns of `messages` of its numerator and denominator."""
    is_of_opens = name.startswith("open_rate")
    return name, RATIOS[name].numerator, "openable" if is_of_opens else RATIOS[name].denominator


def messages(first: str) -> str:
    """Rows of campaigns and flows by send date, starting on a day."""
    columns = f"send_on, channel, is_final, {OPENABLE} AS openable, {', '.join(SENT)}"
    return f"""messages AS (
  SELECT 'campaign' AS source, {columns}
  FROM looker_campaign_by_send_date WHERE send_on BETWEEN {first} AND @end_on
  UNION ALL
  SELECT 'flow' AS source, {columns}
  FROM looker_flow_by_send_date WHERE send_on BETWEEN {first} AND @end_on
)"""
