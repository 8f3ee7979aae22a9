"""Postgres: settings, connections and snapshots, and what its errors mean."""
