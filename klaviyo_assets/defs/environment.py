"""The environment wins over `.env` in the processes that Dagster starts, as it does on the command line.

Here: restoring what the shell had set, before anything reads a setting. Not here: reading one
(`settings.py`).

`dagster dev`, `dg dev`, the webserver, the daemon, every code server and every run write `.env` over the environment
they were started with, and hand the result to the next; Dagster has no switch for it. The operating system still knows
what each process was started with. So the first Dagster process of the chain shows what the shell had set, whoever
typed the command and wherever the instance is.
"""

import json
import logging
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from klaviyo_assets.errors import SettingsError

_PROGRAMS = {"dagster", "dg", "dagster-webserver", "dagster-daemon", "dagster_webserver", "dagster_dg_cli"}
_FLAGS_WITH_VALUE = {"-X", "-W", "--check-hash-based-pycs"}
_PROJECT_FILES = "DAGSTER_PROJECT_ENV_FILE_PATHS"
_HOME = "DAGSTER_HOME"


def restore_environment() -> None:
    """Let the environment that Dagster was started with win over `.env`; does nothing in any other process.

    Raises:
        SettingsError: the two name different instances; Dagster has already opened the one in `.env`.
    """
    files = _dotenv_files()
    exported = _exported() if files else None
    if exported is None:
        return
    restored = [name for file in files for name in _restore(file, exported)]
    if restored and multiprocessing.parent_process() is None:  # once, not again in each run
        names = ", ".join(sorted(set(restored)))
        logging.getLogger("dagster").warning(f"The environment wins over .env for: {names}")


def check_home(file: Path, exported: Mapping[str, str]) -> None:
    """Refuse a `.env` that points Dagster to a different instance than the environment.

    Args:
        file: The `.env`.
        exported: The environment; DAGSTER_HOME in it may be empty, which means the instance of the current folder.

    Raises:
        SettingsError: the `.env` does so.
    """
    written = _values(file).get(_HOME) or ""
    if written and exported.get(_HOME, written) != written:
        raise SettingsError(
            f"{file} sets {_HOME}={written}, but the environment sets {_HOME}={exported[_HOME]!r}",
            f"Remove {_HOME} from .env: Dagster prefers .env here, so it would use a different instance than you "
            "asked for.",
        )


def main() -> int:
    """Run before `make ui` starts Dagster: stop with a message if Dagster would use the wrong instance."""
    try:
        check_home(Path(".env"), os.environ)
    except SettingsError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201  a command of the Makefile
        return 1
    return 0


def _restore(file: Path, exported: Mapping[str, str]) -> Iterator[str]:
    """Returns the names that `.env` had changed."""
    from dotenv import load_dotenv

    check_home(file, exported)
    for name in _values(file):
        if name in exported:
            if os.environ.get(name) != exported[name]:
                yield name
            os.environ[name] = exported[name]
        else:
            # These are read again below: a value may contain others, as in ${S3_PREFIX}.
            os.environ.pop(name, None)
    load_dotenv(file)


def _values(file: Path) -> Mapping[str, str | None]:
    from dotenv import dotenv_values

    return dotenv_values(file)


def _dotenv_files() -> list[Path]:
    """The `.env` files that Dagster reads: in the current folder, and in each project of a `dg` workspace."""
    folders = [
        Path.cwd(),
        *(Path.cwd() / folder for folder in json.loads(os.environ.get(_PROJECT_FILES) or "{}").values()),
    ]
    return [file for file in dict.fromkeys(folder.resolve() / ".env" for folder in folders) if file.is_file()]


def _exported() -> Mapping[str, str] | None:
    """What the first Dagster process above this one was started with; None if this is not a Dagster process."""
    import psutil

    this = psutil.Process()
    chain = list(takewhile(lambda process: is_dagster(_command(process)), (this, *this.parents())))
    try:
        return chain[-1].environ() if chain else None
    except psutil.Error as error:
        raise SettingsError(
            f"cannot tell how Dagster was started ({error}), so it is unclear if .env or the environment applies",
            "Start Dagster in a folder without a .env.",
        ) from error


def _command(process: Any) -> list[str]:
    """A command line; empty if the process has ended or is another user's, and so does not belong to this Dagster."""
    import psutil

    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def is_dagster(command: Sequence[str]) -> bool:
    """Whether a command line belongs to a Python process of Dagster, or to one that such a process spawned."""
    if not command or not Path(command[0]).name.lower().startswith("python"):
        return False
    words = iter(command[1:])
    for word in words:
        if word in _FLAGS_WITH_VALUE:
            next(words, None)
        elif word == "-c":
            return "multiprocessing" in next(words, "")
        elif word == "-m":
            return next(words, "").partition(".")[0] in _PROGRAMS
        elif not word.startswith("-"):
            return Path(word).stem in _PROGRAMS
    return False


if __name__ == "__main__":
    sys.exit(main())
