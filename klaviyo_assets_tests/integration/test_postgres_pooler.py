"""The real PgBouncer in front of the real Postgres: what works through it does, what cannot is refused by name."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from klaviyo_assets.defs.turns import AccountBusyError, Turns
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.resources.postgres import connection as postgres_connection
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.transport.time_limits import POSTGRES_ANSWER
from klaviyo_assets_tests.unit.sandbox.fivetran.postgres_server import throwaway_postgres

pytestmark = pytest.mark.slow
SESSION = sql.SQL(
    "SELECT current_setting('transaction_isolation') AS isolation, current_setting('TimeZone') AS zone, "
    "current_setting('transaction_read_only') AS read_only, current_setting('statement_timeout') AS timeout"
)
AS_ASKED = {"isolation": "repeatable read", "read_only": "on", "timeout": "15min", "zone": "UTC"}
PATIENCE = 10
IGNORES = {"ignore_startup_parameters": "options"}


def pgbouncer() -> str:
    """The program; a machine without it fails these tests, which cannot be judged by anything else."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if program is None:
        pytest.fail("PgBouncer is missing. Debian: sudo apt-get install pgbouncer. macOS: brew install pgbouncer.")
    return program


class Bouncer:
    """A PgBouncer of its own on a free port."""

    def __init__(self, server_port: int, folder: Path, settings: dict[str, object]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        lines = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "auth_type": "any", "pool_mode": "transaction",
            "logfile": folder / "log", "pidfile": folder / "pid", "unix_socket_dir": "", **settings,
        }  # fmt: skip
        self._file = folder / "pgbouncer.ini"
        self._file.write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={server_port} user=postgres\n[pgbouncer]\n"
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
        )
        self.start()

    def start(self) -> None:
        as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        self._process = subprocess.Popen([pgbouncer(), "-q", str(self._file)], **as_user)
        deadline = time.monotonic() + PATIENCE
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with throwaway_postgres() as url:
        yield url


@pytest.fixture
def bounce(server):
    """Starts a PgBouncer with settings."""
    running: list[Bouncer] = []
    folders: list[Path] = []

    def start(**settings) -> Bouncer:
        # PgBouncer refuses to be root, and pytest's own folders are closed to others.
        folder = Path(tempfile.mkdtemp(prefix="pgbouncer-test-", dir="/var/tmp"))
        folder.chmod(0o777)
        folders.append(folder)
        running.append(Bouncer(int(conninfo_to_dict(server)["port"]), folder, settings))
        return running[-1]

    yield start
    for bouncer in running:
        bouncer.stop()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def read(url: str, query: sql.SQL = SESSION, **limits):
    with PostgresResource(url=url, **limits).snapshot() as snapshot:
        return snapshot.read(query).to_pylist()


@contextmanager
def turns(url: str) -> Iterator[Turns]:
    postgres_turns = Turns(url, "pooler")
    try:
        yield postgres_turns
    finally:
        postgres_turns.end()


@pytest.mark.parametrize("settings", [
    {}, IGNORES, {"pool_mode": "session"}, {"pool_mode": "session", **IGNORES},
    {"server_reset_query_always": 1, "server_reset_query": "DISCARD ALL"},
])  # fmt: skip
def test_a_session_is_what_was_asked_for_whatever_the_pooler_drops(bounce, settings):
    pooler = bounce(**settings)
    for _ in range(3):
        assert read(pooler.url) == [AS_ASKED]


def test_several_readers_share_few_connections(bounce):
    """Statements that a reader sends before its transaction begins reach whichever connection is free."""
    pooler = bounce(default_pool_size=3)
    seen: list[object] = []

    def work() -> None:
        for _ in range(10):
            try:
                seen.extend(read(pooler.url))
            except Exception as error:
                seen.append(error)

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == [AS_ASKED] * 60


def test_pooling_by_statement_is_refused_by_name(bounce):
    pooler = bounce(pool_mode="statement")
    with pytest.raises(PermanentError, match=r"PgBouncer.*pool_mode = statement.*transaction or session"):
        read(pooler.url)
    with pytest.raises(PermanentError, match="pool_mode = statement"), turns(pooler.url) as mine:
        mine.take("acme", "run", 1, lambda _: None)


def test_options_of_the_address_that_the_pooler_refuses_or_drops(bounce):
    options = "?options=-c%20statement_timeout%3D5s%20-c%20work_mem%3D8MB"
    with pytest.raises(PermanentError, match=r"unsupported startup parameter: options.*ignore_startup_parameters"):
        read(bounce().url + options)
    with pytest.raises(
        PermanentError, match=r"the options statement_timeout, work_mem of POSTGRES_URL did not reach Postgres"
    ):
        read(bounce(**IGNORES).url + options)


def test_a_database_that_the_pooler_does_not_know(bounce):
    with pytest.raises(PermanentError, match=r"Check the database in POSTGRES_URL"):
        read(bounce().url.replace("/postgres", "/nowhere").replace("//nowhere", "//postgres"))


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
def test_a_turn_holds_through_the_pooler(bounce, server, pool_mode):
    pooler = bounce(pool_mode=pool_mode)
    with turns(pooler.url) as first, turns(pooler.url) as second, turns(server) as direct:
        first.take("acme", "first000", 1, lambda _: None)
        first.confirm("acme")
        for other in (second, direct):
            with pytest.raises(AccountBusyError, match="run first000"):
                other.take("acme", "other", 0.3, lambda _: None)
        first.end()
        second.take("acme", "second", 2, lambda _: None)


def test_a_pooler_that_restarts_takes_the_turn_along(bounce):
    pooler = bounce()
    with turns(pooler.url) as mine:
        mine.take("acme", "run", 1, lambda _: None)
        pooler.stop()
        pooler.start()
        with pytest.raises(TransientError, match="so nothing was written"):
            mine.confirm("acme")
        mine.take("acme", "run", 2, lambda _: None)


def test_a_pooler_that_restarts_while_a_snapshot_is_read(bounce):
    pooler = bounce()
    with PostgresResource(url=pooler.url).snapshot() as snapshot:
        pooler.stop()
        pooler.start()
        with pytest.raises(TransientError, match="ended the connection"):
            snapshot.read(SESSION)
    assert read(pooler.url) == [AS_ASKED]


def test_a_full_pool_is_waited_for_within_the_limit(bounce, monkeypatch):
    """Turns and snapshots keep a connection each."""
    pooler = bounce(default_pool_size=1, query_wait_timeout=1)
    with turns(pooler.url) as mine:
        mine.take("acme", "run", 1, lambda _: None)
        with pytest.raises(TransientError):
            read(pooler.url, connect_timeout_seconds=2)
    limit = type(POSTGRES_ANSWER)("Postgres", "shortened for this test", 2, "")
    monkeypatch.setattr(postgres_connection, "POSTGRES_ANSWER", limit)
    pooler = bounce(default_pool_size=1)
    with turns(pooler.url) as mine:
        mine.take("acme", "run", 1, lambda _: None)
        with pytest.raises(TransientError):
            read(pooler.url + "?connect_timeout=1")


def test_too_many_clients_of_the_pooler(bounce):
    pooler = bounce(max_client_conn=1)
    with psycopg.connect(pooler.url) as only:
        only.execute("SELECT 1")
        with pytest.raises(TransientError, match="max_client_conn"):
            read(pooler.url)
