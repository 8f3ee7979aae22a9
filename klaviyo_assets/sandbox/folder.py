"""The sandbox's folder: which entries belong to the sandbox, and the lock that makes commands take turns.

Here: paths and the lock. Not here: what `state.json` says (`state`).
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.errors import SettingsError, TransientError

FOLDER_VARIABLE = "KLAVIYO_SANDBOX_DIR"
DEFAULT_FOLDER = ".sandbox"
LOCK_SECONDS = 180.0
# Every entry that the sandbox writes into its folder: `reset` deletes these and nothing else.
_DATA = ("postgres", "s3", "bigquery", "fivetran", "mail", "frames", "accounts.toml")
_OTHERS = ("logs", "state.json", "state.json.new", "accounts.toml.new")


@dataclass(frozen=True)
class Folder:
    """One sandbox's folder."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Folder":
        """The folder that `KLAVIYO_SANDBOX_DIR` names, else `.sandbox` in the working folder."""
        root = Path(os.environ.get(FOLDER_VARIABLE) or DEFAULT_FOLDER).expanduser().resolve()
        if "\n" in str(root):
            raise SettingsError(f"{FOLDER_VARIABLE} contains a line break", "Name a folder without one.")
        return cls(root)

    @property
    def state_file(self) -> Path:
        """What is remembered between commands."""
        return self.root / "state.json"

    @property
    def accounts_file(self) -> Path:
        """The accounts of the simulated shops and of what was imported."""
        return self.root / "accounts.toml"

    @property
    def frames(self) -> Path:
        """The folder of the product's frames between stages."""
        return self.root / "frames"

    @property
    def key(self) -> str:
        """A short name of this folder for places outside of it."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:16]

    def log(self, server: str) -> Path:
        """The log of one server."""
        return self.root / "logs" / f"{server}.log"

    def data(self, server: str) -> Path:
        """The data folder of one server."""
        return self.root / server

    def create(self) -> None:
        """Create the folder, closed to other users."""
        if not self.root.is_dir():
            # Under root, Postgres runs as a different user, who must be able to enter (but not list) the folder.
            mode = 0o711 if os.geteuid() == 0 else 0o700
            self.root.mkdir(parents=True, exist_ok=True, mode=mode)
        (self.root / "logs").mkdir(mode=0o700, exist_ok=True)

    def holds_data(self) -> bool:
        """Whether any server has written data here."""
        return any((self.root / name).exists() for name in _DATA)

    def clear(self) -> None:
        """Delete everything that the sandbox wrote; the folder itself stays if anything else is in it."""
        for name in (*_DATA, *_OTHERS):
            entry = self.root / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    @contextmanager
    def lock(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the folder's lock: one command changes the sandbox at a time.

        Args:
            waiting: called once when another command holds the lock.

        Raises:
            TransientError: another command held it for minutes.
            SettingsError: the folder cannot be made or entered.
        """
        try:
            handle = self._acquire(waiting)
            self.create()
        except PermissionError as error:
            raise SettingsError(
                f"cannot use the sandbox folder {self.root}: {error.strerror}",
                f"A different user may have created it; name a different folder in {FOLDER_VARIABLE}.",
            ) from error
        try:
            yield
        finally:
            os.close(handle)

    def _acquire(self, waiting: Callable[[], None]) -> int:
        deadline, has_reported = time.monotonic() + LOCK_SECONDS, False
        while time.monotonic() < deadline:
            handle = self._open_lock_file()
            if _try_lock(handle) and self._is_current(handle):
                return handle
            os.close(handle)
            if not has_reported:
                waiting()
                has_reported = True
            time.sleep(0.05)
        raise TransientError(
            f"another sandbox command has held {self._lock_file} for {LOCK_SECONDS:.0f} s", "End it and try again."
        )

    @property
    def _lock_file(self) -> Path:
        return self.root / "lock"

    def _open_lock_file(self) -> int:
        """Open the lock file. A reset may delete the folder meanwhile; then it is created again."""
        while True:
            with contextlib.suppress(FileNotFoundError):
                self.create()
                return os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)

    def _is_current(self, handle: int) -> bool:
        """Whether the locked file still exists: a reset deletes it, and a lock on a deleted file is void."""
        with contextlib.suppress(FileNotFoundError):
            return os.fstat(handle).st_ino == self._lock_file.stat().st_ino
        return False

    def remove(self) -> None:
        """Delete the lock file, which the caller holds, and the folder if it is empty."""
        self._lock_file.unlink(missing_ok=True)
        # Not empty: it holds a user's file, or the next command is already waiting.
        with contextlib.suppress(OSError):
            self.root.rmdir()


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
