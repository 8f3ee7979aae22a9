"""The local SES lets through what SES lets an account do that is still in its sandbox."""

import pytest

from klaviyo_assets.sandbox.ses_limits import LARGEST_BYTES, RECIPIENTS_PER_DAY, Limits


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_one_mail_a_second(clock):
    limits = Limits(clock)
    assert limits.refusal(1, 100) is None
    clock.now += 0.5
    assert limits.refusal(1, 100) == ("Throttling", "Maximum sending rate exceeded.")
    clock.now += 0.6
    assert limits.refusal(1, 100) is None


def test_two_hundred_recipients_in_a_day(clock):
    limits = Limits(clock)
    for _ in range(RECIPIENTS_PER_DAY // 50):
        assert limits.refusal(50, 100) is None
        clock.now += 10
    assert limits.refusal(1, 100) == ("Throttling", "Daily message quota exceeded.")
    clock.now += 86_400
    assert limits.refusal(1, 100) is None


def test_ten_megabytes_a_message(clock):
    code, sentence = Limits(clock).refusal(1, LARGEST_BYTES + 1)
    assert code == "InvalidParameterValue"
    assert "Message length is more than 10485760 bytes long" in sentence


def test_what_was_refused_for_another_reason_does_not_count(clock):
    limits = Limits(clock)
    limits.refusal(1, 100)
    limits.forget_last()
    assert limits.refusal(1, 100) is None
