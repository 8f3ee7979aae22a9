"""A local stand-in for Fivetran: its REST API, and behind it simulated Klaviyo shops that sync into Postgres.

What belongs here: everything that plays Fivetran or Klaviyo. What does not: anything the product itself needs; no
production module imports this package, and this package imports none of theirs except `errors`.
"""
