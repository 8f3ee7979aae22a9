"""When mail is sent: when incidents begin and end, and a digest once a day.

Here: the sensor `failure_mails` and the schedule `daily_digest`. Not here: what they say, and the job of the digest.

The sensor is not one of Dagster's run-failure sensors: these forget a failure once they have been called for it,
whether or not the mail was sent, and never learn of a success. This one keeps in its cursor what it has seen and what
it still has to report; Dagster stores the cursor when the tick has ended, so a restart loses nothing. If mail cannot be
sent, there is a warning with its fix, and the news are due again at the next tick.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from klaviyo_assets.accounts import Accounts
from klaviyo_assets.defs.findings import stale_accounts
from klaviyo_assets.defs.run_history import Seen, note_ended
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.publishing.mail.findings import ui_url
from klaviyo_assets.publishing.mail.incidents import Incident, Incidents, News, titles
from klaviyo_assets.publishing.mail.privacy import scrubbed
from klaviyo_assets.publishing.mail.rendering import rendered
from klaviyo_assets.publishing.mail.work import sentences
from klaviyo_assets.resources.mail.resource import MailResource, Message, PartlySentError, is_set_up

INTERVAL_SECONDS = 60
# Ages change slowly, and checking them costs some queries per account.
LOOK_AT_AGES_SECONDS = 600
DIGEST_HOUR = 7


def build_failure_sensor(accounts: Accounts) -> dg.SensorDefinition:
    """`failure_mails`: one mail when an incident begins and one when it is over; on if MAIL_TO is set."""

    @dg.sensor(
        name="failure_mails",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=_status(dg.DefaultSensorStatus),
        description="Sends a mail when something fails or goes stale, and when it is over. On if MAIL_TO is set.",
    )
    def failure_mails(context: dg.SensorEvaluationContext, mail: MailResource) -> dg.SensorResult:
        tick = Tick.read(context.cursor, context.instance)
        tick.look(accounts, context.instance, time.time())
        return dg.SensorResult(
            skip_reason=tick.tell(mail, context.log, time.time()), cursor=tick.written,
        )  # fmt: skip

    return failure_mails


def build_digest_schedule(accounts: Accounts, job: Any) -> dg.ScheduleDefinition:
    """`daily_digest`: the digest at seven in the first account's time zone; on if MAIL_TO is set."""
    first = next(iter(accounts.by_name.values()))

    @dg.schedule(
        name="daily_digest",
        job=job,
        cron_schedule=f"0 {DIGEST_HOUR} * * *",
        execution_timezone=first.timezone,
        default_status=_status(dg.DefaultScheduleStatus),
        description="Mails what mattered yesterday. On if MAIL_TO is set.",
    )
    def daily_digest(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = context.scheduled_execution_time.astimezone(first.zone).date()
        # The same day is never mailed twice automatically.
        yield dg.RunRequest(run_key=f"digest-{day}", tags={"klaviyo/started_by": "schedule"})

    return daily_digest


def _status(statuses: Any) -> Any:
    return statuses.RUNNING if is_set_up() else statuses.STOPPED


@dataclass
class Tick:
    """What the sensor knows: the runs it has seen, the incidents, and when it last checked the age of the data."""

    seen: Seen
    incidents: Incidents
    looked_at: float = 0.0

    @classmethod
    def read(cls, cursor: str | None, instance: dg.DagsterInstance) -> "Tick":
        """The state in the cursor; without a cursor, a state that begins now."""
        if not cursor:
            return cls(Seen.now(instance), Incidents())
        state = json.loads(cursor)
        return cls(Seen(state["seen"]), Incidents.read(state["incidents"]), state["looked_at"])

    @property
    def written(self) -> str:
        """The state as a cursor."""
        return json.dumps(
            {"seen": self.seen.ids, "incidents": self.incidents.as_json, "looked_at": self.looked_at}, sort_keys=True
        )

    def look(self, accounts: Accounts, instance: dg.DagsterInstance, now: float) -> None:
        """Record the runs that have ended since, and now and then the stale accounts."""
        note_ended(self.incidents, instance, self.seen.since(instance))
        if now - self.looked_at >= LOOK_AT_AGES_SECONDS:
            stale_stages = stale_accounts(accounts, instance)
            sentences = {name: (f"data are stale at {stage}", text) for name, (stage, text) in stale_stages.items()}
            self.incidents.record_stale(sentences, now)
            self.looked_at = now

    def tell(self, mail: MailResource, log: Any, now: float) -> str:
        """Mail what is due; return the outcome as a sentence."""
        news = self.incidents.news(now)
        if not news.keys:
            self.incidents.forget(now)
            waiting = sum(one.told_at is None for one in self.incidents.by_key.values())
            return f"{len(self.incidents.by_key)} incident(s) open, nothing to report" + (
                f"; {waiting} wait, because many mails went out today" if waiting else ""
            )
        try:
            message_id = mail.send(incident_message(news))
        except PartlySentError as error:
            # Those who have the mail would get it again at every tick.
            self.incidents.record_mail(news, now)
            sentence = f"mailed {len(news.keys)} incident(s), but not to everybody: {scrubbed(str(error))}"
            log.warning(sentence)
            return sentence
        except KlaviyoAssetsError as error:
            sentence = f"mail could not be sent and is retried at the next tick: {scrubbed(str(error))}"
            log.warning(sentence)
            return sentence
        except Exception as error:  # noqa: BLE001  whatever mail does, the tick ends well and the news stay due
            log.warning(f"mail could not be sent and is retried at the next tick: {type(error).__name__}")
            return f"mail could not be sent: {type(error).__name__}; it is retried at the next tick"
        self.incidents.record_mail(news, now)
        return f"mailed {len(news.keys)} incident(s): {message_id}"


def incident_message(news: News) -> Message:
    """One mail for everything that is due."""
    groups = [
        ("bad", "1 failure" if len(news.new) == 1 else f"{len(news.new)} failures", _template_rows(news.new)),
        ("odd", "Still failing", _template_rows(news.reminders)),
        ("well", "Recovered", _template_rows(news.over)),
    ]
    groups = [group for group in groups if group[2]]
    subject = incident_subject(news)
    html, text = rendered("incidents", subject=subject, groups=groups, ui=ui_url())
    return Message(subject, text, html)


def incident_subject(news: News) -> str:
    """The subject: what happened, and to which accounts."""
    if news.new:
        (incident, *others) = news.new.values()
        what = (
            f"{incident.title} {'failed' if incident.run_id else ''}".strip()
            if not others
            else f"{len(news.new)} failures"
        )
        return f"Klaviyo, {titles(news.new.values())}: {what}"
    if news.over:
        return f"Klaviyo, {titles(news.over.values())}: recovered"
    return f"Klaviyo, {titles(news.reminders.values())}: still failing"


def _template_rows(incidents: dict[str, Incident]) -> list[dict[str, Any]]:
    """What the templates show about incidents."""
    return [
        {
            "title": f"{incident.account or 'All accounts'}: {incident.title}",
            "sentence": incident.sentence,
            "details": [line for line in incident.details if line != incident.sentence],
            "since": datetime.fromtimestamp(incident.opened_at, UTC),
            "over": incident.over_at and datetime.fromtimestamp(incident.over_at, UTC),
            "times": incident.times,
            "left": sentences(incident.left) if incident.run_id else [],
            "fix": incident.fix,
            "url": ui_url("runs", incident.run_id) if incident.run_id else "",
        }
        for incident in incidents.values()
    ]
