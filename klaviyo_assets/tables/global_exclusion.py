"""People that no marketing message may reach. Not here: exclusions from one list (`list_exclusion`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import instant, key_text, text

SPEC = copied_table(
    name="global_exclusion",
    grain="One row per person excluded from everything.",
    description="People Klaviyo suppresses: unsubscribed from all, bounced for good, or suppressed by hand.",
    key=("person_id",),
    personal_properties=("email", "phone_number"),
    previewed=("reason", "excluded_at"),
    fields=(
        key_text("person_id", "Id of the person."),
        text("reason", "Why, in Klaviyo's words, such as `UNSUBSCRIBE`, `HARD_BOUNCE` or `USER_SUPPRESSED`."),
        instant("excluded_at", "When the person was excluded (UTC).", raw="timestamp"),
    ),
)
