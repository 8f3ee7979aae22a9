"""Fields that many tables have, written one way: same name, same meaning, same type everywhere.

Here: builders for ids, texts, instants, flags and amounts, and the fields shared word for word. Not here: what one
table means; a field that only one table has is described in that table's file.
"""

from klaviyo_assets.model.spec import NOT_EMPTY, Field, LogicalType


def key_text(name: str, description: str, *, raw: str = "") -> Field:
    """A text that is (part of) the key: always there and never empty."""
    return Field(
        name=name, raw=raw, type=LogicalType.STRING, description=description, required=True, constraints=(NOT_EMPTY,)
    )


def key_instant(name: str, description: str, *, raw: str = "") -> Field:
    """An instant that is part of the key."""
    return Field(name=name, raw=raw, type=LogicalType.TIMESTAMP, description=description, required=True)


def text(name: str, description: str, *, raw: str = "", older_names: tuple[str, ...] = ()) -> Field:
    """A text that may be missing."""
    return Field(name=name, raw=raw, type=LogicalType.STRING, description=description, older_names=older_names)


def personal(name: str, description: str, *, raw: str = "") -> Field:
    """A text about one person. It is a text whatever it holds, because it must be able to hold a hash."""
    return Field(name=name, raw=raw, type=LogicalType.STRING, description=description, personal=True)


def instant(name: str, description: str, *, raw: str = "", has_day: bool = False) -> Field:
    """A moment in UTC."""
    return Field(name=name, raw=raw, type=LogicalType.TIMESTAMP, description=description, has_day=has_day)


def flag(name: str, description: str, *, raw: str = "", older_names: tuple[str, ...] = ()) -> Field:
    """True, false, or null if Klaviyo states nothing."""
    return Field(name=name, raw=raw, type=LogicalType.BOOLEAN, description=description, older_names=older_names)


def amount(name: str, description: str, *, raw: str = "") -> Field:
    """Money, exact."""
    return Field(name=name, raw=raw, type=LogicalType.NUMERIC, description=description)


def measure(name: str, description: str, *, raw: str = "") -> Field:
    """A measurement or a prediction, not money."""
    return Field(name=name, raw=raw, type=LogicalType.FLOAT, description=description)


def document(name: str, description: str, *, raw: str = "") -> Field:
    """JSON text."""
    return Field(name=name, raw=raw, type=LogicalType.JSON, description=description)


def created_at(noun: str) -> Field:
    """When the noun was created."""
    return instant("created_at", f"When the {noun} was created (UTC).", raw="created")


def updated_at(noun: str) -> Field:
    """When the noun was last changed."""
    return instant("updated_at", f"When the {noun} was last changed in Klaviyo (UTC).", raw="updated")


TAG_ID = key_text("tag_id", "Id of the tag; its name is in `tags`.")
CHANNEL = text("channel", "How the message goes out: `email`, `sms`, `mobile_push` or a channel added since.")
IS_TRACKING_OPENS = flag(
    "is_tracking_opens", "Whether opens of the messages are tracked.", raw="tracking_options_is_tracking_opens"
)
IS_TRACKING_CLICKS = flag(
    "is_tracking_clicks",
    "Whether links are rewritten so that clicks are tracked.",
    raw="tracking_options_is_tracking_clicks",
)
ADDS_TRACKING_PARAMS = flag(
    "is_adding_tracking_params",
    "Whether UTM parameters are added to links; API revisions before 2025 called it `is_add_utm`.",
    raw="tracking_options_add_tracking_params",
    older_names=("tracking_options_is_add_utm",),
)
MESSAGE_CONTENT = (
    text("content_subject", "Subject line of an email; null for other channels."),
    text("content_preview_text", "Preview text an inbox shows beside the subject."),
    text("content_from_email", "Sender's email address: the business, not a person."),
    text("content_from_label", "Sender's name as recipients see it."),
    text("content_reply_to_email", "Address that replies go to, if it is not the sender's."),
    text("content_cc_email", "Address that gets a copy of each email."),
    text("content_bcc_email", "Address that gets a blind copy of each email."),
    text("content_body", "Text of a text message or push notification; an email's is in its template."),
    text("content_media_url", "Address of the picture sent with a text message."),
)
