"""Where mapped frames go: each destination has its own type map, schema and writer, and does not know the others."""
