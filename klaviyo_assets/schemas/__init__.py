"""A `TableSpec` in the words of one library each; pure functions."""
