"""Addresses of a throw-away Postgres and of a proxy in front of it. Not here: the server (`conftest.py`)."""

from psycopg.conninfo import conninfo_to_dict


def port_of(url: str) -> int:
    return int(conninfo_to_dict(url)["port"])


def at(port: int, options: str = "", user: str = "postgres") -> str:
    return f"postgresql://{user}@127.0.0.1:{port}/postgres{options}"
