"""A local stand-in for Fivetran: its REST API, backed by simulated Klaviyo shops that sync into Postgres.

Here: everything that plays Fivetran or Klaviyo. Not here: anything that the product itself needs. The product
never imports this package.
"""
