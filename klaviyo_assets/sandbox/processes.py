"""Starting processes that outlive the command, recognizing them later, and ending them.

Here: calls to the operating system. Not here: which process is which server (`supervisor`).
A process is identified by its id *and* its start time: ids are reused, and the wrong process must never be ended.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOG_BYTES = 10_000_000
# The child waits for a line before it becomes the server: a supervisor killed before it has remembered the process
# closes the pipe, and the child ends instead of running unrecorded.
_GATE = 'read -r go || exit 1; exec "$@" </dev/null'
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class Identity:
    """The identity of a process: its id, and an opaque text for when it began."""

    pid: int
    started: str


@dataclass(frozen=True)
class Launch:
    """How a process is started. Under root it runs as `user` and `group`."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    user: int | None = None
    group: int | None = None


def spawn(launch: Launch, log: Path, remember: Callable[[Identity], None]) -> Identity:
    """Start a process in a session of its own, its output appended to `log`.

    Args:
        launch: command, environment, folder, user.
        log: where standard output and error go.
        remember: called with the identity before the command itself begins to run.
    """
    _shorten(log)
    child = _begin(["/bin/sh", "-c", _GATE, "sandbox", *launch.command], launch, log, gated=True)
    _children[child.pid] = child
    identity = Identity(child.pid, _start_mark(child.pid) or "")
    try:
        remember(identity)
    except BaseException:
        _close_gate(child)
        raise
    _open_gate(child)
    return identity


def run_to_end(launch: Launch, log: Path) -> int:
    """Run a short command, its output appended to `log`; returns its exit code."""
    return _begin(launch.command, launch, log, gated=False).wait()


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process runs; a zombie does not count."""
    child = _children.get(identity.pid)
    if child is not None and child.poll() is not None:
        del _children[identity.pid]
    return bool(identity.started) and _start_mark(identity.pid) == identity.started


def end(identity: Identity, gently: signal.Signals = signal.SIGTERM, patience: float = 15.0) -> bool:
    """End a process, first gently, then by force; returns whether it was running."""
    if not is_alive(identity):
        return False
    for sign, seconds in ((gently, patience), (signal.SIGKILL, 5.0)):
        _send(identity, sign)
        if wait_until_gone(identity, seconds):
            return True
    return True


def wait_until_gone(identity: Identity, seconds: float) -> bool:
    """Wait for a process to end; returns whether it did."""
    deadline = time.monotonic() + seconds
    while is_alive(identity):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def identify(pid: int) -> Identity | None:
    """The process that has this id now."""
    start_mark = _start_mark(pid)
    return Identity(pid, start_mark) if start_mark else None


def command_line(pid: int) -> str:
    """The command line of a running process; empty if there is none or it is a zombie."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    return _ps(pid, "command=")


def log_tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def _begin(command: Sequence[str], launch: Launch, log: Path, gated: bool) -> "subprocess.Popen[bytes]":
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
        return subprocess.Popen(  # noqa: S603 - the commands are our own servers
            command,
            stdin=subprocess.PIPE if gated else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(launch.environment),
            cwd=launch.folder,
            start_new_session=True,
            umask=0o077,
            user=launch.user,
            group=launch.group,
            extra_groups=None if launch.user is None else [],
        )


def _open_gate(child: "subprocess.Popen[bytes]") -> None:
    # The caller will notice a child that has already ended.
    with contextlib.suppress(BrokenPipeError):
        if child.stdin:
            child.stdin.write(b"go\n")
            child.stdin.close()


def _close_gate(child: "subprocess.Popen[bytes]") -> None:
    if child.stdin:
        child.stdin.close()
    child.wait()


def _send(identity: Identity, sign: signal.Signals) -> None:
    try:
        if is_alive(identity):
            os.kill(identity.pid, sign)
    except ProcessLookupError:
        return


def _start_mark(pid: int) -> str | None:
    """When a process began, in the kernel's count; None if it does not run.

    Linux: ticks since boot, which a corrected clock does not change, with the boot's id.
    """
    if not Path("/proc/self/stat").exists():
        columns = _ps(pid, "stat=,lstart=")
        return None if not columns or columns.startswith("Z") else columns.split(maxsplit=1)[1]
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, IndexError):
        return None
    return None if fields[0] in {"Z", "X"} else f"{boot}:{fields[19]}"


def _ps(pid: int, columns: str) -> str:
    command = ["/bin/ps", "-o", columns, "-p", str(pid)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})  # noqa: S603
    return process.stdout.strip()


def _shorten(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
