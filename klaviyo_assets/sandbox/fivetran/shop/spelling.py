"""The three spellings of custom fields: UNPACKED columns, one PACKED JSON, source naming.

Here: turning a property's name into a column or a member of the JSON.
"""

from collections.abc import Collection, Mapping

from klaviyo_assets.sandbox.fivetran.shop.columns import json_literals, json_objects
from klaviyo_assets.sandbox.fivetran.shop.dice import Column
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile


def spell_columns(
    profile: Profile, prefix: str, packed_name: str, fields: Mapping[str, Column], json_fields: Collection[str]
) -> dict[str, Column]:
    """Custom fields as the account's columns.

    Args:
        profile: Decides the spelling.
        prefix: "property" for events, "custom" for persons.
        packed_name: The column that holds all of them where the account packs.
        fields: Values by plain name (`currency_code`).
        json_fields: Names whose values are JSON texts already.
    """
    if profile.spelling != "packed":
        return {column_name(profile, prefix, name): column for name, column in fields.items()}
    literals = {name: c if name in json_fields else json_literals(c) for name, c in fields.items()}
    return {packed_name: json_objects(literals)} if literals else {}


def column_name(profile: Profile, prefix: str, name: str) -> str:
    """`property_currency_code`, or `propertyCurrencyCode` under source naming."""
    if profile.spelling != "source":
        return f"{prefix}_{name}"
    return prefix + "".join(part.capitalize() for part in name.split("_"))
