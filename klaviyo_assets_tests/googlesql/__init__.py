"""Google's own GoogleSQL engine: what BigQuery would say of a statement, and what a query gives over given rows.

`google.py` is the front: `GoogleSql` analyzes and evaluates. The engine is Google's published analyzer and reference
evaluator, built for WebAssembly (PyPI `zetasql`); docs/decisions/0016 says what it cannot see. Not here: which
statements are sent to it.
"""
