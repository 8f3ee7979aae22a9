"""What Looker Studio is given: fields with labels, ratios with formulas, and the link that opens a report.

Here: everything about Looker Studio that needs no server. Not here: the views it reads
(`reports/views/looker.py`), and where the link is shown (`cli/looker_link.py`, `defs/assets/view.py`).
"""
