"""The sandbox's Postgres: a real server that we supervise, with a writer role and a reader role.

Here: the life of the cluster, and its roles. Not here: its folder and its user (`postgres_place`), and its data
(`importer`, the Fivetran stand-in).
"""

import contextlib
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from klaviyo_assets.errors import PermanentError
from klaviyo_assets.sandbox import processes
from klaviyo_assets.sandbox.ports import LOCALHOST
from klaviyo_assets.sandbox.postgres_place import Place, find_place
from klaviyo_assets.sandbox.processes import Launch
from klaviyo_assets.sandbox.server import NotReadyError, PortNeed, Server
from klaviyo_assets.sandbox.state import State

if TYPE_CHECKING:
    import psycopg

DATABASE = "klaviyo"
SUPERUSER, WRITER, READER = "postgres", "fivetran", "reporting"
_SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement that sets a password must not reach the log when it fails.
    "log_min_error_statement": "panic",
}


class Postgres(Server):
    """Postgres on TCP 127.0.0.1 with scram passwords. `show data_directory` is its proof of identity."""

    name = "postgres"
    ports = (PortNeed("postgres"),)
    # Fast shutdown: it closes connections and writes everything.
    stop_signal = signal.SIGINT

    def prepare(self) -> None:
        """Create the cluster if there is none, and remove the leftovers of a killed server."""
        place = self._place()
        if not place.cluster.is_dir():
            self._initialize(place)
        clear_stale_lock(place.cluster)

    def launch(self) -> Launch:
        """Start the postmaster in the foreground of its own session."""
        place = self._place()
        settings = [f"--{name}={value}" for name, value in {"port": self.port(), **_SETTINGS}.items()]
        return _launch(place, str(place.binaries / "postgres"), "-D", str(place.cluster), *settings)

    def prove(self) -> None:
        """Log in with our password, and find our data directory."""
        import psycopg

        try:
            with self._connect(SUPERUSER, SUPERUSER) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error as error:
            raise NotReadyError(f"Postgres on port {self.port()}: {error}") from error
        if row is None or Path(row[0]).resolve() != self._place().cluster.resolve():
            raise NotReadyError(f"the Postgres on port {self.port()} keeps other data than ours")

    def establish(self) -> None:
        """Create the database, the writer and the reader."""
        with self._connect(SUPERUSER, SUPERUSER) as connection:
            for role, secret in ((WRITER, "postgres_writer"), (READER, "postgres_reader")):
                _ensure_role(connection, role, self.state.secrets[secret])
            _ensure_database(connection)
        with self._connect(SUPERUSER, DATABASE) as connection:
            _grant_by_default(connection)

    @property
    def data(self) -> Path:
        """The cluster."""
        home = self.state.postgres_home
        return (Path(home) if home else self.folder.data(self.name)) / "data"

    @property
    def address(self) -> str:
        """The address without the password."""
        return f"postgresql://{READER}@{LOCALHOST}:{self.port()}/{DATABASE}"

    def _place(self) -> Place:
        place = find_place(self.folder, self.state.postgres_home)
        if not self.state.postgres_home:
            self.state.postgres_home = str(place.home)
            self.state.save()
        return place

    def _connect(self, role: str, database: str) -> "psycopg.Connection[Any]":
        import psycopg

        return psycopg.connect(
            host=LOCALHOST,
            port=self.port(),
            user=role,
            password=self.state.secrets["postgres_superuser"],
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _initialize(self, place: Place) -> None:
        """Run initdb in a temporary folder and rename it, so that a kill leaves nothing half done."""
        half, password = place.home / "data.new", place.home / "password.new"
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        password.unlink(missing_ok=True)
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.state.secrets["postgres_superuser"])
        for path in (half, password):
            place.hand_over(path)
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--username={SUPERUSER}"]
        command = [str(place.binaries / "initdb"), "-D", str(half), f"--pwfile={password}", *options]
        code = processes.run_to_end(_launch(place, *command), self.folder.log(self.name))
        password.unlink()
        if code:
            raise PermanentError(
                f"could not create the sandbox's Postgres cluster in {place.home}: initdb ended with {code}",
                f"The end of its log:\n{processes.log_tail(self.folder.log(self.name))}",
            )
        half.rename(place.cluster)


def writer_url(state: State) -> str:
    """Connection URL of the role that owns the account schemas. Holds a password."""
    return _url(WRITER, state.secrets["postgres_writer"], state)


def reader_url(state: State) -> str:
    """Connection URL of the read-only role. Holds a password."""
    return _url(READER, state.secrets["postgres_reader"], state)


def create_schema(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Create a schema, if it does not exist, that the reader can read. `connection` is the writer's."""
    from psycopg import sql

    schema, reader = sql.Identifier(name), sql.Identifier(READER)
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, reader))


def _url(role: str, password: str, state: State) -> str:
    return f"postgresql://{role}:{password}@{LOCALHOST}:{state.ports['postgres']}/{DATABASE}"


def _launch(place: Place, *command: str) -> Launch:
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(place.home)}
    return Launch(command, environment, place.home, place.user, place.group)


def _ensure_role(connection: "psycopg.Connection[Any]", role: str, password: str) -> None:
    from psycopg import sql

    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    # Only the verifier is sent, so no server's log ever holds the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
    connection.execute(statement)


def _ensure_database(connection: "psycopg.Connection[Any]") -> None:
    from psycopg import sql

    database = sql.Identifier(DATABASE)
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
        connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for rights, role in (("CONNECT, CREATE, TEMPORARY", WRITER), ("CONNECT", READER)):
        statement = sql.SQL("GRANT {} ON DATABASE {} TO {}")
        connection.execute(statement.format(sql.SQL(rights), database, sql.Identifier(role)))


def _grant_by_default(connection: "psycopg.Connection[Any]") -> None:
    """Let the reader read whatever the writer creates later."""
    from psycopg import sql

    statement = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT {} TO {}")
    for rights in (sql.SQL("USAGE ON SCHEMAS"), sql.SQL("SELECT ON TABLES")):
        connection.execute(statement.format(sql.Identifier(WRITER), rights, sql.Identifier(READER)))


def clear_stale_lock(cluster: Path) -> None:
    """Deal with the lock file of a server that was killed.

    Postgres only checks whether the process id exists: a reused id, or a zombie, would keep it from starting. A server
    that really runs on this data is ours, and its record was lost: it is stopped.
    """
    lock = cluster / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="ascii").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    running = processes.identify(pid)
    if running and str(cluster) in processes.command_line(pid) and "postgres" in processes.command_line(pid):
        processes.end(running, signal.SIGINT)
    with contextlib.suppress(FileNotFoundError):
        lock.unlink()
