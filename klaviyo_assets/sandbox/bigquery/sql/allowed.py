"""The whole allow-list: importing its modules registers every supported function and expression."""

from klaviyo_assets.sandbox.bigquery.sql import (
    aggregates,
    arrays,
    calls,
    dates,
    documents,
    formats,
    functions,
    names,
    operators,
    printf,
    texts,
    windows,
)

_ROOMS = (names, operators, calls, functions, texts, dates, formats, printf, documents, arrays, aggregates, windows)


def load() -> int:
    """Make sure that everything is registered, and return the number of functions."""
    return len({**calls.SCALARS, **calls.AGGREGATES, **calls.ANALYTICS}) if _ROOMS else 0


def function_names() -> list[str]:
    """Names of all supported functions, in alphabetical order."""
    return sorted({*calls.SCALARS, *calls.AGGREGATES, *calls.ANALYTICS})
