"""How the command line speaks of errors."""

import pytest

from klaviyo_assets.cli.console import console, errors
from klaviyo_assets.errors import PermanentError, SettingsError, TransientError, UnknownNameError


def failing(error):
    def command(verbose: bool = False) -> None:
        with errors(verbose=verbose):
            raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (PermanentError("It broke", "Fix it so."), 1, ["error: It broke", "  Fix it so."]),
        (TransientError("It went away"), 1, ["error: It went away", "  This may be temporary; run it again."]),
        (SettingsError("X is wrong", "Set it."), 2, ["error: X is wrong", "  Set it."]),
        (
            UnknownNameError("account", "x", ["a"], "See there."),
            2,
            ["error: there is no account 'x'", "  Choose one of: a. See there."],
        ),
        (PermanentError("several\nlines of it"), 1, ["error: several lines of it", "  Run it with -v for details."]),
        (PermanentError("with [red]markup[/nothing]", "ok"), 1, ["error: with [red]markup[/nothing]", "  ok"]),
        (PermanentError("S3 said: No. Never", "Wait."), 1, ["error: S3 said: No. Never", "  Wait."]),
        (
            SettingsError("X is wrong"),
            2,
            ["error: X is wrong", "  Fix it; `klaviyo-assets doctor` checks every setting."],
        ),
        (ValueError("oh"), 1, ["error: ValueError: oh", "  This error is unexpected. Run it with -v for details."]),
    ],
)
def test_an_error_is_two_lines_and_an_exit_code(call, error, code, lines):
    result = call(failing(error))

    assert result.exit_code == code
    assert result.stderr.splitlines() == lines
    assert result.stdout == ""


def test_the_whole_error_is_shown_when_asked_for(call):
    result = call(failing(PermanentError("It broke", "Fix it.")), "--verbose")

    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-2:] == ["error: It broke", "  Fix it."]


def test_output_is_plain_when_piped(capsys):
    console().print("[red]" + "x" * 200 + "[/red]")

    assert capsys.readouterr().out == "x" * 200 + "\n"
