"""One file per stage, named for its key: the assets that Dagster shows."""
