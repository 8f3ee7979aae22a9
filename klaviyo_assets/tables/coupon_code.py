"""Coupon codes: what a person types at the checkout. Not here: the offer (`coupon`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import instant, key_text, text

SPEC = copied_table(
    name="coupon_code",
    grain="One row per coupon code.",
    description="Codes of coupons, and the person each was given to. A code is not personal.",
    key=("coupon_code_id",),
    deletes=False,
    previewed=("coupon_code_id", "coupon_id", "status", "expires_at"),
    fields=(
        key_text("coupon_code_id", "Klaviyo's id of the code.", raw="id"),
        text("coupon_id", "Id of the coupon the code belongs to."),
        text("person_id", "Id of the person the code was given to; null while it is free."),
        text("unique_code", "The code itself."),
        text("status", "State of the code, such as `UNASSIGNED` or `ASSIGNED_TO_PROFILE`."),
        instant("expires_at", "When the code stops working (UTC); null if it never does."),
    ),
)
