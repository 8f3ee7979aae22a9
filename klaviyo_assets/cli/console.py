"""How the command line speaks: where output goes, how errors look, what the exit codes mean.

Here: the two consoles and `errors`. Not here: any command.

Exit codes: 0 done, 1 failed, 2 wrong usage (a wrong setting, name or option).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, TransientError, UnknownNameError

FAILED, WRONG_USAGE = 1, 2
_WIDE = 240

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the whole error where something fails.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console() -> Console:
    """Standard output: what was asked for. Piped, it is plain and lines are not broken at 80 columns."""
    return _plain_when_piped(Console(highlight=False))


def notes() -> Console:
    """Standard error: progress and errors, so that output can be piped."""
    return _plain_when_piped(Console(stderr=True, highlight=False))


@contextmanager
def errors(*, verbose: bool = False) -> Iterator[None]:
    """Show an error in two lines, what is wrong and how to mend it, and exit with the code that fits.

    Args:
        verbose: Show the traceback as well.
    """
    try:
        yield
    except KlaviyoAssetsError as error:
        what, mend = _in_two(str(error), _default_mend(error))
        _show(what, mend, verbose=verbose)
        wrong_usage = isinstance(error, SettingsError | UnknownNameError)
        raise typer.Exit(WRONG_USAGE if wrong_usage else FAILED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except Exception as error:  # noqa: BLE001  the last resort of a command: two lines, no traceback
        _show(f"{type(error).__name__}: {error}", "That was not foreseen; run it with -v for details.", verbose=verbose)
        raise typer.Exit(FAILED) from None


def _plain_when_piped(made: Console) -> Console:
    return made if made.is_terminal else Console(stderr=made.stderr, highlight=False, width=_WIDE, no_color=True)


def _show(what: str, mend: str, *, verbose: bool) -> None:
    shown = notes()
    if verbose:
        shown.print_exception(show_locals=False)
    line = Text("error: ", style="bold red")
    line.append(_on_one_line(what), style="red")
    shown.print(line, soft_wrap=True)
    shown.print(Text(f"  {_on_one_line(mend)}"), soft_wrap=True)


def _in_two(message: str, mend: str) -> tuple[str, str]:
    """What is wrong and how to mend it: the first sentence and the others."""
    what, _, rest = message.partition(". ")
    return (what.rstrip("."), rest) if rest else (message.rstrip("."), mend)


def _default_mend(error: KlaviyoAssetsError) -> str:
    if isinstance(error, TransientError):
        return "It may pass: run it again."
    return "Run it with -v for details."


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
