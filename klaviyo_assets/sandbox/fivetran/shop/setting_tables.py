"""The rows of small tables that describe the account: metrics, lists, segments, tags, coupons.

Here: tables of a few rows, and the coupon codes.
"""

import json

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.catalog import TABLES
from klaviyo_assets.sandbox.fivetran.shop.columns import constant, join, number_texts, pick, times, where
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.lists import (
    LIST_NAMES,
    SEGMENTS,
    TAG_NAMES,
    founded_at,
    list_ids,
    segment_id,
    tag_id,
)
from klaviyo_assets.sandbox.fivetran.shop.metrics import CATEGORIES, metrics_of

_COUPONS = (("WELCOME10", "10% off the first order"), ("VIP20", "20% for regulars"))
_VALID_FOR = 30 * 86_400


def setting_tables(history: History) -> dict[str, pa.Table]:
    """Tables that Fivetran writes whole at every sync."""
    group = history.dice.ulid(founded_at(history), "tag group")
    ids = list_ids(history)
    return {
        "metric": _metrics(history),
        "list": _lists(history),
        "segment": _segments(history),
        "tag_group": TABLES["tag_group"].of([{"id": group, "name": "Default", "default": True, "exclusive": False}]),
        "tags": TABLES["tags"].of(
            {"id": tag_id(history, index), "tag_group_id": group, "name": name} for index, name in enumerate(TAG_NAMES)
        ),
        "list_tag": TABLES["list_tag"].of([{"list_id": ids[0], "tag_id": tag_id(history, 2)}]),
        "segment_tag": TABLES["segment_tag"].of(
            [{"segment_id": segment_id(history, SEGMENTS[0]), "tag_id": tag_id(history, 2)}]
        ),
        "coupon": TABLES["coupon"].of(
            {"id": code, "external_id": code, "description": description} for code, description in _COUPONS
        ),
    }


def coupon_codes(history: History, identity: Identity, until: int) -> pa.Table:
    """One row per code: newcomers who subscribed got one each."""
    everyone = np.arange(history.people.initial, history.people.count(history.calendar.day_of(until)))
    created_at = history.people.created_at(everyone)
    is_due = history.people.subscribed_email(everyone) & (created_at <= until)
    persons, created_at = everyone[is_due], created_at[is_due]
    code = join("WELCOME10-", number_texts(history.dice.below(persons, "code", 10**9)), number_texts(persons))
    is_used = history.dice.chance(persons, "code used", 0.8)
    owner = identity.ids(history.survivors(persons, until))
    return pa.table(
        {
            "id": code,
            "coupon_id": constant("WELCOME10", len(persons)),
            "person_id": where(is_used, owner),
            "unique_code": code,
            "status": pick(("UNASSIGNED", "ASSIGNED_TO_PROFILE"), is_used.astype(np.int64)),
            "expires_at": times(created_at + _VALID_FOR),
        }
    )


def _metrics(history: History) -> pa.Table:
    born = founded_at(history)
    return TABLES["metric"].of(
        {
            "id": history.dice.short_id("metric", metric.key),
            "name": metric.spelling_of(history.profile),
            "integration_id": history.dice.short_id("integration", metric.integration),
            "integration_name": metric.integration,
            "integration_category": CATEGORIES[metric.integration],
            "integration_object": "integration",
            "created": born,
            "updated": born,
            "_fivetran_deleted": False,
        }
        for metric in metrics_of(history.profile)
    )


def _lists(history: History) -> pa.Table:
    born = founded_at(history)
    return TABLES["list"].of(
        {"id": list_id, "list_name": name, "created": born, "updated": born, "_fivetran_deleted": False}
        for list_id, name in zip(list_ids(history), LIST_NAMES, strict=True)
    )


def _segments(history: History) -> pa.Table:
    born = founded_at(history)
    return TABLES["segment"].of(
        {
            "id": segment_id(history, segment),
            "name": segment.name,
            "definition": json.dumps({"condition_groups": [{"days": segment.days, "orders": segment.orders}]}),
            "created": born,
            "updated": born,
            "_fivetran_deleted": False,
        }
        for segment in SEGMENTS
    )
