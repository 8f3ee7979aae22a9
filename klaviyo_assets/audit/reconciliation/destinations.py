"""What the destinations that other packages add hold of events, beside BigQuery.

Here: their equations and sums. Not here: the archive and BigQuery, which `stages.py` compares with their source.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from klaviyo_assets.accounts import Account
from klaviyo_assets.audit.reconciliation.findings import Equation, Findings, run_command
from klaviyo_assets.audit.reconciliation.stages import Stages, StageSum, together
from klaviyo_assets.audit.reconciliation.warehouse import LoadedDay
from klaviyo_assets.stages.destination import HeldDay
from klaviyo_assets.stages.destinations import registered_destinations
from klaviyo_assets.tables import EVENT

DESTINATION_ROWS = Equation(
    "destination_rows", "Rows in every destination = rows in BigQuery.", "BigQuery", "destination"
)
DESTINATION_MONEY = Equation(
    "destination_money", "Money in every destination = money in BigQuery, in each currency.", "BigQuery", "destination"
)
# By destination and day.
HeldDays = Mapping[str, Mapping[date, HeldDay]]


def held_days(account: Account, first: date, last: date) -> HeldDays:
    """What each added destination holds of an account's days, `first` to `last`, both included.

    Raises:
        TransientError: a destination cannot be reached.
        PermanentError: it refuses.
    """
    return {
        name: destination.held(account, first, last)
        for name, destination in registered_destinations().items()
        if destination.held is not None
    }


def check_destinations(stages: Stages, held: HeldDays, findings: Findings) -> None:
    """Compare each destination with BigQuery, day by day."""
    for name, days in held.items():
        for day in stages.days:
            _check_day(stages, name, day, days.get(day, HeldDay()), findings)


def _check_day(stages: Stages, name: str, day: date, held: HeldDay, findings: Findings) -> None:
    loaded = stages.daily[EVENT.name].get(day, LoadedDay())
    command = run_command(stages.account, day, day, "--no-sync")
    fix = f"{name} was changed, or did not take the day: {command} takes it there again."
    findings.compare(DESTINATION_ROWS, loaded.rows, held.rows, fix, day=day, subject=name)
    for currency in sorted({*loaded.money, *held.money}):
        ours, theirs = (money.get(currency, Decimal(0)) for money in (loaded.money, held.money))
        findings.compare(DESTINATION_MONEY, ours, theirs, fix, day=day, subject=f"{name}, {currency}")


def destination_sums(held: HeldDays) -> Iterator[StageSum]:
    """Rows and money of each destination over all days."""
    for name, days in held.items():
        yield StageSum(name, sum(day.rows for day in days.values()), together(day.money for day in days.values()))
