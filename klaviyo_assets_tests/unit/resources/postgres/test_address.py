"""POSTGRES_URL as libpq reads it: its own options are kept, and no part of a password is ever shown."""

import traceback

import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from klaviyo_assets.defs.turns import AccountTurns, Turns
from klaviyo_assets.errors import KlaviyoAssetsError, SettingsError
from klaviyo_assets.resources.mail.resource import MailResource
from klaviyo_assets.resources.postgres.address import PostgresAddress
from klaviyo_assets.resources.postgres.resource import PostgresResource

PIECE = "tops3cret"


@pytest.fixture(autouse=True)
def _no_libpq_settings(monkeypatch):
    for name in ("PGSERVICE", "PGPORT", "PGHOST", "PGCONNECT_TIMEOUT", "PGPASSWORD", "PGAPPNAME"):
        monkeypatch.delenv(name, raising=False)


def composed(url, **arguments):
    return conninfo_to_dict(PostgresAddress.read(url).composed(**arguments))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://u:p@h/d?options=-c%20search_path%3Dx", {"options": "-c search_path=x"}),
        ("postgresql://u@h/d?application_name=mine", {"application_name": "mine"}),
        ("postgresql://u@h/d?connect_timeout=3", {"connect_timeout": "3"}),
        ("postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/ca", {"sslmode": "verify-ca", "sslrootcert": "/ca"}),
        ("postgresql://u@h1:1,h2:2/d?target_session_attrs=read-only",
         {"host": "h1,h2", "port": "1,2", "target_session_attrs": "read-only"}),
        ("postgresql://u@h/d?passfile=/p", {"passfile": "/p"}),
        ("postgresql://u@h/d?keepalives_idle=5&tcp_user_timeout=9", {"keepalives_idle": "5", "tcp_user_timeout": "9"}),
        ("postgres://u:%40%2F%3A%20%25@[::1]:5433/d", {"password": "@/: %", "host": "::1", "port": "5433"}),
        ("postgresql:///d?host=/run/postgresql&user=me@tenant", {"host": "/run/postgresql", "user": "me@tenant"}),
        ("host=h port=5433 user=u password='it\\'s @/' dbname=d", {"host": "h", "password": "it's @/", "dbname": "d"}),
        (" postgresql://u@h/d\n", {"host": "h", "dbname": "d"}),
    ],
)  # fmt: skip
def test_its_own_options_are_kept_beside_ours(url, kept):
    parameters = composed(url)
    assert {name: parameters[name] for name in kept} == kept
    assert parameters["client_encoding"] == "UTF8"
    assert parameters["keepalives"] == "1"


def test_what_it_does_not_say_has_a_limit():
    parameters = composed("postgresql://u@h/d", connect_seconds=7)
    assert (parameters["connect_timeout"], parameters["tcp_user_timeout"]) == ("7", "60000")
    assert composed("postgresql://u@h/d?connect_timeout=0")["connect_timeout"] == "10"
    assert composed("postgresql://u@h/d?connect_timeout=-1")["connect_timeout"] == "10"


def test_a_service_and_the_environment_of_libpq_are_not_overruled(monkeypatch):
    assert composed("service=reporting") == {
        "service": "reporting", "client_encoding": "UTF8", "fallback_application_name": "klaviyo_assets",
    }  # fmt: skip
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "4")
    monkeypatch.setenv("PGPORT", "5499")
    assert "connect_timeout" not in composed("postgresql://u@h/d")
    assert PostgresAddress.read("postgresql://u@h/d").places == [("h", 5499)]


def test_a_turn_is_named_before_a_name_of_its_own():
    name = composed("postgresql://u@h/d?application_name=mine", application_name="klaviyo_assets run 1")
    assert name["application_name"] == "klaviyo_assets run 1 (mine)"
    assert composed("postgresql://u@h/d", application_name="x")["application_name"] == "x"


def test_the_places_of_several_hosts():
    assert PostgresAddress.read("postgresql://h1:1,h2:2/d").places == [("h1", 1), ("h2", 2)]
    assert PostgresAddress.read("postgresql://h1,h2/d").places == [("h1", 5432), ("h2", 5432)]


@pytest.mark.parametrize("wrong", ["", "x", "mysql://u:p@h/d", "jdbc:postgresql://u:p@h/d", "host=h password=a b"])
def test_what_is_no_address_is_refused_with_how_to_write_one(wrong):
    with pytest.raises(SettingsError, match="Write it as postgresql://user:password@host:5432/database"):
        PostgresAddress.read(wrong)


@pytest.mark.parametrize("option", ["connect_timeout=soon", "keepalives_idle=x", "tcp_user_timeout=1s"])
def test_an_option_that_is_no_number_is_named(option):
    with pytest.raises(SettingsError, match=f"its {option.partition('=')[0]} is not a whole number"):
        PostgresAddress.read(f"postgresql://u@h/d?{option}")


# What people paste without escaping it; the piece after the special character is what used to be shown.
UNESCAPED = [f"pa{special}{PIECE}" for special in "@:/%?#& +[]'\"\\\n,;="] + [
    f"@{PIECE}", f"/{PIECE}", f"12/{PIECE}", f"a@b/{PIECE}", f"a@b?{PIECE}", f"a@b?x={PIECE}", f"{PIECE}@{PIECE}",
    f"%zz{PIECE}", f"@127.0.0.1:1/{PIECE}?", f"x@127.0.0.1:{PIECE}", f"{PIECE} {PIECE}", f"{PIECE}\n{PIECE}",
]  # fmt: skip


def everything_printed(failing):
    """What Dagster and Python print of an error, with causes and contexts."""
    try:
        failing()
    except KlaviyoAssetsError as error:
        import sys

        dagsters = serializable_error_info_from_exc_info(sys.exc_info()).to_string()
        pythons = "".join(traceback.format_exception(error))
        return "\n".join(line for line in f"{dagsters}\n{pythons}".splitlines() if "failing()" not in line)
    raise AssertionError("it has to fail")


def read_from(url):
    with PostgresResource(url=url, connect_timeout_seconds=2).snapshot():
        pass


def take_turn_at(url):
    Turns(url, "x").take("acme", "run", 1, lambda _: None)


@pytest.mark.parametrize("password", UNESCAPED)
@pytest.mark.parametrize("use", [read_from, take_turn_at])
def test_no_part_of_a_password_is_shown_however_it_is_written(use, password):
    from urllib.parse import quote

    addresses = [
        f"postgresql://u:{password}@127.0.0.1:1/d",
        f"postgresql://u:{quote(password, safe='')}@127.0.0.1:1/d",
        f"host=127.0.0.1 port=1 user=u dbname=d password={password}",
        make_conninfo("", host="127.0.0.1", port=1, user="u", dbname="d", password=password),
        f"postgresql://127.0.0.1:1/d?user=u&password={password}",
    ]
    for address in addresses:
        assert PIECE not in everything_printed(lambda address=address: use(address)), address


def test_texts_of_others_are_shown_without_its_secrets(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "from-environment")
    address = PostgresAddress.read("postgresql://u:p%40ss%20word@h/d?sslpassword=keyword")
    told = "p@ss word p%40ss%20word p%40ss+word keyword from-environment postgresql://u:x@h/d"
    hidden = address.hidden(told)
    assert not any(secret in hidden for secret in ("p@ss", "p%40ss", "keyword", "from-environment", "u:x"))


def test_a_short_password_does_not_spoil_every_word():
    address = PostgresAddress.read("postgresql://u:on@h/d")
    assert address.hidden("the connection is on") == "the connection is (hidden)"
    assert "on@" not in repr(address)


def test_resources_print_no_address():
    url = f"postgresql://u:{PIECE}@h/d"
    for resource in (
        PostgresResource(url=url),
        AccountTurns(postgres_url=url),
        MailResource(smtp_url=f"smtp://u:{PIECE}@h"),
    ):
        assert PIECE not in f"{resource!r} {resource}"
