"""The shape that `campaign_tag`, `flow_tag`, `list_tag` and `segment_tag` share: which tag is on which noun.

Here: one function. Not here: the tags themselves (`tags.py`).
"""

from klaviyo_assets.model.spec import TableSpec, copied_table
from klaviyo_assets.tables._fields import TAG_ID, key_text


def tagging(noun: str) -> TableSpec:
    """Spec of `<noun>_tag`. Fivetran imports it anew at every sync and captures no deletes."""
    return copied_table(
        name=f"{noun}_tag",
        grain=f"One row per {noun} and tag on it.",
        description=f"Which tags are on which {noun}; names are in `{noun}` and `tags`.",
        key=(f"{noun}_id", "tag_id"),
        deletes=False,
        previewed=(f"{noun}_id", "tag_id"),
        fields=(key_text(f"{noun}_id", f"Id of the tagged {noun}."), TAG_ID),
    )
