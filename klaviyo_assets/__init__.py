"""Software-defined assets for Klaviyo reporting: Fivetran tables in Postgres to checked numbers in BigQuery."""
