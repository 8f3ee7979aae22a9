"""Segments: people a rule finds. Not here: who is in them now (`segment_person`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import created_at, document, key_text, text, updated_at

SPEC = copied_table(
    name="segment",
    grain="One row per segment.",
    description="Groups that Klaviyo keeps filled by a rule. Lists, which people join, are in `list`.",
    key=("segment_id",),
    previewed=("segment_id", "name", "created_at", "updated_at"),
    fields=(
        key_text("segment_id", "Klaviyo's id of the segment.", raw="id"),
        text("name", "Name of the segment as Klaviyo shows it now."),
        document("definition", "The rule as JSON text: groups of conditions, joined by and."),
        created_at("segment"),
        updated_at("segment"),
    ),
)
