"""Everything that is asked of Postgres."""
