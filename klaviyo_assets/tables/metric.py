"""Metrics: the kinds of event an account has. Not here: what each kind means for statistics (`model/metrics.py`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import created_at, key_text, text, updated_at

SPEC = copied_table(
    name="metric",
    grain="One row per metric.",
    description="Kinds of event, such as `Placed Order`. The same name exists once per integration: the id is what is "
    "unique.",
    key=("metric_id",),
    previewed=("metric_id", "name", "integration_name", "integration_category", "integration_object"),
    fields=(
        key_text("metric_id", "Klaviyo's id of the metric.", raw="id"),
        text("name", "Name of the metric as this account has it; Klaviyo renamed several over the years."),
        text("integration_id", "Id of the integration that sends the events."),
        text("integration_name", "Name of that integration, such as `Shopify` or `API`."),
        text("integration_category", "Kind of that integration, such as `eCommerce` or `Internal`."),
        text("integration_object", "What Klaviyo's API calls that integration's resource: `integration`."),
        created_at("metric"),
        updated_at("metric"),
    ),
)
