"""Members of lists. Not here: joins and leaves over time, which are events."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import instant, key_text

SPEC = copied_table(
    name="list_person",
    grain="One row per list and person on it.",
    description="Who is on which list now. Deletes are inferred weekly, so a person may leave up to a week late.",
    key=("list_id", "person_id"),
    previewed=("list_id", "joined_group_at"),
    fields=(
        key_text("list_id", "Id of the list."),
        key_text("person_id", "Id of the person."),
        instant("joined_group_at", "When the person joined the list most recently (UTC)."),
    ),
)
