"""Coupons: offers that codes are made for. Not here: the codes (`coupon_code`)."""

from klaviyo_assets.model.spec import copied_table
from klaviyo_assets.tables._fields import key_text, text

SPEC = copied_table(
    name="coupon",
    grain="One row per coupon.",
    description="Offers whose codes messages carry. Imported anew at every sync; deletes are not captured.",
    key=("coupon_id",),
    deletes=False,
    previewed=("coupon_id", "external_id"),
    fields=(
        key_text("coupon_id", "Klaviyo's id of the coupon.", raw="id"),
        text("external_id", "Id of the coupon in the shop it comes from; often its name there."),
        text("description", "What the coupon is for."),
    ),
)
