"""Who is on which list and in which segment, and who must not be contacted.

Here: `list_person`, `segment_person`, `list_exclusion`, `global_exclusion`.
"""

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.columns import constant, pick, times
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.lists import SEGMENTS, Segment, list_ids, segment_id
from klaviyo_assets.sandbox.fivetran.shop.people import NEVER
from klaviyo_assets.sandbox.fivetran.shop.standing import REASONS, Standing, standing

_DAY = 86_400


def list_person_rows(history: History, identity: Identity, now: Standing, since: int | None, until: int) -> pa.Table:
    """One row per list and person ever on it, changed after `since`."""
    persons = np.arange(len(now.created_at), dtype=np.int64)
    waits = np.where(history.dice.chance(persons, "waitlist", 0.05), now.created_at + _DAY, NEVER)
    newsletter = np.where(history.people.subscribed_email(persons), now.created_at, NEVER)
    texts = np.where(history.people.subscribed_sms(persons), now.created_at, NEVER)
    nobody = np.full(len(persons), NEVER)
    parts = [
        _on_list(history, identity, (list_id, joined_at, left, seen_at), since, until)
        for list_id, joined_at, left, seen_at in zip(
            list_ids(history),
            (newsletter, texts, waits),
            (now.email_left, now.sms_left, nobody),
            (now.email_left_seen, now.sms_left_seen, np.zeros(len(persons), dtype=np.int64)),
            strict=True,
        )
    ]
    return pa.concat_tables(parts)


def exclusions(history: History, identity: Identity, now: Standing, since: int | None) -> tuple[pa.Table, pa.Table]:
    """Tables `global_exclusion` and `list_exclusion`: people who left e-mail, changed after `since`."""
    left = now.email_left < NEVER
    if since is not None:
        left &= np.maximum(now.email_left_seen, now.gone_at) > since
    persons = np.flatnonzero(left)
    ids, at, is_gone = identity.ids(persons), times(now.email_left[persons]), pa.array(now.is_gone[persons])
    reasons, newsletter = pick(REASONS, now.email_reason[persons]), constant(list_ids(history)[0], len(persons))
    everywhere = {"person_id": ids, "reason": reasons, "timestamp": at, "_fivetran_deleted": is_gone}
    rows = {"id": ids, "list_id": newsletter, "created": at, "reason": reasons, "_fivetran_deleted": is_gone}
    return pa.table(everywhere), pa.table(rows)


def segment_person_rows(history: History, identity: Identity, since: int | None, until: int) -> pa.Table:
    """One row per segment and person ever in it, changed after `since`.

    Segments are counted once a day, at the account's midnight.
    """
    now = _standing_at_midnight(history, until)
    earlier_standing = None if since is None else _standing_at_midnight(history, since)
    parts = [_in_segment(history, identity, segment, now, earlier_standing) for segment in SEGMENTS]
    return pa.concat_tables(parts)


def _on_list(
    history: History,
    identity: Identity,
    membership: tuple[str, Ints, Ints, Ints],
    since: int | None,
    until: int,
) -> pa.Table:
    list_id, joined_at, left, seen_at = membership
    off, decided_at = _removals(history, len(joined_at), until)
    merged_at = history.overlay.merges_of(np.arange(len(joined_at)))[1]
    is_merged = merged_at <= until
    member = joined_at <= until
    if since is not None:
        news = np.max([joined_at, seen_at, decided_at, np.where(is_merged, merged_at, 0)], axis=0)
        member &= (news > since) & (news <= until)
    persons = np.flatnonzero(member)
    return pa.table(
        {
            "list_id": constant(list_id, len(persons)),
            "person_id": identity.ids(persons),
            "joined_group_at": times(joined_at[persons]),
            "_fivetran_deleted": pa.array(((left < NEVER) | off | is_merged)[persons]),
        }
    )


def _removals(history: History, count: int, until: int) -> tuple[Bools, Ints]:
    off, at = np.zeros(count, dtype=bool), np.zeros(count, dtype=np.int64)
    for person, (is_removed, decided_at) in history.overlay.lists_left.items():
        if person < count and decided_at <= until:
            off[person], at[person] = is_removed, decided_at
    return off, at


def _standing_at_midnight(history: History, at: int) -> tuple[Standing, int]:
    midnight = history.calendar.midnight(history.calendar.day_of(at))
    return standing(history, midnight), midnight


def _in_segment(
    history: History,
    identity: Identity,
    segment: Segment,
    now: tuple[Standing, int],
    earlier_standing: tuple[Standing, int] | None,
) -> pa.Table:
    ever, current = _membership(segment, *now)
    has_changed = ever
    if earlier_standing is not None:
        was_ever, was = _membership(segment, *earlier_standing)
        old = len(was)
        has_changed = ever.copy()
        has_changed[:old] &= (ever[:old] != was_ever) | (current[:old] != was)
    persons = np.flatnonzero(has_changed)
    return pa.table(
        {
            "person_id": identity.ids(persons),
            "segment_id": constant(segment_id(history, segment), len(persons)),
            "_fivetran_deleted": pa.array(~current[persons]),
        }
    )


def _membership(segment: Segment, now: Standing, midnight: int) -> tuple[Bools, Bools]:
    """Who was ever in the segment, and who is."""
    if segment.orders is not None:
        ever = now.ever_orders >= segment.orders
        return ever, ever & ~now.is_gone
    ever = now.ever_engaged > 0
    return ever, ever & ~now.is_gone & (now.last_engaged >= midnight - (segment.days or 0) * _DAY)
