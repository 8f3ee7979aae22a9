"""Wrong usage in two lines, like any other error: what is wrong, and how to use the command.

Here: the class of the command `klaviyo-assets`. Not here: errors of correctly called commands (`console.py`).
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from klaviyo_assets.cli.console import FAILED, STOPPED, notes, show_error

# Typer ships Click's classes under a name of its own, which differs between its versions.
_UsageError: Any = typer.BadParameter.__base__


class Commands(TyperGroup):
    """The group of all commands."""

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, windows_expand_args: bool = True, **extra: Any,
    ) -> Any:  # fmt: skip
        """Run a command; as a program (`standalone_mode`), end it with its exit code."""
        run = partial(super().main, args, prog_name, complete_var, False, windows_expand_args, **extra)
        if not standalone_mode:
            return run()
        try:
            code = run()
        except _UsageError as error:
            _explain(error)
            code = error.exit_code
        except typer.Abort as error:
            # A question that was not answered: by Ctrl-C, or with a no.
            notes().print("Stopped; nothing was changed.", style="yellow")
            code = STOPPED if isinstance(error.__context__, KeyboardInterrupt) else FAILED
        sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Any) -> None:
    if error.ctx is None or type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    # Click's messages about missing and misspelled names begin with a capital letter.
    what = error.format_message().strip().rstrip(".")
    usage = " ".join(error.ctx.get_usage().split())
    show_error(what[:1].lower() + what[1:], f"{usage}; see `{error.ctx.command_path} --help`.")
