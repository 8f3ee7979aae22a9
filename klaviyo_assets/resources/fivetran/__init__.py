"""Fivetran's API: settings, client, waiting for a sync."""
