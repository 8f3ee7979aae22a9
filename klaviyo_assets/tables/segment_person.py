"""Members of segments. Not here: the rule that makes them so (`segment`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text

SPEC = copied_table(
    name="segment_person",
    grain="One row per segment and person in it.",
    description="Who is in which segment now. Deletes are inferred weekly, so a person may leave up to a week late.",
    key=("segment_id", "person_id"),
    previewed=("segment_id",),
    fields=(
        key_text("segment_id", "Id of the segment."),
        key_text("person_id", "Id of the person."),
    ),
)
