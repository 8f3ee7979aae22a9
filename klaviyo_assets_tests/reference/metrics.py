"""Klaviyo's metrics, written out by hand: what each is called, its channel, and what it means for a message.

Here: names. A slip in the product's own catalogue shows, because nothing of it is used here.
"""

RECEIVED = {"Received Email", "Received Text Message", "Received Push", "Received WhatsApp"}
BOUNCED = {"Bounced Email", "Bounced Push"}
FAILED = {"Failed to Deliver Text Message", "Failed to Deliver WhatsApp"}
DROPPED = {"Dropped Email"}
OPENED = {"Opened Email", "Opened Push", "Opened WhatsApp"}
CLICKED = {"Clicked Email", "Clicked Text Message", "Clicked Push", "Clicked WhatsApp"}
UNSUBSCRIBED = {
    "Unsubscribed from Email Marketing", "Unsubscribed from List", "Unsubscribed from Text Message Marketing",
}  # fmt: skip
SPAM = {"Marked Email as Spam"}
SENT = {"Sent Text Message"}
SUBSCRIBED = {"Subscribed to Email Marketing", "Subscribed to List", "Subscribed to Text Message Marketing"}
COUNTED = RECEIVED | BOUNCED | FAILED | DROPPED | OPENED | CLICKED | UNSUBSCRIBED | SPAM
# Events of a message itself: they earn credit, and are never credited to another one.
OF_MESSAGES = COUNTED | SENT
AUTOMATED = {"Failed to Deliver Automated Response Text Message", "Received Automated Response Text Message"}
SHOP = (
    "Active on Site", "Viewed Product", "Added to Cart", "Checkout Started", "Placed Order", "Ordered Product",
    "Fulfilled Order", "Cancelled Order", "Refunded Order",
)  # fmt: skip
VALUED = ("Checkout Started", "Placed Order", "Ordered Product", "Cancelled Order", "Refunded Order")
METRIC_NAMES = (*sorted(OF_MESSAGES | SUBSCRIBED | AUTOMATED), *SHOP)

OLDER = {
    "Unsubscribed": "Unsubscribed from Email Marketing",
    "Received SMS": "Received Text Message",
    "Clicked SMS": "Clicked Text Message",
    "Sent SMS": "Sent Text Message",
    "Failed to Deliver SMS": "Failed to Deliver Text Message",
    "Failed to Deliver Automated Response SMS": "Failed to Deliver Automated Response Text Message",
    "Received Automated Response SMS": "Received Automated Response Text Message",
    "Unsubscribed from SMS": "Unsubscribed from Text Message Marketing",
    "Unsubscribed from SMS Marketing": "Unsubscribed from Text Message Marketing",
    "Unsubscribed from Text Message": "Unsubscribed from Text Message Marketing",
    "Consented to Receive SMS": "Subscribed to Text Message Marketing",
    "Subscribed to SMS Marketing": "Subscribed to Text Message Marketing",
    "Subscribed to SMS": "Subscribed to Text Message Marketing",
    "Read WhatsApp": "Opened WhatsApp",
    "Started Checkout": "Checkout Started",
    "Canceled Order": "Cancelled Order",
}
BY_NAME = {name.casefold(): name for name in METRIC_NAMES} | {old.casefold(): new for old, new in OLDER.items()}

# A metric that has none of these words in its name is no message's.
CHANNEL_WORDS = {
    "Email": "email", "List": "email", "Text Message": "sms", "Push": "mobile_push", "WhatsApp": "whatsapp",
}  # fmt: skip


def canonical(name: str) -> str:
    """The one name of a metric that has had several, in any case; a custom metric keeps its own."""
    return BY_NAME.get(name.strip().casefold(), name.strip())


def channel(metric: str | None) -> str | None:
    """How messages of a canonical metric go out; None for what is done in a shop and for custom metrics."""
    if metric not in METRIC_NAMES:
        return None
    return next((named for word, named in CHANNEL_WORDS.items() if word in metric), None)


def touch_kind(metric: str | None) -> str | None:
    """click, open or delivery; None where an event of the metric is no touch."""
    kinds = (("click", CLICKED), ("open", OPENED), ("delivery", RECEIVED))
    return next((kind for kind, metrics in kinds if metric in metrics), None)


def column(metric: str) -> str:
    """How a metric is written in a column's name."""
    return metric.lower().replace(" ", "_")
