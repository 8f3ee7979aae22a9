"""One Dagster resource per external system: settings and a client, no product logic."""
