"""What the sandbox remembers between commands: ports, passwords, processes. `state.json`, readable by its owner.

Here: the record and its file. Not here: decisions based on it (`supervisor`).
"""

import json
import os
import secrets
import string
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox.processes import Identity

VERSION = 1
SECRETS = (
    "postgres_superuser",
    "postgres_writer",
    "postgres_reader",
    "s3_secret",
    "bigquery_token",
    "fivetran_secret",
    "mail_token",
    "pii_hash_key",
)


@dataclass(frozen=True)
class RunningServer:
    """A process that was started: its identity, and a hash of its launch settings."""

    identity: Identity
    launch: str


@dataclass
class State:
    """Everything that is remembered. Call `save` after a change."""

    path: Path
    secrets: dict[str, str]
    s3_key: str
    fivetran_key: str
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, RunningServer] = field(default_factory=dict)
    shop: dict[str, int] = field(default_factory=dict)
    postgres_home: str = ""
    dotenv_files: list[str] = field(default_factory=list)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def new(cls, path: Path) -> "State":
        """A state with fresh passwords and nothing running."""
        return cls(
            path,
            {name: random_token() for name in SECRETS},
            "AK" + random_token(18).upper(),
            "key" + random_token(16),
        )

    @classmethod
    def load(cls, path: Path) -> "State | None":
        """The state as last saved; None when there is none.

        Raises:
            PermanentError: the file exists but cannot be read.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            _check_version(content.pop("version"))
            content["processes"] = {
                name: RunningServer(Identity(**process["identity"]), process["launch"])
                for name, process in content["processes"].items()
            }
            return cls(path, **content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PermanentError(
                f"cannot read the sandbox's state {path} ({error})",
                "If a different user created it, run the command as that user. Otherwise `klaviyo-assets sandbox "
                "reset` starts afresh and deletes the sandbox's data.",
            ) from error

    def save(self) -> None:
        """Write the state so that a crash leaves either the old or the new one."""
        with self._writing:
            content = {
                name: value for name, value in vars(self).items() if name not in {"path", "_writing", "processes"}
            }
            content["processes"] = {name: asdict(process) for name, process in list(self.processes.items())}
            write_private(self.path, json.dumps({"version": VERSION, **content}, indent=1, sort_keys=True))

    def record(self, server: str, process: RunningServer | None) -> None:
        """Remember the process of a server, or that it has none."""
        with self._writing:
            if process is None:
                self.processes.pop(server, None)
            else:
                self.processes[server] = process
        self.save()


def _check_version(version: object) -> None:
    if version != VERSION:
        raise ValueError(f"it has version {version!r}, this program reads {VERSION}")


def random_token(length: int = 32) -> str:
    """A random text of letters and digits: it needs no quoting in a shell, a URL or a connection string."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
