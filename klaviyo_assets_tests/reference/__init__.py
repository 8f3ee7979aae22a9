"""The numbers in plain Python, from raw rows to every report: slow, obvious, and independent of the product.

Nothing here imports the product: what counts as what is written out by hand from the definitions of the statistics, so
that a slip in a catalogue or in SQL shows. Rooms: `numbers`, `metrics`, `events`, `attribution`, `facts`, `counting`,
`reports`. One rule is one method, so that a subclass can switch a single one to another rule and see what it changes.
"""

from functools import cached_property

from klaviyo_assets_tests.reference.attribution import Attribution
from klaviyo_assets_tests.reference.metrics import COUNTED
from klaviyo_assets_tests.reference.reports import Reports
from klaviyo_assets_tests.reference.rows import Mapped, Row, Settings, Shop, Standing

__all__ = ["COUNTED", "Mapped", "MappedReference", "Reference", "Row", "Settings", "Shop", "Standing", "report"]


class Reference(Reports, Attribution):
    """What every report of a shop has to say, from its raw rows."""

    @cached_property
    def mapped(self) -> Mapped:  # type: ignore[override]
        """The mapped tables that reports read."""
        return Mapped(self.events, self.attribution, self.campaigns, self.lists)

    @cached_property
    def standing(self) -> Standing:  # type: ignore[override]
        """The account's settings, and how far its data reach."""
        settings = self.settings
        return Standing(settings.timezone, settings.currency, settings.longest_window, self.shop.data_through)

    @property
    def campaigns(self) -> list[Row]:
        """Campaigns and when they go out."""
        return [{"campaign_id": raw["id"], "send_at": raw.get("send_time")} for raw in self.shop["campaign"]]

    @property
    def lists(self) -> list[Row]:
        """Lists and their names."""
        return [
            {"list_id": raw["id"], "name": raw.get("list_name") or raw.get("name"), "is_deleted": self.is_deleted(raw)}
            for raw in self.shop["list"]
        ]


class MappedReference(Reports):
    """What every report has to say about mapped rows that are given."""

    def __init__(self, mapped: Mapped, standing: Standing) -> None:
        self.mapped = mapped
        self.standing = standing


def report(owner: str, basis: str, mapped: Mapped, standing: Standing) -> list[Row]:
    """The rows of one report of messages, from mapped rows.

    Args:
        owner: `campaign` or `flow`.
        basis: `event` or `send`: the date a row's day is.
        mapped: The account's mapped rows.
        standing: The account's settings, and how far its data reach.
    """
    return MappedReference(mapped, standing).report(f"{owner}_by_{basis}_date")
