"""Incidents: failures that a person sees as one. They are mailed once, and once more when they are over.

Here: which failures belong together, when an incident is over, and what is due to be mailed. Not here: reading failures
from Dagster (`defs/run_history.py`), and sending (`defs/automation/mail.py`).

An incident is an account, a step, and the first error without the parts that differ from run to run. However often the
run is retried, it stays one incident. It is over when everything that it left undone has been done; for a stale
account, when its data are fresh again. News stay due until a mail has gone out.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from klaviyo_assets.publishing.mail.work import Span, Work, union_of, without

HOUR, DAY = 3600.0, 86_400.0
# A reminder comes after a day, but not for ever.
REMIND_AFTER = DAY
REMIND_FOR = 7 * DAY
# The sandbox of SES accepts 200 recipients a day: send up to this many mails at once, then one an hour.
MAILS_A_DAY = 12
MOST_DETAILS = 6
_VOLATILE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.+Z]+)?|0x[0-9a-f]+|\b(?=[0-9a-f-]*\d)[0-9a-f][0-9a-f-]{7,}\b|\d+")


class Kind(StrEnum):
    """What an incident is about."""

    RUN = "run"
    STALE = "stale"


@dataclass(frozen=True)
class Failure:
    """A failed run: its account, its step, the reason, and the work that it left undone.

    `account` is empty if the run belongs to none. `sentence` is the first error; `details` are the others; `fix` says
    what to do.
    """

    account: str
    job: str
    step: str
    sentence: str
    details: tuple[str, ...]
    work: Work
    run_id: str
    at: float
    fix: str = ""

    @property
    def key(self) -> str:
        """What it has in common with the failures of the same incident."""
        return _key(Kind.RUN, self.account, self.step, _VOLATILE.sub("#", self.sentence))


@dataclass
class Incident:
    """Failures that belong together. Times are seconds since 1970; None means that it has not happened."""

    kind: Kind
    account: str
    title: str
    sentence: str
    opened_at: float
    last_at: float
    details: list[str] = field(default_factory=list)
    times: int = 1
    run_id: str = ""
    left: dict[str, tuple[Span, ...]] = field(default_factory=dict)
    fix: str = ""
    told_at: float | None = None
    over_at: float | None = None

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Incident":
        """From JSON; that of earlier versions calls the fix `mend`."""
        left = {asset: tuple((first, last) for first, last in spans) for asset, spans in record["left"].items()}
        values = {"fix" if name == "mend" else name: value for name, value in record.items()}
        return cls(**{**values, "kind": Kind(record["kind"]), "left": left})


@dataclass(frozen=True)
class News:
    """What is due to be mailed, by the keys of `Incidents.by_key`."""

    new: dict[str, Incident]
    reminders: dict[str, Incident]
    over: dict[str, Incident]

    @property
    def keys(self) -> set[str]:
        """Everything in it."""
        return {*self.new, *self.reminders, *self.over}


@dataclass
class Incidents:
    """The incidents that are open, or over but not mailed yet, and the times of recent mails about them."""

    by_key: dict[str, Incident] = field(default_factory=dict)
    sent: list[float] = field(default_factory=list)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Incidents":
        """From JSON."""
        return cls({key: Incident.read(incident) for key, incident in record["by_key"].items()}, list(record["sent"]))

    @property
    def as_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    def record_failure(self, failure: Failure) -> None:
        """Take note of a failed run."""
        incident = self.by_key.get(failure.key)
        if incident is None:
            self.by_key[failure.key] = Incident(
                Kind.RUN, failure.account, f"{failure.job}, step {failure.step}", failure.sentence, failure.at,
                failure.at, list(failure.details[:MOST_DETAILS]), run_id=failure.run_id,
                left=union_of(failure.work, {}), fix=failure.fix,
            )  # fmt: skip
            return
        incident.times, incident.last_at, incident.run_id = incident.times + 1, failure.at, failure.run_id
        incident.fix = failure.fix
        incident.details = list(failure.details[:MOST_DETAILS])
        incident.left, incident.over_at = union_of(incident.left, failure.work), None

    def settle(self, made_since: Callable[[Incident], tuple[Work, float]]) -> None:
        """Take note of the work of failed runs that has been done since.

        Args:
            made_since: The part of an incident's work that was done since its newest failure, and the time of it.
        """
        for incident in self.by_key.values():
            if incident.kind is Kind.RUN and incident.over_at is None:
                work, at = made_since(incident)
                incident.left = without(incident.left, work)
                incident.over_at = at if not incident.left else None

    def record_stale(self, sentences: Mapping[str, tuple[str, str]], at: float) -> None:
        """Take note of the accounts that are stale now: title and sentence, by account name."""
        for account, (title, sentence) in sentences.items():
            key = _key(Kind.STALE, account)
            incident = self.by_key.setdefault(key, Incident(Kind.STALE, account, title, sentence, at, at))
            incident.title, incident.sentence, incident.last_at, incident.over_at = title, sentence, at, None
        for incident in self.by_key.values():
            if incident.kind is Kind.STALE and incident.account not in sentences and incident.over_at is None:
                incident.over_at = at

    def news(self, now: float) -> News:
        """What is due to be mailed; nothing while too many mails went out recently."""
        news = News({}, {}, {})
        self.sent = [at for at in self.sent if now - at < DAY]
        if len(self.sent) >= MAILS_A_DAY and now - max(self.sent) < HOUR:
            return news
        for key, incident in self.by_key.items():
            if incident.over_at is not None:
                news.over[key] = incident
            elif incident.told_at is None:
                news.new[key] = incident
            elif now - incident.told_at >= REMIND_AFTER:
                news.reminders[key] = incident
        return news

    def record_mail(self, news: News, now: float) -> None:
        """A mail with these news has gone out."""
        self.sent.append(now)
        for key in news.over:
            del self.by_key[key]
        for incident in (*news.new.values(), *news.reminders.values()):
            incident.told_at = now

    def forget(self, now: float) -> list[Incident]:
        """Drop incidents that nobody fixes: their newest failure is too old for a reminder."""
        old = [key for key, each in self.by_key.items() if each.told_at is not None and now - each.last_at > REMIND_FOR]
        return [self.by_key.pop(key) for key in old]


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def titles(incidents: Iterable[Incident]) -> str:
    """The accounts of incidents, for a subject; an incident without an account concerns all of them."""
    names = sorted({incident.account or "all accounts" for incident in incidents})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
