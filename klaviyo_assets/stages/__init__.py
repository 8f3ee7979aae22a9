"""The pipeline without Dagster: planning, mapping, loading, restating."""
