"""The metrics (kinds of event) a simulated account has.

Here: their names today and some years ago, and the integration each comes from.
"""

from dataclasses import dataclass

import numpy as np

from klaviyo_assets.sandbox.fivetran.shop.dice import Bools
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile


@dataclass(frozen=True, slots=True)
class Metric:
    """One kind of event; `key` is this simulation's own name for it."""

    key: str
    name: str
    integration: str
    former_name: str | None = None

    def spelling_of(self, profile: Profile) -> str:
        """The name as the account shows it."""
        return self.former_name if profile.former_names and self.former_name else self.name


CATEGORIES = {"Klaviyo": "Internal", "Shopify": "eCommerce", "API": "API", "Klaviyo Reviews": "Internal"}

METRICS = (
    Metric("received_email", "Received Email", "Klaviyo"),
    Metric("opened_email", "Opened Email", "Klaviyo"),
    Metric("clicked_email", "Clicked Email", "Klaviyo"),
    Metric("bounced_email", "Bounced Email", "Klaviyo"),
    Metric("dropped_email", "Dropped Email", "Klaviyo"),
    Metric("spam", "Marked Email as Spam", "Klaviyo"),
    Metric("unsubscribed_email", "Unsubscribed from Email Marketing", "Klaviyo", "Unsubscribed"),
    Metric("unsubscribed_list", "Unsubscribed from List", "Klaviyo"),
    Metric("subscribed_email", "Subscribed to Email Marketing", "Klaviyo"),
    Metric("subscribed_list", "Subscribed to List", "Klaviyo"),
    Metric("updated_preferences", "Updated Email Preferences", "Klaviyo"),
    Metric("received_sms", "Received Text Message", "Klaviyo", "Received SMS"),
    Metric("clicked_sms", "Clicked Text Message", "Klaviyo", "Clicked SMS"),
    Metric("failed_sms", "Failed to Deliver Text Message", "Klaviyo", "Failed to Deliver SMS"),
    Metric("sent_sms", "Sent Text Message", "Klaviyo", "Sent SMS"),
    Metric("subscribed_sms", "Subscribed to Text Message Marketing", "Klaviyo", "Consented to Receive SMS"),
    Metric(
        "unsubscribed_sms", "Unsubscribed from Text Message Marketing", "Klaviyo", "Unsubscribed from SMS Marketing"
    ),
    Metric("auto_sms", "Received Automated Response Text Message", "Klaviyo", "Received Automated Response SMS"),
    Metric(
        "failed_auto_sms",
        "Failed to Deliver Automated Response Text Message",
        "Klaviyo",
        "Failed to Deliver Automated Response SMS",
    ),
    Metric("received_push", "Received Push", "Klaviyo"),
    Metric("opened_push", "Opened Push", "Klaviyo"),
    Metric("bounced_push", "Bounced Push", "Klaviyo"),
    Metric("submitted_form", "Form submitted by profile", "Klaviyo"),
    Metric("active_on_site", "Active on Site", "API"),
    Metric("viewed_product", "Viewed Product", "API"),
    Metric("added_to_cart", "Added to Cart", "API"),
    Metric("checkout_started", "Checkout Started", "Shopify"),
    Metric("placed_order", "Placed Order", "Shopify"),
    Metric("ordered_product", "Ordered Product", "Shopify"),
    Metric("fulfilled_order", "Fulfilled Order", "Shopify"),
    Metric("cancelled_order", "Cancelled Order", "Shopify"),
    Metric("refunded_order", "Refunded Order", "Shopify"),
    Metric("confirmed_shipment", "Confirmed Shipment", "Shopify"),
    Metric("delivered_shipment", "Delivered Shipment", "Shopify"),
    Metric("submitted_review", "Submitted review", "Klaviyo Reviews"),
    Metric("api_placed_order", "Placed Order", "API"),
    Metric("api_ordered_product", "Ordered Product", "API"),
)
CODES = {metric.key: code for code, metric in enumerate(METRICS)}

MESSAGE_KEYS = [
    "received_email",
    "opened_email",
    "clicked_email",
    "bounced_email",
    "dropped_email",
    "spam",
    "unsubscribed_email",
    "unsubscribed_list",
    "received_sms",
    "clicked_sms",
    "failed_sms",
    "unsubscribed_sms",
    "auto_sms",
    "failed_auto_sms",
    "sent_sms",
    "received_push",
    "opened_push",
    "bounced_push",
]
IS_MESSAGE: Bools = np.array([metric.key in MESSAGE_KEYS for metric in METRICS])
"""By metric code: about a message itself, so never attributed to another one."""


def metrics_of(profile: Profile) -> tuple[Metric, ...]:
    """The metrics that exist in an account."""
    return tuple(metric for metric in METRICS if profile.api_orders or not metric.key.startswith("api_"))
