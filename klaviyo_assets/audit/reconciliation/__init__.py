"""Reconciliation: rows and money are conserved from raw Postgres to the reports, per account and day, to the cent.

Here: `reconcile` for everything, `report_conservation` for what BigQuery alone can show. Not here: Dagster, the
command line (`cli/verify.py`), and repairs: every finding says what to do.
"""

from klaviyo_assets.audit.reconciliation.conservation import Conservation, report_conservation
from klaviyo_assets.audit.reconciliation.findings import Discrepancy, Equation, Severity
from klaviyo_assets.audit.reconciliation.reconciling import Reconciliation, reconcile
from klaviyo_assets.audit.reconciliation.report_equations import BY_EVENT_DATE
from klaviyo_assets.audit.reconciliation.stages import StageSum

__all__ = [
    "BY_EVENT_DATE",
    "Conservation",
    "Discrepancy",
    "Equation",
    "Reconciliation",
    "Severity",
    "StageSum",
    "reconcile",
    "report_conservation",
]
