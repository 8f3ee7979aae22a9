"""Where the generated pages are, and how their generated part replaces the old one.

Here: the folder, the command and the marks. Not here: what any page says (one module each), and which pages there are
(`__main__.py`).
"""

from pathlib import Path

from klaviyo_assets.errors import PermanentError

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = "python -m klaviyo_assets.documentation"
START = f"<!-- Written by `{COMMAND}`: edit the code instead. -->"
END = "<!-- End of what the command writes. -->"


def with_part(page: str, part: str) -> str:
    """A page with a fresh part between its marks; the prose around them stays.

    Raises:
        PermanentError: the page has lost a mark.
    """
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise PermanentError(
            "a page has no place for its generated part", f"Add the lines {START!r} and {END!r} to it."
        )
    return f"{before}{START}\n\n{part}\n\n{END}{after}"
