"""The rows of table `event`, as Fivetran writes them.

Here: which events a sync carries, and their columns. Not here: their properties (`properties`).
"""

import numpy as np
import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.attribution_json import recorded_attribution
from klaviyo_assets.sandbox.fivetran.shop.columns import constant, texts, times
from klaviyo_assets.sandbox.fivetran.shop.dice import Bools, Column, Ints
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.journal import Events
from klaviyo_assets.sandbox.fivetran.shop.message_columns import MessageColumns
from klaviyo_assets.sandbox.fivetran.shop.metrics import METRICS, Metric
from klaviyo_assets.sandbox.fivetran.shop.properties import JSON_PROPERTIES, PropertyWriter
from klaviyo_assets.sandbox.fivetran.shop.spelling import spell_columns


def event_rows(history: History, identity: Identity, since: int | None, until: int) -> pa.Table:
    """One row per event that arrived or changed after `since` (None: ever) and by `until`."""
    events = history.events[_carried(history, since, until)]
    attribution = recorded_attribution(history, events)
    writer = PropertyWriter(history, identity, until)
    tables = [
        _of_metric(history, identity, writer, METRICS[code], events, positions, attribution, until)
        for code, positions in _by_metric(events["metric"])
    ]
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({"id": texts([])})


def json_columns(history: History) -> frozenset[str]:
    """The columns of `event` that hold JSON."""
    columns = {name: texts([]) for name in JSON_PROPERTIES}
    unpacked_columns = spell_columns(history.profile, "property", "custom_property_fields", columns, JSON_PROPERTIES)
    return frozenset(unpacked_columns)


def _carried(history: History, since: int | None, until: int) -> Bools:
    events = history.events
    carried: Bools = events["arrives"] <= until
    if since is not None:
        news = np.zeros(len(events), dtype=bool)
        for moment in ("arrives", "revised", "deleted", "changed"):
            news |= (events[moment] > since) & (events[moment] <= until)
        carried &= news | _is_merged(history, since, until)
    if not history.profile.event_deletes:
        carried &= events["deleted"] > until
    if history.overlay.vanished:
        carried &= ~np.isin(events["sequence"], list(history.overlay.vanished))
    return carried


def _is_merged(history: History, since: int, until: int) -> Bools:
    persons = history.events["person"].astype(np.int64)
    everyone = np.arange(persons.max(initial=-1) + 1, dtype=np.int64)
    has_moved = history.survivors(everyone, since) != history.survivors(everyone, until)
    is_merged: Bools = (persons >= 0) & np.append(has_moved, False)[persons]
    return is_merged


def _by_metric(codes: Ints) -> list[tuple[int, Ints]]:
    order = np.argsort(codes, kind="stable")
    unique, begins = np.unique(codes[order], return_index=True)
    return list(zip(unique.tolist(), np.split(order, begins[1:]), strict=True)) if len(codes) else []


def _of_metric(
    history: History,
    identity: Identity,
    writer: PropertyWriter,
    metric: Metric,
    all_events: Events,
    positions: Ints,
    attribution: Column | None,
    until: int,
) -> pa.Table:
    events = all_events[positions]
    properties = writer.properties(metric.key, events)
    if attribution is not None:
        properties["attribution"] = attribution.take(pa.array(positions))
    # Amounts are JSON literals already, unless the account writes them as numbers.
    as_json = JSON_PROPERTIES if history.profile.numeric_values else JSON_PROPERTIES | {"value"}
    custom = spell_columns(history.profile, "property", "custom_property_fields", properties, as_json)
    return pa.table({**_columns(history, identity, metric, events, until), **custom})


def _columns(history: History, identity: Identity, metric: Metric, events: Events, until: int) -> dict[str, Column]:
    count, dice = len(events), history.dice
    message = MessageColumns(history.messages, events["message"])
    persons = history.survivors(events["person"].astype(np.int64), until)
    at = times(events["at"])
    columns = {
        "id": pa.array(dice.event_ids(events["sequence"])).cast(pa.string()),
        "uuid": dice.uuids(events["sequence"], "uuid"),
        "metric_id": constant(dice.short_id("metric", metric.key), count),
        "person_id": identity.ids(persons),
        "campaign_id": message.campaign_id,
        "flow_id": message.flow_id,
        "flow_message_id": message.flow_message_id,
        "_variation": message.variation,
        "datetime": at,
        "timestamp": at,
        "type": constant(metric.spelling_of(history.profile), count),
    }
    if history.profile.event_deletes:
        columns["_fivetran_deleted"] = pa.array(events["deleted"] <= until)
    return columns
