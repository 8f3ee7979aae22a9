"""How the command line speaks: where output goes, how errors look, what the exit codes mean.

What belongs here: the two consoles and `errors`. What does not: commands, progress (`progress.py`), and wrong usage
(`usage.py`).

Exit codes: 0 done, 1 failed, 2 wrong usage (a wrong setting, name or option), 130 stopped with Ctrl-C.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError, TransientError, UnknownNameError
from klaviyo_assets.text import one_line

FAILED, WRONG_USAGE, STOPPED = 1, 2, 130
_WIDE = 240


def _anywhere(context: typer.Context, verbose: bool) -> bool:
    """Whether the command is verbose: `klaviyo-assets -v run` means `klaviyo-assets run -v`."""
    return verbose or bool(context.find_root().params.get("verbose"))


Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the whole error if something fails.", callback=_anywhere)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console() -> Console:
    """Standard output, for the result. In a pipe it is plain, and lines are not broken at 80 columns."""
    return _plain_when_piped(stderr=False)


def notes() -> Console:
    """Standard error, for progress and errors, so that the result can be piped."""
    return _plain_when_piped(stderr=True)


@contextmanager
def screen() -> Iterator[Console]:
    """Like `notes`, for output while Dagster works, which redirects standard error to the step's log."""
    if not sys.stderr.isatty():
        yield notes()
        return
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding) as terminal:
        yield Console(file=terminal, highlight=False)


@contextmanager
def errors(*, verbose: bool = False, stopped: str = "Nothing was left half done.") -> Iterator[None]:
    """Show an error in two lines, what is wrong and how to fix it, and exit with the code of its class.

    Args:
        verbose: Show the traceback as well.
        stopped: A sentence with what a user who pressed Ctrl-C has to know.

    Raises:
        typer.Exit: instead of any error, and after Ctrl-C.
    """
    try:
        yield
    except KlaviyoAssetsError as error:
        show_error(error.what, error.fix or _default_fix(error), verbose=verbose)
        wrong_usage = isinstance(error, SettingsError | UnknownNameError)
        raise typer.Exit(WRONG_USAGE if wrong_usage else FAILED) from None
    except KeyboardInterrupt:
        notes().print(Text(f"Stopped. {stopped}", style="yellow"), soft_wrap=True)
        raise typer.Exit(STOPPED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except BrokenPipeError:
        # The reader of the output is gone; Typer ends quietly.
        raise
    except Exception as error:  # noqa: BLE001  the last resort of a command: two lines, no traceback
        fix = "This error is unexpected. Run it with -v for details."
        show_error(f"{type(error).__name__}: {error}", fix, verbose=verbose)
        raise typer.Exit(FAILED) from None


def show_error(what: str, fix: str, *, verbose: bool = False) -> None:
    """Print two lines, what is wrong and how to fix it; with `verbose`, the traceback of the current error first."""
    stderr = notes()
    if verbose:
        stderr.print_exception(show_locals=False)
    line = Text("error: ", style="bold red")
    line.append(one_line(what), style="red")
    stderr.print(line, soft_wrap=True)
    stderr.print(Text(f"  {one_line(fix)}"), soft_wrap=True)


def _plain_when_piped(*, stderr: bool) -> Console:
    """A console. Without a terminal it is wide and shows no animation, even if FORCE_COLOR asks for colors."""
    default = Console(stderr=stderr, highlight=False)
    if (sys.stderr if stderr else sys.stdout).isatty():
        return default
    return Console(
        stderr=stderr, highlight=False, width=_WIDE, no_color=None if default.is_terminal else True,
        force_interactive=False,
    )  # fmt: skip


def _default_fix(error: KlaviyoAssetsError) -> str:
    if isinstance(error, TransientError):
        return "This may be temporary; run it again."
    if isinstance(error, SettingsError):
        return "Fix it; `klaviyo-assets doctor` checks every setting."
    return "Run it with -v for details."
