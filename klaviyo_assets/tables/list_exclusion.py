"""People that one list must not mail. Not here: people that nothing may mail (`global_exclusion`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import instant, key_text, text

SPEC = copied_table(
    name="list_exclusion",
    grain="One row per list and person excluded from it.",
    description="People who unsubscribed from one list or were taken off it.",
    key=("list_id", "person_id"),
    personal_properties=("email", "phone_number"),
    previewed=("list_id", "created_at", "reason"),
    fields=(
        key_text("list_id", "Id of the list."),
        key_text("person_id", "Id of the person; Fivetran calls the column `id`.", raw="id"),
        instant("created_at", "When the person was excluded (UTC).", raw="created"),
        text("reason", "Why, in Klaviyo's words, such as `unsubscribed`."),
    ),
)
