"""A simulated Klaviyo account, asked for rows by time.

Here: `Shop`, the entry to this package: which table's rows a sync carries. Not here: writing them
anywhere (`klaviyo_assets.sandbox.fivetran.writer`).
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import partial
from itertools import chain

import pyarrow as pa

from klaviyo_assets.sandbox.fivetran.shop.campaign_tables import CampaignTables
from klaviyo_assets.sandbox.fivetran.shop.catalog import TABLES
from klaviyo_assets.sandbox.fivetran.shop.event_rows import event_rows, json_columns
from klaviyo_assets.sandbox.fivetran.shop.flow_tables import FlowTables
from klaviyo_assets.sandbox.fivetran.shop.history import History
from klaviyo_assets.sandbox.fivetran.shop.identity import Identity
from klaviyo_assets.sandbox.fivetran.shop.incidents import Incident
from klaviyo_assets.sandbox.fivetran.shop.membership_tables import exclusions, list_person_rows, segment_person_rows
from klaviyo_assets.sandbox.fivetran.shop.person_tables import person_rows
from klaviyo_assets.sandbox.fivetran.shop.profile import Profile
from klaviyo_assets.sandbox.fivetran.shop.setting_tables import coupon_codes, setting_tables
from klaviyo_assets.sandbox.fivetran.shop.standing import standing
from klaviyo_assets.sandbox.fivetran.shop.values_reports import ValuesReports

_DAY = 86_400
_WEEK_BEGINS = 4 * _DAY
"""Epoch time began on a Thursday; weeks of re-import begin on Mondays."""


class Shop:
    """One account's raw tables as functions of time.

    The same arguments give the same rows, however time is sliced: the final state of every table after any sequence
    of `rows(until, since)` is that of one `rows(until)`, `_fivetran_synced` aside. (Campaigns and their children
    follow once a day, as Fivetran's do, so there this holds after the day's first sync.)

    Args:
        profile: The account; see `profile(index)`.
        seed: Another seed is another shop.
        events_per_day: About how many events a day has.
        start: The first day, in the account's time zone.
        people: How many persons exist on the first day; in proportion to the events when None.
        incidents: What befell the shop; more can be added with `happen`.
    """

    def __init__(
        self,
        profile: Profile,
        seed: int,
        events_per_day: float,
        start: date,
        people: int | None = None,
        incidents: Iterable[Incident] = (),
    ) -> None:
        self.profile, self.start = profile, start
        self._history = History(profile, seed, events_per_day, start, people, incidents)
        self._identity = Identity(self._history.dice, self._history.people, profile)

    def happen(self, incident: Incident) -> None:
        """Add an incident: it shows in rows requested for its time or later."""
        self._history.happen(incident)

    def rows(
        self, until: datetime, since: datetime | None = None, synced_at: datetime | None = None
    ) -> dict[str, pa.Table]:
        """What a sync carries.

        Args:
            until: Everything Fivetran could see by then (whole seconds count).
            since: When the last sync looked; None for a historical sync.
            synced_at: Start of the sync, for `_fivetran_synced`; `until` when None.

        Returns:
            One Arrow table per raw table that has rows, with every column that the account may have. Times are UTC.
        """
        end, begin = _seconds(until), None if since is None else _seconds(since)
        self._history.live_until(end)
        tables = {name: make() for name, make in self._makers(begin, end).items()}
        synced = pa.scalar(synced_at or until, pa.timestamp("ms", "UTC"))
        return {
            name: table.drop_columns([c for c in ("_fivetran_synced",) if c in table.column_names]).append_column(
                "_fivetran_synced", pa.repeat(synced, table.num_rows)
            )
            for name, table in tables.items()
            if table.num_rows
        }

    def values_reports(self, at: datetime) -> ValuesReports:
        """Klaviyo's own reports at an instant, which must not be before any instant for which rows were requested."""
        self._history.live_until(_seconds(at))
        return ValuesReports(self._history, self._identity, _seconds(at))

    def json_columns(self, table: str) -> frozenset[str]:
        """The columns of a table that hold JSON."""
        custom = {"event": json_columns(self._history), "person": frozenset(["custom_fields"])}
        return TABLES[table].json_columns | custom.get(table, frozenset()) | {"custom_property_fields"}

    @property
    def conversion_metric(self) -> tuple[str, str | None]:
        """The name of the metric that counts as conversion, and its integration where the name is ambiguous."""
        return "Placed Order", "Shopify" if self.profile.api_orders else None

    def _makers(self, since: int | None, until: int) -> dict[str, Callable[[], pa.Table]]:
        history, identity = self._history, self._identity
        # Fivetran re-imports the incremental tables, events aside, once a week.
        weekly = since if since is not None and _week(since) == _week(until) else None
        now, campaigns, flows = standing(history, until), CampaignTables(history, until), FlowTables(history)
        everywhere, exclusion_rows = exclusions(history, identity, now, weekly)
        templates = chain(campaigns.templates(weekly), flows.templates() if weekly is None else ())
        ready = {
            "global_exclusion": everywhere,
            "list_exclusion": exclusion_rows,
            "email_template": TABLES["email_template"].of(templates),
            "campaign_tag": campaigns.tags(),
            "coupon_code": coupon_codes(history, identity, until),
            **setting_tables(history),
            **flows.children(),
            **(campaigns.tables() if self._campaigns_due(since, until) else {}),
            **({"flow": flows.flow()} if weekly is None else {}),
        }
        return {
            "event": partial(event_rows, history, identity, since, until),
            "person": partial(person_rows, history, identity, now, weekly, until),
            "list_person": partial(list_person_rows, history, identity, now, weekly, until),
            "segment_person": partial(segment_person_rows, history, identity, weekly, until),
            **{name: partial(lambda table: table, table) for name, table in ready.items()},
        }

    def _campaigns_due(self, since: int | None, until: int) -> bool:
        """Once a day, and after an incident."""
        if since is None or since // _DAY != until // _DAY:
            return True
        overlay = self._history.overlay
        decisions = chain(overlay.campaign_names.values(), overlay.campaigns_deleted.values())
        return any(since < at <= until for _, at in decisions)


def _seconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())


def _week(at: int) -> int:
    return (at - _WEEK_BEGINS) // (7 * _DAY)
