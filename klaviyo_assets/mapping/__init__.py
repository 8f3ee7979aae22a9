"""Raw rows to mapped rows: pure functions on values and frames."""
