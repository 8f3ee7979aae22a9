"""Ctrl-C while Postgres works: it reaches Python, whichever library is waiting."""

import signal
import subprocess
import sys

import pytest

READING = """
import sys
from psycopg import sql
from klaviyo_assets.resources.postgres.resource import PostgresResource

with PostgresResource(url=sys.argv[1]).snapshot() as snapshot:
    print("reading", flush=True)
    for _ in range(200):
        snapshot.read(sql.SQL("SELECT pg_sleep(0.02)::text AS slept, {} AS number").format(sql.Literal(1)))
print("read to the end", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.11, 0.23, 0.35])
def test_an_interrupt_ends_a_reader_of_postgres(postgres_url, delay):
    """At whatever moment it comes; the driver has a handler of its own while it waits."""
    with subprocess.Popen(
        [sys.executable, "-c", READING, postgres_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        with pytest.raises(subprocess.TimeoutExpired):
            reader.wait(0.3 + delay)
        reader.send_signal(signal.SIGINT)
        try:
            output, stack = reader.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            reader.kill()
            raise
    assert "read to the end" not in output
    assert stack.rstrip().endswith("KeyboardInterrupt"), stack
    assert reader.returncode == -signal.SIGINT
