"""Faults between here and Postgres, and its refusals: each ends within its limit, and leaves nothing half done."""

import datetime as dt
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from psycopg import sql

from klaviyo_assets.defs.turns import Turns
from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.frames.store import FrameStore
from klaviyo_assets.resources.postgres import connection as postgres_connection
from klaviyo_assets.resources.postgres import refusals as postgres_refusals
from klaviyo_assets.resources.postgres import resource as postgres
from klaviyo_assets.resources.postgres.resource import PostgresResource
from klaviyo_assets.transport.time_limits import POSTGRES_ANSWER
from klaviyo_assets_tests.faults.certificates import self_signed
from klaviyo_assets_tests.faults.connection_faults import UNRESOLVABLE, Blackhole, ConnectionProxy, Fault
from klaviyo_assets_tests.faults.matrix import Cell, measured
from klaviyo_assets_tests.integration.faults.postgres_addresses import at, port_of

KEY = FrameKey("extracted", "acme", "event", "2026-03-01")
# 100 MB: much more than all buffers on the way hold.
MANY_ROWS = sql.SQL("SELECT repeat('x', 1000) AS text FROM generate_series(1, 100000)")
ONE_ROW = sql.SQL("SELECT 1 AS one")
NOT_FOREVER = 20


@pytest.fixture(scope="module")
def url(url: str) -> str:
    """The same server, with a raw table."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA k; CREATE TABLE k.event (id text)")
    return url


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch):
    monkeypatch.setattr(postgres, "GRACE_SECONDS", 1)
    monkeypatch.setattr(postgres_refusals, "ASK_SECONDS", 1)
    monkeypatch.setattr(postgres_connection, "POSTGRES_ANSWER", replace(POSTGRES_ANSWER, seconds=2))
    monkeypatch.setattr(postgres_connection, "POSTGRES_CLOSE", replace(POSTGRES_ANSWER, seconds=1))


def resource(url: str, **limits) -> PostgresResource:
    return PostgresResource(
        url=url, **{"connect_timeout_seconds": 2, "statement_timeout_seconds": 5, "batch_timeout_seconds": 2, **limits}
    )


def read(url: str, query: sql.Composable = ONE_ROW, **limits):
    with resource(url, **limits).snapshot() as snapshot:
        return snapshot.read(query).to_pylist()


def expect(cell: Cell, outcome: str, *phrases: str) -> None:
    """What came of a fault, and what was said of it."""
    assert cell.outcome == outcome, cell
    for words in phrases:
        assert words in cell.message


@contextmanager
def nothing_kept(folder: Path) -> Iterator[FrameStore]:
    """Frames in which nothing is left of what failed."""
    frames = FrameStore(url=str(folder))
    yield frames
    assert frames.record(KEY) is None
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def stream(frames: FrameStore, url: str, proxy: ConnectionProxy, fault: Fault) -> None:
    """Write a frame from rows that a fault breaks off once they have begun to come."""
    with resource(url).snapshot() as snapshot, frames.write(KEY) as writer, snapshot.stream(MANY_ROWS) as batches:
        for batch in batches:
            writer.append(batch)
            proxy.fault = proxy.fault or fault
        writer.finish(source_digest="1", data_through=None)


@contextmanager
def no_connections(database) -> Iterator[None]:
    database.execute("ALTER ROLE reader CONNECTION LIMIT 0")
    try:
        yield
    finally:
        database.execute("ALTER ROLE reader CONNECTION LIMIT -1")


@contextmanager
def passwords_asked(database) -> Iterator[None]:
    """Let `reader` in by password alone."""
    ((path,),) = database.execute("SHOW hba_file").fetchall()
    before = Path(path).read_text()
    Path(path).write_text(f"host all reader 127.0.0.1/32 scram-sha-256\n{before}")
    database.execute("SELECT pg_reload_conf()")
    time.sleep(0.3)
    try:
        yield
    finally:
        Path(path).write_text(before)
        database.execute("SELECT pg_reload_conf()")


def test_silent_on_connect(proxy):
    proxy.fault = Fault("silence")
    with measured("Postgres", "silent on connect", 8) as cell:
        read(at(proxy.port))
    expect(cell, "transient", "no answer within")


def test_an_address_that_drops_every_packet():
    with Blackhole() as hole, pytest.raises(TransientError, match="cannot be reached: no answer"):
        read(at(hole.port))


@pytest.mark.parametrize("after", [500, 12_000])
def test_silent_while_a_session_is_opened(proxy, after):
    """After the login ADBC asks for types, and waits in C for as long as the other kernel acknowledges."""
    proxy.fault = Fault("silence", after=after)
    began = time.monotonic()
    with pytest.raises(TransientError, match="did not respond for"):
        read(at(proxy.port, "?connect_timeout=1"))
    assert time.monotonic() - began < NOT_FOREVER


@pytest.mark.parametrize(("fault", "name"), [
    (Fault("silence", after=1_000_000), "silent mid-answer"), (Fault("reset", after=1_000_000), "reset mid-body"),
    (Fault("slow"), "10 kB/s"),
])  # fmt: skip
def test_rows_that_break_off(tmp_path, proxy, fault, name):
    with nothing_kept(tmp_path) as frames, measured("Postgres", name, 10) as cell:
        stream(frames, at(proxy.port), proxy, fault)
    expect(cell, "transient", "reading from Postgres")


def test_a_connection_that_is_closed_while_rows_come(tmp_path, proxy):
    with nothing_kept(tmp_path) as frames, pytest.raises(TransientError, match="ended the connection"):
        stream(frames, at(proxy.port), proxy, Fault("close", after=1_000_000))


def test_who_wants_no_more_rows_is_not_kept_by_a_silent_server(proxy):
    began = time.monotonic()
    with resource(at(proxy.port)).snapshot() as snapshot:
        with snapshot.stream(MANY_ROWS) as batches:
            next(iter(batches))
            proxy.fault = Fault("silence", after=1)
    assert time.monotonic() - began < NOT_FOREVER


def stop_backend_while_rows_come(address: str, database, stopped: list[int]) -> None:
    with resource(address).snapshot() as snapshot, snapshot.stream(MANY_ROWS) as batches:
        for _batch in batches:
            if not stopped:
                query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'stopped'"
                stopped += [pid for (pid,) in database.execute(query).fetchall()]
                os.kill(stopped[0], signal.SIGSTOP)


def test_a_server_of_this_machine_that_was_stopped(url, database):
    """Over a socket of the file system, which knows no keepalives."""
    ((folder,),) = database.execute("SHOW unix_socket_directories").fetchall()
    address = f"host={folder} port={port_of(url)} user=postgres dbname=postgres application_name=stopped"
    stopped: list[int] = []
    try:
        with pytest.raises(TransientError, match="did not respond for 2 s"):
            stop_backend_while_rows_come(address, database, stopped)
    finally:
        os.kill(stopped[0], signal.SIGCONT)


def test_the_second_of_several_hosts_is_read_where_the_first_is_down(url):
    hosts = f"127.0.0.1:1,127.0.0.1:{port_of(url)}"
    assert read(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write") == [{"one": 1}]
    with pytest.raises(TransientError, match="hot standby"):
        read(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=standby")


def test_no_thread_or_socket_is_left_of_silent_connections(proxy):
    """A sensor asks every minute, for months."""
    opened = len(postgres_connection._open_sockets())
    for _ in range(3):
        proxy.fault = None
        with suppress(TransientError), resource(at(proxy.port), batch_timeout_seconds=0.5).snapshot() as snapshot:
            with snapshot.stream(MANY_ROWS) as batches:
                for _batch in batches:
                    proxy.fault = Fault("silence", after=1)
    proxy.cut()
    time.sleep(0.2)
    assert len(postgres_connection._open_sockets()) <= opened + 2, "the proxy's own may be on their way out"


def test_all_connections_taken(url, database):
    with no_connections(database), measured("Postgres", "429", 5) as cell:
        read(at(port_of(url), user="reader"))
    expect(cell, "transient", "[SQLSTATE 53300]. All connections of the server are in use")


def test_a_backend_that_is_ended_while_rows_come(url, database):
    with measured("Postgres", "500", 10) as cell:
        with resource(at(port_of(url), "?application_name=doomed")).snapshot() as snapshot:
            with snapshot.stream(MANY_ROWS) as batches:
                for _batch in batches:
                    database.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed'"
                    )
    expect(cell, "transient", "reading from Postgres")


def test_a_server_that_comes_back(proxy):
    """As during a restart: connections are closed at once, then all is well."""
    with measured("Postgres", "503 bursts", 10) as cell:
        proxy.fault = Fault("close")
        for _ in range(3):
            with pytest.raises(TransientError, match="no connection was established"):
                read(at(proxy.port))
        proxy.fault = None
        assert read(at(proxy.port)) == [{"one": 1}]
    expect(cell, "done")


def test_a_missing_permission_names_the_grant(url):
    with measured("Postgres", "403 with a reason", 5) as cell:
        read(at(port_of(url), user="reader"), sql.SQL("SELECT id FROM k.event"))
    grant = 'GRANT SELECT ON ALL TABLES IN SCHEMA <schema> TO "reader";'
    expect(cell, "permanent", "permission denied for schema k [SQLSTATE 42501]", grant)


def test_a_password_that_is_wrong_or_has_expired(url, database):
    right = f"postgresql://reader:opensesame@127.0.0.1:{port_of(url)}/postgres"
    with passwords_asked(database):
        assert read(right)
        with pytest.raises(PermanentError, match=r"28P01.*Check user, password"):
            read(right.replace("opensesame", "wrongsecret"))
        with pytest.raises(PermanentError, match="no password supplied"):
            read(at(port_of(url), user="reader"))
        database.execute("ALTER ROLE reader VALID UNTIL '2020-01-01'")
        try:
            with measured("Postgres", "expired credentials", 5) as cell:
                read(right)
            expect(cell, "permanent", "may also have expired")
            with pytest.raises(PermanentError, match="28P01"):
                Turns(right, "x").take("acme", "run", 1, lambda _: None)
        finally:
            database.execute("ALTER ROLE reader VALID UNTIL 'infinity'")


@pytest.mark.parametrize(
    ("user", "name", "pattern"),
    [("nobody", "postgres", r"28000\].*pg_hba"), ("postgres", "nowhere", r"3D000\]. Check the database")],
)
def test_a_login_or_database_that_is_not_there(url, user, name, pattern):
    with pytest.raises(PermanentError, match=pattern):
        read(f"postgresql://{user}@127.0.0.1:{port_of(url)}/{name}")


def test_a_host_name_that_nobody_knows():
    with measured("Postgres", "DNS failure", 10) as cell:
        read(f"postgresql://u@{UNRESOLVABLE}/d")
    expect(cell, "transient", "'nowhere.invalid' is unknown")


def test_a_port_where_nothing_listens_says_what_to_start():
    with pytest.raises(TransientError, match=r"127.0.0.1:1 refused .*sandbox start"):
        read(at(1))


def test_a_server_without_the_tls_that_was_asked_for(url):
    with measured("Postgres", "TLS mismatch", 5) as cell:
        read(at(port_of(url), "?sslmode=require"))
    expect(cell, "permanent", "does not support SSL", "sslmode")


@contextmanager
def behind_tls(url, folder, **certificate) -> Iterator[str]:
    """The server as one that speaks TLS."""
    certificate_files = self_signed(folder, **certificate)
    context = certificate_files.server_context
    context.set_alpn_protocols(["postgresql"])
    with ConnectionProxy("127.0.0.1", port_of(url), tls=context) as proxy:
        yield at(proxy.port, f"?sslmode=verify-full&sslnegotiation=direct&sslrootcert={certificate_files.certificate}")


def test_a_right_certificate(url, tmp_path):
    with behind_tls(url, tmp_path) as address:
        assert read(address) == [{"one": 1}]


def test_a_certificate_for_another_host(url, tmp_path):
    with behind_tls(url, tmp_path, host="elsewhere.example") as address:
        with pytest.raises(PermanentError, match="does not match host name"):
            read(address)


def test_a_clock_that_is_behind(url, tmp_path):
    """A certificate that is right and not valid yet."""
    with behind_tls(url, tmp_path, begins_in=dt.timedelta(days=1)) as address:
        with measured("Postgres", "clock skew", 5) as cell:
            read(address)
    expect(cell, "permanent", "certificate", "clock")


def test_a_server_of_something_else():
    """An HTTP server on the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    client.recv(1000)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    client.close()

        Thread(target=answer, daemon=True).start()
        with pytest.raises(PermanentError, match=r"that Postgres listens there|sslmode"):
            read(at(listener.getsockname()[1]))


def test_a_lock_that_somebody_else_holds_is_no_slow_statement(url, database):
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE k.event")
        with pytest.raises(TransientError, match=r"55P03\]. A different session held a lock"):
            read(url, sql.SQL("SELECT id FROM k.event"), statement_timeout_seconds=2)


def test_a_statement_that_takes_too_long_and_one_that_is_canceled(url, database):
    with pytest.raises(PermanentError, match=r"did not end within 1 s.*statement_timeout_seconds"):
        read(url, sql.SQL("SELECT pg_sleep(5)::text AS slept"), statement_timeout_seconds=1)

    def cancel() -> None:
        time.sleep(0.5)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'slow'")

    Thread(target=cancel).start()
    with pytest.raises(TransientError, match=r"57014\]. The statement was canceled"):
        read(at(port_of(url), "?application_name=slow"), sql.SQL("SELECT pg_sleep(4)::text AS slept"))


def test_a_transaction_that_the_server_ended_for_idling(url, database):
    options = "?options=-c%20idle_in_transaction_session_timeout%3D300"
    with resource(at(port_of(url), options)).snapshot() as snapshot:
        time.sleep(1)
        with pytest.raises(TransientError, match="reading from Postgres"):
            snapshot.read(ONE_ROW)


def test_a_value_that_cannot_be_cast_is_not_repeated(url):
    bad = sql.SQL("SELECT (CASE WHEN n = 90000 THEN 'jane@shop.example' ELSE '1' END)::int AS n, repeat('x', 500) AS x "
                  "FROM generate_series(1, 100000) AS n")  # fmt: skip
    with pytest.raises(PermanentError, match="invalid text representation") as caught:
        read(url, bad)
    assert "jane" not in str(caught.value)


def test_the_limits_of_the_login_do_not_hold_and_those_of_the_address_do(url, database):
    query = sql.SQL("SELECT current_setting('statement_timeout') AS timeout, current_setting('TimeZone') AS zone, "
                    "current_setting('DateStyle') AS style, current_setting('application_name') AS name")  # fmt: skip
    database.execute("ALTER ROLE reader SET statement_timeout = '1s'; ALTER ROLE reader SET DateStyle = 'German'; "
                     "ALTER ROLE reader SET TimeZone = 'Asia/Tokyo'")  # fmt: skip
    try:
        (row,) = read(at(port_of(url), user="reader"), query)
        assert row == {"timeout": "5s", "zone": "UTC", "style": "ISO, MDY", "name": "klaviyo_assets"}
        (row,) = read(at(port_of(url), "?options=-c%20statement_timeout%3D3s&application_name=mine", "reader"), query)
        assert (row["timeout"], row["name"]) == ("3s", "mine")
        (row,) = read(at(port_of(url), "?options=-c%20statement_timeout%3D0", "reader"), query)
        assert row["timeout"] == "5s", "no limit is no limit of one's own"
    finally:
        database.execute("ALTER ROLE reader RESET ALL")
