"""Write every generated page of `docs/`, and the lineage: `python -m klaviyo_assets.documentation`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from klaviyo_assets.documentation.looker_fields import field_list
from klaviyo_assets.documentation.pages import DOCS, with_part
from klaviyo_assets.documentation.tables import tables_document
from klaviyo_assets.documentation.time_limits import limits_table
from klaviyo_assets.reports import REPORTS, lineage
from klaviyo_assets.reports.views import VIEWS
from klaviyo_assets.tables import TABLES

# Each generated file, and its text made from the one that is there.
PAGES: Mapping[Path, Callable[[str], str]] = {
    DOCS / "tables.md": lambda _: tables_document(
        tuple(TABLES.values()), tuple(REPORTS.values()), tuple(VIEWS.values())
    ),
    DOCS / "looker_studio.md": lambda page: with_part(page, field_list()),
    DOCS / "reliability.md": lambda page: with_part(page, limits_table()),
    lineage.FILE: lambda _: lineage.written_lineage(),
}


def main() -> None:
    """Write every page again."""
    for path, refreshed in PAGES.items():
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
