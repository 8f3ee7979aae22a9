"""Where mapped frames go: each destination owns its type map, schema and writer, and knows no other."""
