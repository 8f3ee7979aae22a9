"""The pages that are generated from the specs."""
