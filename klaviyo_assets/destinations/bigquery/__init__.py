"""BigQuery: datasets, loads, merges and the ledger."""
