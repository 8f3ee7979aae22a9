"""Wrong usage, -v anywhere, Ctrl-C and questions that are not answered: what is said, and with which exit code."""

import typer
from typer.testing import CliRunner

import klaviyo_assets.cli.main as module
from klaviyo_assets.cli.console import Verbose, errors
from klaviyo_assets.cli.usage import Commands
from klaviyo_assets.errors import PermanentError

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


@app.callback()
def _root(verbose: Verbose = False) -> None:
    pass


@app.command()
def fails(verbose: Verbose = False) -> None:
    """Fail."""
    with errors(verbose=verbose):
        raise PermanentError("it broke", "Fix it.")


@app.command()
def stops(verbose: Verbose = False) -> None:
    """Be stopped."""
    with errors(verbose=verbose, stopped="What was loaded stays."):
        raise KeyboardInterrupt


@app.command()
def asks(by: str = "no") -> None:
    """Ask something that nobody answers."""
    if by == "no":
        raise typer.Abort
    try:
        press_ctrl_c()
    except KeyboardInterrupt:
        raise typer.Abort from None


def call(*words: str):
    return CliRunner().invoke(app, list(words))


def test_wrong_usage_is_two_lines():
    result = CliRunner().invoke(module.app, ["query", "--nonsense"])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: no such option: --nonsense",
        "  Usage: klaviyo-assets query [OPTIONS] {SQL}; see `klaviyo-assets query --help`.",
    ]


def test_a_command_that_is_nearly_right_is_asked_for():
    assert "verify" in CliRunner().invoke(module.app, ["veryfi"]).stderr.splitlines()[0]


def test_details_are_shown_wherever_the_option_stands():
    for words in (["fails", "-v"], ["-v", "fails"], ["--verbose", "fails"]):
        result = call(*words)

        assert result.exit_code == 1
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-2:] == ["error: it broke", "  Fix it."]


def test_without_it_there_are_two_lines():
    assert call("fails").stderr.splitlines() == ["error: it broke", "  Fix it."]


def test_ctrl_c_is_one_line_and_130():
    result = call("stops")

    assert (result.exit_code, result.stderr) == (130, "Stopped. What was loaded stays.\n")


def test_a_question_that_is_not_answered_changes_nothing():
    refused, stopped = call("asks"), call("asks", "--by", "ctrl-c")

    assert (refused.exit_code, stopped.exit_code) == (1, 130)
    assert stopped.stderr == "Stopped; nothing was changed.\n"
