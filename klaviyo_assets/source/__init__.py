"""All queries to Postgres."""
