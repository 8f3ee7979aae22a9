"""One mail per incident: not per retry, not lost, and one when it is over."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.publishing.mail.incidents import DAY, HOUR, MAILS_A_DAY, REMIND_FOR, Failure, Incidents, Kind
from klaviyo_assets.publishing.mail.work import WHOLE

EVENTS = {"bigquery/event": (("2026-05-01", "2026-05-03"),)}


def failure(sentence="Postgres is down", *, account="acme", step="load_events", work=None, at=0.0, run_id="run"):
    return Failure(account, "events", step, sentence, (sentence,), EVENTS if work is None else work, run_id, at)


def told(incidents, now=0.0):
    """What a mail that goes out now tells."""
    news = incidents.news(now)
    if news.keys:
        incidents.record_mail(news, now)
    return len(news.new), len(news.reminders), len(news.over)


def made(incidents, account, work, at):
    """What of an account has been made since."""
    incidents.settle(lambda one: (work if one.account == account else {}, at))


def after_restart(incidents):
    """As the sensor's next tick reads them, maybe in another process."""
    return Incidents.read(json.loads(json.dumps(incidents.as_json)))


def test_the_fix_of_an_incident_is_read_from_a_cursor_of_an_earlier_version():
    incidents = Incidents()
    incidents.record_failure(replace(failure(), fix="Check the bucket."))
    written = incidents.as_json
    for incident in written["by_key"].values():
        incident["mend"] = incident.pop("fix")

    assert [incident.fix for incident in Incidents.read(written).by_key.values()] == ["Check the bucket."]


def test_the_first_failure_is_told_and_its_retries_are_not():
    incidents = Incidents()
    incidents.record_failure(failure())
    assert told(incidents) == (1, 0, 0)
    for at in range(1, 5):
        incidents.record_failure(failure(at=at * HOUR))
        assert told(incidents, at * HOUR) == (0, 0, 0)
    (one,) = incidents.by_key.values()
    assert (one.times, one.last_at) == (5, 4 * HOUR)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("time-out after 30 s", "time-out after 31 s"),
        ("run 3f2a9c1e-7d2b is over", "run 99aa01bc-0d1f is over"),
        ("event [acme|2026-05-01]: down", "event [acme|2026-05-02]: down"),
        ("2026-05-01T10:11:12.5Z: down", "2026-05-01 10:12:13: down"),
    ],
)
def test_what_differs_from_run_to_run_makes_no_other_incident(one, other):
    assert failure(one).key == failure(other).key


@pytest.mark.parametrize("change", [{"account": "bloom"}, {"step": "map_events"}, {"sentence": "S3 is down"}])
def test_another_account_step_or_error_is_another_incident(change):
    assert failure().key != failure(**{"sentence": "Postgres is down", **change}).key


def test_it_is_over_when_all_its_days_are_done_and_that_is_told_once():
    incidents = Incidents()
    incidents.record_failure(failure())
    told(incidents)
    made(incidents, "acme", {"bigquery/event": (("2026-05-01", "2026-05-02"),)}, 10)
    assert told(incidents, 10) == (0, 0, 0), "a day is left"
    made(incidents, "acme", {"bigquery/event": (("2026-05-03", "2026-05-09"),)}, 20)
    assert told(incidents, 20) == (0, 0, 1)
    assert told(incidents, 30) == (0, 0, 0)
    assert incidents.by_key == {}


@pytest.mark.parametrize(
    ("account", "work"),
    [("bloom", EVENTS), ("acme", {"bigquery/person": (WHOLE,)}), ("acme", {"bigquery/event": (WHOLE,)})],
)
def test_what_others_do_ends_nothing(account, work):
    incidents = Incidents()
    incidents.record_failure(failure())
    made(incidents, account, work, 10)
    assert told(incidents, 10) == (1, 0, 0)


def test_after_it_was_over_it_is_a_new_incident():
    incidents = Incidents()
    incidents.record_failure(failure())
    told(incidents)
    made(incidents, "acme", EVENTS, 10)
    told(incidents, 10)
    incidents.record_failure(failure(at=20))
    assert told(incidents, 20) == (1, 0, 0)


def test_failing_again_before_the_end_was_told_is_no_news():
    incidents = Incidents()
    incidents.record_failure(failure())
    told(incidents)
    made(incidents, "acme", EVENTS, 10)
    incidents.record_failure(failure(at=11))
    assert told(incidents, 12) == (0, 0, 0)


def test_whoever_forgot_is_reminded_once_a_day_for_a_week():
    incidents = Incidents()
    incidents.record_failure(failure())
    mails = []
    for hour in range(24 * 30):
        mails += [hour] if any(told(incidents, hour * HOUR)) else []
        incidents.forget(hour * HOUR)
    assert mails == [24 * day for day in range(int(REMIND_FOR / DAY) + 1)]
    assert incidents.by_key == {}


def test_news_stay_due_until_a_mail_has_gone_out():
    incidents = Incidents()
    incidents.record_failure(failure())
    for at in (0, 60, 120):
        assert len(incidents.news(at).new) == 1
        incidents = after_restart(incidents)
    made(incidents, "acme", EVENTS, 150)
    assert told(incidents, 180) == (0, 0, 1), "over before anybody was told: still told"


def test_a_failure_that_nobody_was_told_of_is_never_forgotten():
    incidents = Incidents()
    incidents.record_failure(failure())
    assert incidents.forget(REMIND_FOR * 3) == []
    assert len(incidents.news(REMIND_FOR * 3).new) == 1


def test_after_many_mails_the_others_wait_and_go_out_together():
    """SES's sandbox takes 200 recipients a day."""
    incidents, mails = Incidents(), []
    for minute in range(24 * 60):
        at = minute * 60.0
        incidents.record_failure(failure(f"error {chr(97 + minute % 26)}{chr(97 + minute // 26 % 26)}", at=at))
        mails += [at] if any(told(incidents, at)) else []
    assert MAILS_A_DAY < len(mails) <= MAILS_A_DAY + 24
    told(incidents, 25 * HOUR)
    assert all(one.told_at is not None for one in incidents.by_key.values())


def test_a_stale_account_is_told_once_and_once_when_it_is_fresh():
    incidents = Incidents()
    stale = {"acme": ("data are stale", "The data reach to May 1.")}
    incidents.record_stale(stale, 0)
    assert told(incidents) == (1, 0, 0)
    incidents.record_stale({"acme": ("data are stale", "The data reach to May 1, later.")}, 600)
    assert told(incidents, 600) == (0, 0, 0)
    incidents.record_stale({}, 1200)
    assert told(incidents, 1200) == (0, 0, 1)


def test_loads_do_not_end_staleness_and_freshness_ends_no_failure():
    incidents = Incidents()
    incidents.record_failure(failure())
    incidents.record_stale({"acme": ("data are stale", "Old.")}, 0)
    made(incidents, "acme", EVENTS, 1)
    assert {one.kind for one in incidents.news(2).over.values()} == {Kind.RUN}
    incidents.record_stale({}, 3)
    assert {one.kind for one in incidents.news(4).over.values()} == {Kind.RUN, Kind.STALE}


steps = st.lists(
    st.tuples(
        st.sampled_from(["fail", "succeed", "stale", "fresh", "restart"]),
        st.sampled_from(["acme", "bloom"]),
        st.sampled_from(["Postgres is down", "S3 is down"]),
        st.booleans(),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_each_incident_is_told_once_at_its_beginning_and_once_at_its_end(happenings):
    """A mail may fail at any step. Within a day there are no reminders."""
    incidents, open_now, log, now = Incidents(), set(), [], 0.0
    for what, account, sentence, mail_works in happenings:
        now += 60
        key = (account, sentence)
        if what == "fail":
            incidents.record_failure(failure(sentence, account=account, at=now))
            open_now.add(key)
        elif what == "succeed":
            made(incidents, account, EVENTS, now)
            open_now = {one for one in open_now if one[0] != account}
        elif what in {"stale", "fresh"}:
            incidents.record_stale({account: ("stale", "Old.")} if what == "stale" else {}, now)
        else:
            incidents = after_restart(incidents)
        incidents.sent = []  # how many mails go out is another test's
        news = incidents.news(now)
        if mail_works and news.keys:
            log += [("new", key) for key in news.new] + [("over", key) for key in news.over]
            incidents.record_mail(news, now)
            open_keys = {one.account + one.sentence for one in incidents.by_key.values() if one.kind is Kind.RUN}
            assert open_keys == {account + sentence for account, sentence in open_now}
    for key in {key for _, key in log}:
        told_of = [what for what, of in log if of == key]
        assert all(pair != ("new", "new") for pair in pairwise(told_of))
