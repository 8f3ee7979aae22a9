"""Our numbers beside those of fivetran/dbt_klaviyo 1.4.1, computed from the same rows in Postgres.

Here: reading the tables that the package left in Postgres, pairing its columns with ours, its rules said again as
small switches on the reference, and the comparison cell by cell. Not here: the package, or a way to run it.

`python -m klaviyo_assets_tests.peer --help` says how to compare.
"""
