"""The destinations of mapped frames: each has its own type map, schema and writer, and does not know the others."""
