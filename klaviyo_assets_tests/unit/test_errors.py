"""Errors nobody foresaw are told by class and place, never by their own words."""

import pickle

import pytest

from klaviyo_assets.errors import (
    PermanentError,
    SettingsError,
    TransientError,
    UnforeseenError,
    UnknownNameError,
    contained,
    stack_of,
)


def caught(work):
    with pytest.raises(Exception) as exception_info:
        work()
    return exception_info.value


def of_ours():
    len(5, "jane@shop.example")


def test_an_error_is_what_happened_and_its_fix():
    error = SettingsError("S3_BUCKET = 'a.b. c'", "Allowed: a bucket's name. See .env.example.")

    assert (error.what, error.fix) == ("S3_BUCKET = 'a.b. c'", "Allowed: a bucket's name. See .env.example.")
    assert str(error) == "S3_BUCKET = 'a.b. c'. Allowed: a bucket's name. See .env.example."
    assert str(TransientError("it went away")) == "it went away"


def test_an_error_survives_pickling():
    error = pickle.loads(pickle.dumps(PermanentError("no", "Change it.")))

    assert (error.what, error.fix, str(error)) == ("no", "Change it.", "no. Change it.")


def test_secrets_are_taken_out_of_both_texts():
    error = PermanentError("pair key:secret refused", "Replace secret.").hide("secret", "key", "")

    assert str(error) == "pair (hidden):(hidden) refused. Replace (hidden)."
    assert "secret" not in repr(error)


def test_an_unknown_name_is_answered_with_what_there_is():
    error = UnknownNameError("account", "acne", ["bloom", "acme"], "See accounts.toml.")

    assert error.what == "there is no account 'acne'"
    assert error.fix == "Did you mean 'acme'? Choose one of: acme, bloom. See accounts.toml."
    assert UnknownNameError("account", "x", []).fix == ""


@pytest.mark.parametrize("error", [PermanentError("no"), TransientError("away")])
def test_an_error_of_ours_stays_what_it_is(error):
    assert contained(error) is error
    assert stack_of(error) == ""


def test_another_is_permanent_and_says_class_and_place():
    error = contained(caught(of_ours))

    assert isinstance(error, UnforeseenError)
    assert isinstance(error, PermanentError)
    assert error.kind == "TypeError"
    assert "test_errors.py:" in stack_of(error)
    assert "in of_ours" in stack_of(error)


def test_its_words_and_those_of_what_caused_it_are_left_out():
    def work():
        try:
            {}["jane@shop.example"]
        except KeyError as cause:
            raise ValueError("row of jane@shop.example") from cause

    error = contained(caught(work))

    assert "jane" not in f"{error}{error!r}{stack_of(error)}"
    assert error.__cause__ is None


def test_no_folder_of_the_machine_is_named():
    error = contained(caught(lambda: (_ for _ in ()).throw(ZeroDivisionError())))

    assert all(not line.startswith("/") for line in stack_of(error).splitlines())
