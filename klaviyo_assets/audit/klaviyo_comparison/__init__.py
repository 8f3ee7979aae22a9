"""Whether our reports agree with Klaviyo's own pages: Klaviyo's statistics and ours, message by message.

Here: numbers of both sides (`numbers.py`), ours from BigQuery (`ours.py`), what differs (`comparing.py`), which formula
reproduces Klaviyo's rates (`formulas.py`), and all of it in sentences (`sentences.py`). Not here: querying Klaviyo
(`resources/klaviyo/resource.py`), Dagster (`defs/checks/klaviyo_comparison.py`).

Klaviyo's campaign-values and flow-values reports count by send date, so they are compared with `campaign_by_send_date`
and `flow_by_send_date`, over days whose attribution window has passed.
"""

from klaviyo_assets.audit.klaviyo_comparison.comparing import Comparison, Difference, compare
from klaviyo_assets.audit.klaviyo_comparison.formulas import Formula, formulas
from klaviyo_assets.audit.klaviyo_comparison.numbers import COMPARED, MessageKey, klaviyos_side
from klaviyo_assets.audit.klaviyo_comparison.ours import REPORTS, Window, our_side, window_of
from klaviyo_assets.audit.klaviyo_comparison.sentences import differences_table, headline, remarks

__all__ = [
    "COMPARED",
    "REPORTS",
    "Comparison",
    "Difference",
    "Formula",
    "MessageKey",
    "Window",
    "compare",
    "differences_table",
    "formulas",
    "headline",
    "klaviyos_side",
    "our_side",
    "remarks",
    "window_of",
]
