"""BigQuery's ledger: what was loaded, when, from which source, by which run.

One row per partition and load, never changed.

Here: its columns, the quarantine's columns, and reading the current state. Not here: writing
(`stages/loading.py`).
"""

import json

from klaviyo_assets.destinations.bigquery.dataset import BigQueryDataset
from klaviyo_assets.destinations.ledger import Entry
from klaviyo_assets.model.googlesql import column_list, quoted
from klaviyo_assets.model.spec import Column, LogicalType

_S, _I, _T = LogicalType.STRING, LogicalType.INTEGER, LogicalType.TIMESTAMP

# GoogleSQL reserves this word: every statement quotes the name of this column of ledger and quarantine.
PARTITION = quoted("partition")
# Keeps the newest row of each partition.
NEWEST = f"QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, {PARTITION} ORDER BY recorded_at DESC, job_id DESC) = 1"
ENTRY_COLUMNS = (
    "table_name", "partition", "recorded_at", "source_digest", "settings_fingerprint", "data_through", "details",
)  # fmt: skip
LEDGER = (
    Column(name="recorded_at", type=_T, required=True, description="When the load was recorded (UTC)."),
    Column(name="table_name", type=_S, required=True, description="Mapped table or report."),
    Column(
        name="partition",
        type=_S,
        required=True,
        description="Day (YYYY-MM-DD), account, or `undated` for events without a time. In SQL, quote this name.",
    ),
    Column(name="run_id", type=_S, required=True, description="Dagster run."),
    Column(name="job_id", type=_S, description="BigQuery job."),
    Column(name="code_version", type=_S, description="Version of klaviyo_assets."),
    Column(name="rows_raw", type=_I, description="Rows read from Postgres."),
    Column(name="rows_deleted", type=_I, description="Rows left out because Klaviyo deleted them."),
    Column(name="rows_quarantined", type=_I, description="Rows left out because they broke a rule."),
    Column(name="rows_loaded", type=_I, description="Rows in BigQuery after the load."),
    Column(name="value", type=LogicalType.NUMERIC, description="Sum of the loaded `value`, all currencies."),
    Column(name="sha256", type=_S, description="SHA-256 of the loaded Parquet file."),
    Column(name="bytes", type=_I, description="Size of the loaded Parquet file."),
    Column(name="source_digest", type=_S, description="Digest of the source rows that the load was built from."),
    Column(name="settings_fingerprint", type=_S, description="Fingerprint of the settings it was made with."),
    Column(name="data_through", type=_T, description="Start of the newest Fivetran sync it was made from (UTC)."),
    Column(
        name="details",
        type=LogicalType.JSON,
        description="What the next look at it needs to know, as JSON.",
    ),
)
# What a load keeps in `details`: its settings (never a secret), the other days from which it read touches, with their
# digests, the recorded ids that did not exist, the metrics of its touches, and the raw columns that it read.
PLANNING_DETAILS = ("settings", "reads", "missing", "metric_ids", "columns")
QUARANTINE = (
    Column(name="table_name", type=_S, required=True, description="Mapped table."),
    Column(name="partition", type=_S, required=True,
           description="Day, account, or `undated`. In SQL, quote this name."),
    Column(name="row_id", type=_S, required=True, description="Key of the raw row, parts joined with |."),
    Column(name="field", type=_S, required=True, description="Mapped column."),
    Column(name="rule", type=_S, required=True, description="Rule that was broken."),
    Column(name="reason", type=_S, required=True, description="Why, in words."),
    Column(name="value", type=_S, description="The raw value; personal values follow the `pii` setting."),
    Column(name="is_dropped", type=LogicalType.BOOLEAN, required=True,
           description="Whether the whole row is missing from the mapped table; else only the field is null."),
)  # fmt: skip


def current(dataset: BigQueryDataset) -> dict[tuple[str, str], Entry]:
    """The newest entry of every partition of an account, by table and partition; empty before the first load."""
    dataset.ensure()
    dataset.ensure_table("ledger", LEDGER, description="What was loaded, when, from which source, by which run.")
    return _newest(dataset)


def loaded_entries(dataset: BigQueryDataset) -> dict[tuple[str, str], Entry]:
    """Like `current`, but nothing is created: if there is no ledger, there are no entries.

    Raises:
        TransientError: BigQuery cannot be reached.
        PermanentError: it refuses.
    """
    return _newest(dataset) if dataset.has_table("ledger") else {}


def _newest(dataset: BigQueryDataset) -> dict[tuple[str, str], Entry]:
    rows = dataset.query(f"SELECT {column_list(ENTRY_COLUMNS)} FROM ledger {NEWEST}")
    entries = (
        Entry(
            row.table_name,
            row.partition,
            row.recorded_at,
            row.source_digest,
            row.settings_fingerprint,
            row.data_through,
            json.loads(row.details or "{}"),
        )
        for row in rows
    )
    return {(entry.table, entry.partition): entry for entry in entries}
