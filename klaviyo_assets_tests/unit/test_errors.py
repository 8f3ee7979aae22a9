"""Errors nobody foresaw are told by class and place, never by their own words."""

import pytest

from klaviyo_assets.errors import PermanentError, TransientError, UnforeseenError, contained, stack_of


def caught(work):
    with pytest.raises(Exception) as found:
        work()
    return found.value


def of_ours():
    len(5, "jane@shop.example")


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
