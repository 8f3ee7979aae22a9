"""What an error of Postgres means, by its SQLSTATE alone, and what of it is passed on."""

import adbc_driver_manager as driver
import psycopg
import pytest

from klaviyo_assets.errors import PermanentError, TransientError
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.connection import check_options, check_session
from klaviyo_assets.resources.postgres.errors import Statement, facts, judged
from klaviyo_assets.transport.deadlines import Deadline

ADDRESS = PostgresAddress.read("postgresql://Reporting:secret@h/d")


@pytest.mark.parametrize(
    ("state", "kind", "advice"),
    [
        ("08006", TransientError, ""),
        ("25P03", TransientError, "idle for too long"),
        ("40001", TransientError, "hot_standby_feedback"),
        ("40P01", TransientError, ""),
        ("53100", TransientError, "disk is full"),
        ("53300", TransientError, "max_connections"),
        ("55P03", TransientError, "held a lock"),
        ("57014", TransientError, "The statement was canceled"),
        ("57P01", TransientError, "a restart or a failover"),
        ("57P02", TransientError, "crashed"),
        ("57P03", TransientError, "starting up"),
        ("57P05", TransientError, "idle for too long"),
        ("58030", TransientError, ""),
        ("72000", TransientError, "snapshot"),
        (None, TransientError, "ended the connection"),
        ("28000", PermanentError, "pg_hba.conf"),
        ("28P01", PermanentError, "expired"),
        ("3D000", PermanentError, "database in POSTGRES_URL"),
        ("3F000", PermanentError, "postgres_schema"),
        ("42501", PermanentError, 'GRANT SELECT ON ALL TABLES IN SCHEMA <schema> TO "Reporting";'),
        ("42P01", PermanentError, "dropped or renamed"),
        ("42703", PermanentError, ""),
        ("53400", PermanentError, "temp_file_limit"),
        ("57P04", PermanentError, "dropped"),
        ("XX000", PermanentError, ""),
    ],
)
def test_a_sqlstate_decides_whether_a_rerun_helps_in_any_language(state, kind, advice):
    problem = judged("reading", ADDRESS, state, "die Nachricht des Servers")
    assert isinstance(problem, kind)
    assert "die Nachricht des Servers" in str(problem)
    assert advice in str(problem)
    assert state is None or f"[SQLSTATE {state}]" in str(problem)


@pytest.mark.parametrize(
    ("words", "kind", "advice"),
    [
        ("unsupported startup parameter: options", PermanentError, "ignore_startup_parameters"),
        ("transaction blocks not allowed in statement pooling mode", PermanentError, "pool_mode = transaction"),
        ("no such database: x", PermanentError, "database in POSTGRES_URL"),
        ("bouncer config error", PermanentError, "configured wrongly"),
        ("no such user: x", PermanentError, "user in POSTGRES_URL"),
        ("query_wait_timeout", TransientError, ""),
        ("server conn crashed?", TransientError, ""),
        ("no more connections allowed (max_client_conn)", TransientError, ""),
    ],
)
def test_a_pooler_has_one_code_for_everything_and_is_told_by_its_words(words, kind, advice):
    problem = judged("connecting", ADDRESS, "08P01", words)
    assert isinstance(problem, kind)
    assert advice in str(problem)


@pytest.mark.parametrize("state", ["22P02", "22008", "23514", "P0001", "21000"])
def test_values_of_rows_are_not_passed_on(state):
    problem = judged("reading", ADDRESS, state, 'invalid input syntax for type integer: "jane@shop.example"')
    assert "jane" not in str(problem)
    assert state in str(problem)


def test_only_the_primary_message_of_adbc_is_passed_on():
    text, status = (
        "INVALID_DATA: ERROR: short\nDETAIL: jane\nQuery was: SELECT jane",
        driver.AdbcStatusCode.INVALID_DATA,
    )
    error = driver.DataError(
        text, status_code=status, sqlstate="42804",
        details=[("PG_DIAG_MESSAGE_PRIMARY", b"short"), ("PG_DIAG_MESSAGE_DETAIL", b"jane")],
    )  # fmt: skip
    assert facts(error) == ("42804", "short")
    lost = driver.OperationalError("IO: [libpq] server closed\n\tthis", status_code=driver.AdbcStatusCode.IO)
    assert facts(lost) == (None, "server closed")


def raised(error, seconds=0.0):
    statement = Statement("reading", ADDRESS, Deadline(list), seconds)
    with statement.answered_within(5):
        raise error


def test_the_drivers_error_is_not_chained():
    with pytest.raises(TransientError) as caught:
        raised(psycopg.OperationalError("server closed the connection: secret"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_call_that_the_driver_cannot_make_is_no_transient_error():
    with pytest.raises(PermanentError, match="no such option"):
        raised(driver.NotSupportedError("no such option"))


def test_other_errors_pass():
    with pytest.raises(KeyError):
        raised(KeyError("ours"))


SESSION = {
    "transaction_isolation": "repeatable read", "transaction_read_only": "on", "TimeZone": "UTC",
    "statement_timeout": "900000",
}  # fmt: skip


def test_a_session_as_asked_for_is_used():
    check_session("connecting", SESSION)
    check_options("connecting", set())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("transaction_isolation", "read committed"), ("transaction_read_only", "off"), ("TimeZone", "Europe/Berlin"),
        ("statement_timeout", "0"),
    ],
)  # fmt: skip
def test_a_session_that_is_not_what_was_asked_for_is_refused_and_the_pooler_named(name, value):
    with pytest.raises(PermanentError, match=rf"{name}.*PgBouncer.*pool_mode = session or transaction"):
        check_session("connecting", SESSION | {name: value})
    with pytest.raises(PermanentError, match="the options search_path of POSTGRES_URL did not reach Postgres"):
        check_options("connecting", {"search_path"})
