"""What Looker Studio is told: fields with labels, ratios with formulas, and the link that opens a report.

Here: everything that is about Looker Studio and needs no server. Not here: the views it reads
(`reports/views/looker.py`), and where the link is shown (`cli/looker_link.py`, `defs/assets/view.py`).
"""
