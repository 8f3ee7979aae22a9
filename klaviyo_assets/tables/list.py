"""Lists: people who were put or put themselves on them. Not here: who is on them (`list_person`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import created_at, key_text, text, updated_at

SPEC = copied_table(
    name="list",
    grain="One row per list.",
    description="Lists that people join and leave. Segments, which a rule fills, are in `segment`.",
    key=("list_id",),
    previewed=("list_id", "name", "created_at", "updated_at"),
    fields=(
        key_text("list_id", "Klaviyo's id of the list.", raw="id"),
        text("name", "Name of the list as Klaviyo shows it now.", raw="list_name", older_names=("name",)),
        created_at("list"),
        updated_at("list"),
    ),
)
