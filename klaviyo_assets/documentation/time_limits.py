"""The table of time limits in docs/reliability.md. Not here: the limits themselves (`transport/time_limits.py`)."""

from klaviyo_assets.text import markdown_table
from klaviyo_assets.transport.time_limits import all_limits


def limits_table() -> str:
    """Markdown: every limit, in the order of its declaration."""
    rows = ((limit.system, limit.call, f"{limit.seconds:g} s", limit.consequence) for limit in all_limits())
    return markdown_table(("system", "what is waited for", "limit", "what happens then"), rows)
