"""The Parquet files between stages."""
