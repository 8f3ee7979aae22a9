"""All reports: which facts make a row, and what the row says about itself.

Here: grains, scopes, finality. Not here: formulas (`counting.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from klaviyo_assets_tests.reference import metrics
from klaviyo_assets_tests.reference.counting import Counting, by_fact, people
from klaviyo_assets_tests.reference.facts import Facts, second
from klaviyo_assets_tests.reference.rows import Row

MESSAGE = ("message_id", "channel", "variation_id")
DELIVERABILITY = (
    "recipients", "delivered", "bounced", "dropped", "opens", "opens_excl_machine", "clicks", "clicks_excl_bot",
    "unsubscribes", "spam_complaints",
)  # fmt: skip
OWNERS = ("campaign", "flow")


class Reports(Facts, Counting):
    """The rows of every report."""

    def report(self, name: str) -> list[Row]:
        """The rows of one report."""
        return self.reports[name]()

    @cached_property
    def reports(self) -> dict[str, Callable[[], list[Row]]]:
        """Every report by name."""
        reports: dict[str, Callable[[], list[Row]]] = {}
        for owner in OWNERS:
            reports[f"{owner}_by_event_date"] = lambda owner=owner: self.by_event_date(owner)  # type: ignore[misc]
            reports[f"{owner}_by_send_date"] = lambda owner=owner: self.by_send_date(owner)  # type: ignore[misc]
            reports[f"{owner}_lifetime"] = lambda owner=owner: self.lifetime(owner)  # type: ignore[misc]
        return reports | {
            "account_by_event_date": self.account_by_event_date,
            "deliverability_by_event_date": self.deliverability_by_event_date,
            "list_growth_by_event_date": self.list_growth_by_event_date,
            "person_lifetime": self.person_lifetime,
            "person_touch": self.person_touch,
        }

    def by_event_date(self, owner: str) -> list[Row]:
        """Messages of campaigns or flows by the day things happened."""
        chosen = [fact for fact in self.facts if fact["fact"] is not None and fact[f"{owner}_id"] is not None]
        return [
            row | self.counts(facts) | self.finality(row["occurred_on"])
            for row, facts in grouped(chosen, ("occurred_on", f"{owner}_id", *MESSAGE))
        ]

    def by_send_date(self, owner: str) -> list[Row]:
        """Messages of campaigns or flows by the day of their send, unknown days included."""
        chosen = [fact for fact in self.facts if fact["fact"] is not None and fact[f"{owner}_id"] is not None]
        rows = []
        for row, facts in grouped(chosen, ("send_on", f"{owner}_id", *MESSAGE)):
            row |= self.counts(facts)
            row |= self.of_sends(row, facts)
            row |= span(facts, "occurred_on", "first_event_on", "last_event_on")
            rows.append(row | self.finality(row["send_on"] or row["last_event_on"]))
        return rows

    def lifetime(self, owner: str) -> list[Row]:
        """Messages of campaigns or flows over all their days, with all that they earned, conversion or not."""
        rows = []
        chosen = [fact for fact in self.of_touches if fact[f"{owner}_id"] is not None]
        for row, facts in grouped(chosen, (f"{owner}_id", *MESSAGE)):
            of = by_fact(facts)
            row |= self.counts(facts)
            row |= self.of_sends(row, facts)
            row |= {"delivered_uniques": people(of["received"]), "spam_complaint_uniques": people(of["spam"])}
            row |= self.metric_events(facts, metrics.SHOP) | self.metric_people(facts, metrics.SHOP)
            row |= self.metric_values(facts)
            row |= span(facts, "send_on", "first_send_on", "last_send_on") | self.lived(facts)
            rows.append(row | self.finality(self.local_day(row["last_event_at"])))
        return rows

    @cached_property
    def of_touches(self) -> list[Row]:
        """Events of messages, and the credits of everything that messages earned."""
        return [
            fact for fact in self.facts
            if (fact["metric"] in metrics.OF_MESSAGES if fact["is_event"] else self.is_credit(fact))
        ]  # fmt: skip

    def is_credit(self, fact: Row) -> bool:
        """Whether a fact is what an event earned for a message."""
        return not fact["is_event"] and fact["fact"] not in {"unattributed", "unattributed_other_currency"}

    def account_by_event_date(self) -> list[Row]:
        """Everything by the day it happened."""
        rows = []
        for fact in self.facts:
            fact["message_source"] = self.message_source(fact)
        chosen = [fact for fact in self.facts if fact["is_event"] or fact["fact"] is not None]
        for row, facts in grouped(chosen, ("occurred_on", "message_source", "channel")):
            row |= {"events": sum(fact["is_event"] for fact in facts)}
            row |= self.counts(facts) | self.unattributed(by_fact(facts))
            rows.append(row | self.finality(row["occurred_on"]))
        return rows

    def message_source(self, fact: Row) -> str:
        """Whose message it is about."""
        if fact["flow_id"] is not None:
            return "flow"
        return "campaign" if fact["campaign_id"] is not None else "none"

    def deliverability_by_event_date(self) -> list[Row]:
        """Emails by the domain they went to."""
        chosen = [fact for fact in self.facts if fact["is_event"] and fact["fact"] and fact["channel"] == "email"]
        rows = []
        for row, facts in grouped(chosen, ("occurred_on", "email_domain", "bounce_type")):
            counted = self.message_counts(by_fact(facts))
            rows.append(row | {name: counted[name] for name in DELIVERABILITY} | self.finality(row["occurred_on"]))
        return rows

    def list_growth_by_event_date(self) -> list[Row]:
        """Who joined and who left, by list and channel."""
        rows = []
        for row, acts in grouped(self.list_acts, ("occurred_on", "list_id", "list_name", "channel")):
            joined, left = ([act for act in acts if act["joins"] is joins] for joins in (True, False))
            row |= {
                "subscribes": len(joined), "subscribe_uniques": people(joined),
                "unsubscribes": len(left), "unsubscribe_uniques": people(left),
                "net_growth": len(joined) - len(left),
            }  # fmt: skip
            rows.append(row | self.finality(row["occurred_on"]))
        return rows

    @property
    def list_acts(self) -> list[Row]:
        """Subscribing and unsubscribing, each act once."""
        acts: dict[Any, Row] = {}
        for event in sorted(self.mapped.events, key=lambda event: event["event_id"]):
            if event["metric"] in metrics.SUBSCRIBED | metrics.UNSUBSCRIBED:
                act = {**event, **self.list_of(event), "joins": event["metric"] in metrics.SUBSCRIBED}
                acts.setdefault(self.act(act), act)
        return list(acts.values())

    def act(self, act: Row) -> Any:
        """What makes two events one act; anonymous ones are always two."""
        if act["person_id"] is None:
            return act["event_id"]
        named = (act["list_id"], act["list_name"])
        return (act["person_id"], act["channel"], second(act), named, act["joins"])

    def list_of(self, event: Row) -> Row:
        """The list an act is about: as stated, else the only one that is not deleted and bears exactly its name."""
        named = event.get("list_name")
        fitting = self.list_ids.get(named, [])
        list_id = event.get("list_id") or (fitting[0] if len(fitting) == 1 else None)
        return {"list_id": list_id, "list_name": named}

    @cached_property
    def list_ids(self) -> dict[str | None, list[str]]:
        """Ids of the lists of each name, deleted ones left out."""
        ids_by_name = defaultdict(list)
        for each in self.mapped.lists:
            if each["name"] is not None and not each["is_deleted"]:
                ids_by_name[each["name"]].append(each["list_id"])
        return ids_by_name

    def person_lifetime(self) -> list[Row]:
        """Known people and all they did."""
        rows = []
        for row, facts in grouped([fact for fact in self.facts if fact["person_id"] is not None], ("person_id",)):
            of = by_fact(facts)
            events = [fact for fact in facts if fact["is_event"]]
            row |= {"events": len(events)}
            row |= self.message_counts(of) | self.conversions(of) | self.unattributed(of)
            row |= self.metric_events(events, metrics.METRIC_NAMES) | self.metric_values(events) | self.lived(events)
            rows.append(row | self.finality(self.local_day(row["last_event_at"])))
        return rows

    def person_touch(self) -> list[Row]:
        """People and the campaigns and flows that reached them, with all that these earned."""
        rows = []
        chosen = [fact for fact in self.of_touches if fact["campaign_id"] or fact["flow_id"]]
        for row, facts in grouped(chosen, ("person_id", "campaign_id", "flow_id")):
            of = by_fact(facts)
            row |= self.message_counts(of) | self.conversions(of)
            row |= self.metric_events(facts, metrics.METRIC_NAMES) | self.metric_values(facts) | self.lived(facts)
            rows.append(row | self.finality(self.local_day(row["last_event_at"])))
        return rows

    def lived(self, facts: list[Row]) -> Row:
        """First and last thing that happened."""
        return span(facts, "occurred_at", "first_event_at", "last_event_at")

    def local_day(self, at: datetime) -> date:
        """The calendar day of an instant in the account's time zone."""
        return at.astimezone(ZoneInfo(self.standing.timezone)).date()

    def finality(self, day: date) -> Row:
        """A row is final once its last day and the longest window after it have passed."""
        following = day + timedelta(days=1)
        end = datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(self.standing.timezone))
        # Elapsed time is counted in UTC: adding to a zoned time would add calendar hours.
        final_at = end.astimezone(UTC) + self.standing.window
        return {
            "currency": self.standing.currency,
            "data_through": min(final_at, self.standing.data_through),
            "is_final": final_at <= self.standing.data_through,
        }


def grouped(facts: Iterable[Row], grain: tuple[str, ...]) -> Iterable[tuple[Row, list[Row]]]:
    """Facts by their values of some columns, with these as the beginning of a row."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for fact in facts:
        groups[tuple([fact[name] for name in grain])].append(fact)
    return ((dict(zip(grain, key, strict=True)), members) for key, members in groups.items())


def span(facts: list[Row], name: str, first: str, last: str) -> Row:
    """The first and the last of what is known; null where nothing is."""
    values = [fact[name] for fact in facts if fact[name] is not None]
    return {first: min(values, default=None), last: max(values, default=None)}
