"""A limit on how long a connection may keep its user waiting."""

import subprocess
import sys


def test_a_limit_at_the_end_of_the_interpreter_waits_for_no_thread():
    """What closes a connection may be a generator that is left to the end: a thread started then never runs."""
    code = (
        "from klaviyo_assets.transport.deadlines import Deadline\n"
        "def reading():\n"
        "    try:\n"
        "        yield\n"
        "    finally:\n"
        "        with Deadline(list).within(1):\n"
        "            print('closed', flush=True)\n"
        "generator = reading()\n"
        "next(generator)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "closed\n"
