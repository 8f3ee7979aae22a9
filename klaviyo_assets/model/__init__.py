"""What things are: tables, columns, metrics, statistics, and their types."""
