"""A factory per stage: fivetran, extracted, mapped, s3_archive, bigquery, report."""
