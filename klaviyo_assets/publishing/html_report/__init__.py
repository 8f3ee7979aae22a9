"""The HTML report: one self-contained page with the numbers of one account or several.

Here: `build_report` and `make_report`. Not here: where a page goes.
"""

from klaviyo_assets.publishing.html_report.report import Report, build_report, make_report

__all__ = ["Report", "build_report", "make_report"]
