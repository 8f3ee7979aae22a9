"""The rows of table `person`.

Here: spelling persons. Not here: how they stand (`standing`), which lists they are on.
"""

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.columns import constant, iso_times, join, number_texts, pick, times, where
from klaviyo_assets.sandbox.fivetran.shop.dice import Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER
from klaviyo_assets.sandbox.fivetran.shop.spelling import spell_columns
from klaviyo_assets.sandbox.fivetran.shop.standing import Standing

_METHODS = ("FORM", "PREFERENCE_PAGE", "SHOPIFY_INTEGRATION")


def person_rows(history: History, identity: Identity, now: Standing, since: int | None, until: int) -> pa.Table:
    """One row per person whose row changed after `since` (None: ever)."""
    is_due = now.exists & (now.updated_at <= until)
    if since is not None:
        is_due &= now.updated_at > since
    persons = np.flatnonzero(is_due)
    rows = {
        **_identity_columns(history, identity, now, persons),
        **_worth(history, now, persons),
        **_consent(history, now, persons, "email"),
        **_consent(history, now, persons, "sms"),
        **_custom(history, identity, persons),
        "_fivetran_deleted": pa.array(now.is_gone[persons]),
    }
    return pa.table(rows)


def _identity_columns(history: History, identity: Identity, now: Standing, persons: Ints) -> dict[str, Column]:
    count, dice = len(persons), history.dice
    located = dice.chance(persons, "located", 0.7)
    latitude = pa.array(np.round(dice.uniform(persons, "latitude") * 120 - 60, 4)).cast(pa.string())
    longitude = pa.array(np.round(dice.uniform(persons, "longitude") * 300 - 150, 4)).cast(pa.string())
    return {
        "id": identity.ids(persons),
        "email": identity.emails(persons),
        "phone_number": identity.phones(persons),
        "external_id": where(dice.chance(persons, "external", 0.5), join("cust_", number_texts(persons + 70_000))),
        "first_name": identity.first_names(persons),
        "last_name": identity.last_names(persons),
        "organization": where(dice.chance(persons, "business", 0.03), constant("O'Hara & Sons", count)),
        "address_1": identity.streets(persons),
        "city": identity.cities(persons, now.editions[persons]),
        "country": identity.countries(count),
        "zip": identity.zips(persons),
        "latitude": where(located, latitude),
        "longitude": where(located, longitude),
        "timezone": constant(history.profile.timezone, count),
        "ip": where(dice.chance(persons, "ip known", 0.5), identity.ips(persons)),
        "created": times(now.created_at[persons]),
        "updated": times(now.updated_at[persons]),
        "last_event_date": times(now.last_event[persons]),
    }


def _worth(history: History, now: Standing, persons: Ints) -> dict[str, Column]:
    """Predictive analytics, for people who ordered."""
    orders, amounts = now.orders[persons], np.round(now.amount_spent[persons], 2)
    buyer, roll = orders > 0, history.dice.uniform(persons, "churn")
    predicted = np.round(amounts * (0.2 + 0.5 * roll), 2)
    values = {
        "average_days_between_orders": np.round(20 + 60 * roll, 1),
        "average_order_value": np.round(amounts / np.maximum(orders, 1), 2),
        "churn_probability": np.round(roll, 4),
        "historic_clv": amounts,
        "historic_number_of_orders": orders.astype(np.float64),
        "predicted_clv": predicted,
        "predicted_number_of_orders": np.round(2 * roll, 2),
        "total_clv": np.round(amounts + predicted, 2),
    }
    columns = {f"predictive_analytics_{name}": where(buyer, pa.array(value)) for name, value in values.items()}
    next_order = np.where(buyer, now.last_event[persons] + (40 * 86_400 * (1 + roll)).astype(np.int64), NEVER)
    return {**columns, "predictive_analytics_expected_date_of_next_order": times(next_order)}


def _consent(history: History, now: Standing, persons: Ints, channel: str) -> dict[str, Column]:
    people = history.people
    came = people.subscribed_email(persons) if channel == "email" else people.subscribed_sms(persons)
    left = (now.email_left if channel == "email" else now.sms_left)[persons]
    created_at, left_now = now.created_at[persons], left < NEVER
    status = np.where(left_now, 2, np.where(came, 1, 0))
    changed_at = np.where(left_now, left, np.where(came, created_at, NEVER))
    columns = {
        f"can_receive_{channel}_marketing": pa.array(status == 1),
        "consent": pick(("NEVER_SUBSCRIBED", "SUBSCRIBED", "UNSUBSCRIBED"), status),
        "double_optin": where(came, constant(True, len(persons))),
        "last_updated": times(changed_at),
        "method": where(came, pick(_METHODS, history.dice.below(persons, f"{channel} method", len(_METHODS)))),
        "timestamp": times(np.where(came, created_at, NEVER)),
    }
    return {f"subscriptions_{channel}_marketing_{name}": column for name, column in columns.items()}


def _custom(history: History, identity: Identity, persons: Ints) -> dict[str, Column]:
    dice, count = history.dice, len(persons)
    fields = {
        "source": pick(("Klaviyo Form", "Checkout", "Import"), dice.below(persons, "source", 3)),
        "accepts_marketing": pa.array(history.people.subscribed_email(persons)),
        "birthday": where(
            dice.chance(persons, "birthday known", 0.1), iso_times(dice.below(persons, "birthday", 10**9))
        ),
        "email": where(dice.chance(persons, "custom email", 0.05), identity.emails(persons)),
        "shopify_tags": where(dice.chance(persons, "tagged", 0.2), constant('["newsletter"]', count)),
    }
    return spell_columns(history.profile, "custom", "custom_fields", fields, {"shopify_tags"})
