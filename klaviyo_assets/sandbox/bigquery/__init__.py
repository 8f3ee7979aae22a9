"""A local stand-in for BigQuery's REST API on DuckDB, for a laptop without a cloud account.

Here: the subset of the API that this project's loads and reports use, with BigQuery's own rules
where DuckDB would be more lenient. What is outside the subset is refused by name, never answered wrongly:
a stand-in that accepts too much is worse than none. Start it with `python -m klaviyo_assets.sandbox.bigquery`.

Rooms, from the wire inwards: `app` (HTTP), `datasets`, `tables`, `table_rows`, `job_calls` and `uploads` (endpoints),
`jobs` (their life), `loads` and `queries` (what a job does), `catalog` and `store` (what is kept), `sql` (GoogleSQL).
"""
