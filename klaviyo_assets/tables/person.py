"""People: everyone the account knows (Klaviyo's API calls them profiles).

Here: who they are, what they consented to, and what Klaviyo predicts of them. Not here: what they did, which is
events. Personal is what names, reaches or locates one person, the organization and job title among it; city, region,
country and time zone are shared by many and stay plain, so that reports can group by them.
"""

from klaviyo_assets.model.spec import CustomFields, Field, copied_table
from klaviyo_assets.tables._fields import (
    amount,
    created_at,
    flag,
    instant,
    key_text,
    measure,
    personal,
    text,
    updated_at,
)

_PREDICTED = "predictive_analytics_"


def _consent(channel: str, words: str) -> tuple[Field, ...]:
    """What a person agreed to on one channel, `email` or `sms`."""
    raw = f"subscriptions_{channel}_marketing_"
    name = f"{channel}_marketing"
    return (
        flag(f"can_receive_{name}", f"Whether {words} may be sent to the person now.",
             raw=f"{raw}can_receive_{name}"),
        text(f"{name}_consent", f"Consent to {words}: `SUBSCRIBED`, `UNSUBSCRIBED` or `NEVER_SUBSCRIBED`.",
             raw=f"{raw}consent"),
        instant(f"{name}_consent_at", f"When the consent to {words} was given or withdrawn (UTC).",
                raw=f"{raw}timestamp"),
        instant(f"{name}_updated_at", f"When Klaviyo last changed the consent to {words} (UTC).",
                raw=f"{raw}last_updated"),
        text(f"{name}_method", f"How the consent to {words} was given, such as `FORM` or `API`.", raw=f"{raw}method"),
        text(f"{name}_method_detail", "Details of the method, such as the form's id.", raw=f"{raw}method_detail"),
        text(f"{name}_custom_method_detail", "Details of the method that the account wrote itself.",
             raw=f"{raw}custom_method_detail"),
        flag(f"is_{name}_double_optin", f"Whether the person confirmed the consent to {words}.",
             raw=f"{raw}double_optin"),
    )  # fmt: skip


SPEC = copied_table(
    name="person",
    grain="One row per person.",
    description="Everyone the account knows, subscribed or not. Custom fields are in `properties`.",
    key=("person_id",),
    custom_fields=CustomFields(prefix="custom_", packed="custom_fields"),
    personal_properties=(
        "email", "e_mail", "email_address", "alternate_email", "work_email", "phone", "phone_number", "mobile",
        "mobile_number", "mobile_phone", "cell_phone", "telephone", "whatsapp_number", "name", "full_name",
        "first_name", "last_name", "middle_name", "maiden_name", "nickname", "user_name", "address", "address_1",
        "address_2", "address_line_1", "address_line_2", "street", "street_address", "billing_address",
        "shipping_address", "billing_zip", "shipping_zip", "zip", "zip_code", "zipcode", "postal_code", "postcode",
        "latitude", "longitude", "ip", "ip_address", "birthday", "birth_date", "birthdate", "date_of_birth", "dob",
        "partner_name", "partner_birthday", "child_name", "child_birthday", "gift_giver_name",
        "gift_recipient_name", "gift_recipient_email", "gift_recipient_phone", "referrer_name", "referrer_email",
        "recipient_name", "recipient_email", "external_id", "customer_id", "user_id", "image", "avatar",
        "instagram", "facebook", "twitter", "tiktok", "linkedin", "tax_id", "vat_number", "passport_number",
    ),
    previewed=("country", "created_at", "updated_at", "last_event_at"),
    fields=(
        key_text("person_id", "Klaviyo's id of the person.", raw="id"),
        personal("email", "Email address."),
        personal("phone_number", "Phone number in E.164 form, such as +15551234567."),
        personal("external_id", "The person's id in another system, such as the shop."),
        personal("first_name", "First name."),
        personal("last_name", "Last name."),
        personal("organization", "Company or organization the person works for."),
        personal("title", "Job title."),
        personal("address_1", "First line of the street address."),
        personal("address_2", "Second line of the street address."),
        text("city", "City."),
        text("region", "State, province or region."),
        text("country", "Country, as written in Klaviyo."),
        personal("zip", "Postal code."),
        personal("latitude", "Latitude in degrees, as text."),
        personal("longitude", "Longitude in degrees, as text."),
        text("timezone", "Time zone of the person, an IANA name such as America/New_York."),
        personal("ip", "Internet address the person was last seen at."),
        personal("image", "Address of the person's picture."),
        created_at("person"),
        updated_at("person"),
        instant("last_event_at", "When the latest event of the person happened (UTC).", raw="last_event_date"),
        measure("predictive_analytics_average_days_between_orders", "Average time between two orders, in days."),
        amount("predictive_analytics_average_order_value", "Average value of the person's orders so far, in the "
               "account's currency."),
        measure("predictive_analytics_churn_probability", "Probability, 0 to 1, that the person will not order again."),
        instant("predictive_analytics_expected_next_order_at", "When Klaviyo expects the next order (UTC).",
                raw=f"{_PREDICTED}expected_date_of_next_order"),
        amount("predictive_analytics_historic_clv", "Value of all orders so far, in the account's currency."),
        measure("predictive_analytics_historic_number_of_orders", "Number of orders so far."),
        amount("predictive_analytics_predicted_clv", "Value Klaviyo expects over the coming year, in the account's "
               "currency."),
        measure("predictive_analytics_predicted_number_of_orders", "Orders Klaviyo expects over the coming year; may "
                "have decimals."),
        amount("predictive_analytics_total_clv", "Historic and predicted value together, in the account's currency."),
        *_consent("email", "email marketing"),
        *_consent("sms", "text-message marketing"),
    ),
)  # fmt: skip
