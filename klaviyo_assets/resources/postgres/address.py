"""POSTGRES_URL: parsed as libpq does, and the one place that composes connection parameters.

Here: both forms of the address, our defaults beside its own options, and its secrets. Not here: connecting
(`connection.py`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from klaviyo_assets.errors import SettingsError
from klaviyo_assets.transport.time_limits import POSTGRES_CONNECT, POSTGRES_DEAD_PEER

APPLICATION_NAME = "klaviyo_assets"
# A dead machine acknowledges nothing: it is noticed within a minute, whether we wait or send.
_KEEPALIVES = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
_TCP = _KEEPALIVES | {"tcp_user_timeout": str(round(POSTGRES_DEAD_PEER.seconds * 1000))}
_NUMBERS = ("connect_timeout", "tcp_user_timeout", *_KEEPALIVES)
_SECRETS = ("password", "sslpassword", "oauth_client_secret")
_FORMS = "postgresql://user:password@host:5432/database"
# Shorter secrets occur inside ordinary words: they are hidden only if they are a whole word.
_SHORT = 4
_LONGEST_NAME = 63


@dataclass(frozen=True)
class PostgresAddress:
    """The parts of POSTGRES_URL by libpq's own names; none of them can be printed by accident."""

    parameters: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, setting: str) -> "PostgresAddress":
        """Read an address in either form that libpq knows: a URL, or `host=... dbname=...`.

        Raises:
            SettingsError: it is not an address, or a special character is not escaped. The message repeats none
                of it, because any part may belong to the password.
        """
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        # A file or a secret store often appends a line break.
        text = setting.strip()
        is_url = text.startswith(("postgresql://", "postgres://"))
        problem: SettingsError | None = None
        try:
            parameters = {name: str(value) for name, value in conninfo_to_dict(text).items() if value is not None}
        except ProgrammingError:
            parameters, problem = {}, _not_read(is_url)
        if problem or not parameters:
            raise problem or _not_read(is_url)
        if is_url and _has_loose_at(text):
            raise _not_read(is_url)
        _check_numbers(parameters)
        return cls(parameters)

    def composed(self, connect_seconds: int = int(POSTGRES_CONNECT.seconds), application_name: str = "") -> str:
        """All of libpq's parameters: the address's own options, and our defaults for the others.

        Args:
            connect_seconds: How long each server address may take, if the address does not say.
            application_name: The start of the name in `pg_stat_activity`; by default the address's or this package's.
        """
        from psycopg.conninfo import make_conninfo

        name = self.parameters.get("application_name", "")
        if application_name:
            name = f"{application_name} ({name})" if name else application_name
        parameters = dict(self.parameters) | ({"application_name": name[:_LONGEST_NAME]} if name else {})
        if int(parameters.get("connect_timeout", 1)) <= 0:
            # libpq would wait forever.
            del parameters["connect_timeout"]
        forced = {"client_encoding": "UTF8", "fallback_application_name": APPLICATION_NAME}
        return make_conninfo("", **(self._defaults(connect_seconds) | parameters | forced))

    def _defaults(self, connect_seconds: int) -> dict[str, str]:
        if self._has_service:
            # Parameters set here would override those of the service file.
            return {}
        is_given = "connect_timeout" in _libpq_defaults()
        return _TCP | ({} if is_given else {"connect_timeout": str(connect_seconds)})

    def opening_seconds(self, connect_seconds: int = int(POSTGRES_CONNECT.seconds)) -> float:
        """How long libpq may try all its hosts one after the other; a host name may have two addresses."""
        seconds = int(self.parameters.get("connect_timeout", connect_seconds))
        return 2 * (seconds if seconds > 0 else connect_seconds) * max(len(self.hosts), 1)

    @property
    def hosts(self) -> list[str]:
        """Host names, addresses or socket folders, in order; empty if libpq finds them elsewhere."""
        host_list = self.parameters.get("hostaddr") or self.parameters.get("host") or _libpq_defaults().get("host", "")
        return [host for host in host_list.split(",") if host]

    @property
    def places(self) -> list[tuple[str, int]]:
        """Host and port of every server; empty if a service file may name different ones."""
        if self._has_service:
            return []
        ports = [int(port or 5432) for port in self._ports.split(",")]
        hosts = self.hosts or [""]
        return list(zip(hosts, ports if len(ports) == len(hosts) else ports[:1] * len(hosts), strict=True))

    @property
    def _ports(self) -> str:
        return self.parameters.get("port") or _libpq_defaults().get("port", "")

    @property
    def _has_service(self) -> bool:
        return "service" in self.parameters or "service" in _libpq_defaults()

    @property
    def login(self) -> str:
        """The user, if the address names one."""
        return self.parameters.get("user", "")

    @property
    def session_options(self) -> set[str]:
        """The server settings in its own `options`, without those of extensions."""
        return set(re.findall(r"(?:-c\s*|--)(\w+)\s*=", self.parameters.get("options", "")))

    def hidden(self, text: str) -> str:
        """A text without the address and its secrets, in any spelling."""
        text = re.sub(r"postgres(ql)?://\S+", "(address hidden)", text)
        for form in sorted(self._secret_forms(), key=len, reverse=True):
            exact = re.escape(form)
            text = re.sub(exact if len(form) >= _SHORT else rf"(?<!\w){exact}(?!\w)", "(hidden)", text)
        return text

    def _secret_forms(self) -> set[str]:
        secrets = [source.get(name, "") for source in (self.parameters, _libpq_defaults()) for name in _SECRETS]
        return {form for secret in secrets if secret for form in _spellings(secret)}


def _libpq_defaults() -> dict[str, str]:
    """What libpq takes from its own environment variables (PGHOST, PGPASSWORD, ...) if the address says nothing."""
    from psycopg import pq

    return {
        option.keyword.decode(): option.val.decode() for option in pq.Conninfo.get_defaults() if option.val is not None
    }


def _spellings(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))
    yield secret.replace("\\", "\\\\").replace("'", "\\'")
    # Errors often show only the first line.
    yield from (line for line in secret.splitlines() if len(line) >= _SHORT)


def _has_loose_at(url: str) -> bool:
    """Whether libpq sees an @ in host, port or database: it must belong to an unescaped user or password."""
    before_options = url.partition("://")[2].partition("?")[0]
    return re.fullmatch(r"([^@/]*@)?[^@]*", before_options) is None


def _check_numbers(parameters: Mapping[str, str]) -> None:
    for name in _NUMBERS:
        if not re.fullmatch(r"\s*-?\d+\s*", parameters.get(name, "0")):
            raise SettingsError(f"POSTGRES_URL: its {name} is not a whole number", "Write a number, or leave it out.")
    if not all(re.fullmatch(r"\d*", port) for port in parameters.get("port", "").split(",")):
        raise SettingsError("POSTGRES_URL: its port is not a number", _ESCAPES)


_ESCAPES = (
    "Special characters of user and password are written as %XX: @ is %40, : is %3A, / is %2F, ? is %3F, % is %25, "
    "a blank is %20."
)


def _not_read(is_url: bool) -> SettingsError:
    if not is_url:
        return SettingsError(
            "POSTGRES_URL is not a Postgres address",
            f"Write it as {_FORMS} (or in libpq's other form, host=... port=... dbname=... user=... password='...').",
        )
    return SettingsError(
        "POSTGRES_URL cannot be read",
        f"Write it as {_FORMS}, followed only by options that libpq knows (?sslmode=require&...). {_ESCAPES}",
    )
