"""The sandbox's commands with its real servers: start, kill, race, stop, import."""

import json
import os
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import boto3
import httpx
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from klaviyo_assets.sandbox import lifecycle
from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.mail import read_kept
from klaviyo_assets.sandbox.state import State

COMMAND = [sys.executable, "-P", "-c", "from klaviyo_assets.cli.sandbox import app; app()"]
SMALL_SHOP = ("--accounts", "1", "--events-per-day", "20", "--days", "3")
SERVERS = ["bigquery", "fivetran", "mail", "postgres", "s3"]


class Sandbox:
    """A sandbox in a folder of its own, driven as a user drives it."""

    def __init__(self, project: Path) -> None:
        self.project, self.root = project, project / ".sandbox"

    def begin(self, *arguments: str) -> subprocess.Popen:
        environment = {name: value for name, value in os.environ.items() if name != "KLAVIYO_SANDBOX_DIR"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*COMMAND, *arguments], cwd=self.project, env=environment, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.begin(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{arguments}: {out}\n{err}"
        return out + err

    def status(self) -> dict[str, dict]:
        return {server.name: asdict(server) for server in lifecycle.status(Folder(self.root))}

    def environment(self) -> dict[str, str]:
        return lifecycle.variables(Folder(self.root))

    def processes(self) -> list[int]:
        """Every process that has this sandbox's folder (or Postgres' one outside of it) in its command."""
        home = State.load(self.root / "state.json").postgres_home
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(self.root) in command or home in command:
                found.append(int(entry.parent.name))
        return found

    def s3(self):
        told = self.environment()
        return boto3.client(
            "s3",
            endpoint_url=told["S3_ENDPOINT_URL"],
            aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
            region_name=told["AWS_REGION"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


def new_project() -> Path:
    """A folder any user can pass through, as projects are (pytest's own are closed)."""
    project = Path(tempfile.mkdtemp(prefix="klaviyo-test-"))
    project.chmod(0o755)
    return project


@pytest.fixture(scope="module")
def sandbox():
    """One running sandbox for the tests that leave it running."""
    sandbox = Sandbox(new_project())
    try:
        sandbox.run("start", *SMALL_SHOP)
        yield sandbox
    finally:
        sandbox.run("reset", "--yes")
        shutil.rmtree(sandbox.project)


@pytest.fixture
def fresh():
    """A project whose sandbox was never started."""
    sandbox = Sandbox(new_project())
    try:
        yield sandbox
    finally:
        sandbox.run("reset", "--yes")
        shutil.rmtree(sandbox.project)


def query(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def test_every_server_runs_and_answers_to_what_env_says(sandbox):
    told = sandbox.environment()
    assert [name for name, server in sorted(sandbox.status().items()) if server["state"] == "running"] == SERVERS
    assert query(told["POSTGRES_URL"], "SELECT current_user, current_database()") == [("reporting", "klaviyo")]
    assert told["S3_BUCKET"] in [bucket["Name"] for bucket in sandbox.s3().list_buckets()["Buckets"]]
    fivetran = httpx.get(
        f"{told['FIVETRAN_API_URL']}/v1/account/info", auth=(told["FIVETRAN_API_KEY"], told["FIVETRAN_API_SECRET"])
    )
    assert fivetran.status_code == 200
    datasets = httpx.get(
        f"{told['BIGQUERY_EMULATOR_HOST']}/bigquery/v2/projects/{told['BIGQUERY_PROJECT']}/datasets",
        headers={"Authorization": f"Bearer {told['BIGQUERY_EMULATOR_TOKEN']}"},
    )
    assert datasets.status_code == 200
    assert Path(told["KLAVIYO_ACCOUNTS_FILE"]).is_file()
    assert Path(told["KLAVIYO_FRAMES_URL"]).is_dir()


def test_a_program_reads_status_and_environment_as_json(sandbox):
    status = {server["name"]: server for server in json.loads(sandbox.run("status", "--json"))}
    assert {name: server["pid"] for name, server in status.items()} == {
        name: server["pid"] for name, server in sandbox.status().items()
    }
    assert json.loads(sandbox.run("env", "--json")) == sandbox.environment()
    assert f"POSTGRES_URL={sandbox.environment()['POSTGRES_URL']}\n" in sandbox.run("env")


def test_a_second_start_changes_nothing(sandbox):
    before = sandbox.status()
    sandbox.run("start")
    assert {name: server["pid"] for name, server in sandbox.status().items()} == {
        name: server["pid"] for name, server in before.items()
    }


def test_all_servers_listen_on_localhost_only(sandbox):
    own = sandbox.processes()
    inodes = {inode for pid in own for inode in _sockets(pid)}
    listening = [fields for fields in _tcp_sockets() if fields[3] == "0A" and fields[9] in inodes]
    assert len(listening) >= 6
    assert {fields[1].split(":")[0] for fields in listening} == {"0100007F"}


def test_secrets_are_in_no_command_line_no_log_and_no_file_others_can_read(sandbox):
    state = State.load(sandbox.root / "state.json")
    hidden = [secret.encode() for secret in state.secrets.values()]
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in sandbox.processes()]
    logs = [path.read_bytes() for path in (sandbox.root / "logs").iterdir()]
    assert not [secret for secret in hidden for text in commands + logs if secret in text]
    assert stat.S_IMODE((sandbox.root / "state.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((sandbox.project / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE(sandbox.root.stat().st_mode) & 0o066 == 0


def test_the_reader_reads_what_the_writer_makes_later_and_writes_nothing(sandbox):
    state = State.load(sandbox.root / "state.json")
    writer = f"postgresql://fivetran:{state.secrets['postgres_writer']}@127.0.0.1:{state.ports['postgres']}/klaviyo"
    with psycopg.connect(writer, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA later")
        connection.execute("CREATE TABLE later.thing AS SELECT 1 AS one")
    reader = sandbox.environment()["POSTGRES_URL"]
    assert query(reader, "SELECT one FROM later.thing") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(reader, "DELETE FROM later.thing RETURNING one")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        query(reader, "CREATE SCHEMA mine")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(reader.replace(state.secrets["postgres_reader"], "wrong"), "SELECT 1")


def test_s3_keeps_its_promises(sandbox):
    """Conditional writes and checksums: what the archive relies on."""
    s3, bucket = sandbox.s3(), sandbox.environment()["S3_BUCKET"]
    s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=bucket, Key="wrong", Body=b"3", ChecksumSHA256="A" * 43 + "=")


def test_mail_through_smtp_and_ses_is_kept_and_an_unverified_sender_refused(sandbox):
    told = sandbox.environment()
    host, port = told["SMTP_URL"].removeprefix("smtp://").split(":")
    with smtplib.SMTP(host, int(port)) as smtp:
        smtp.sendmail(told["MAIL_FROM"], [told["MAIL_TO"]], "Subject: By SMTP\r\n\r\nHello")
    ses = boto3.client(
        "ses",
        endpoint_url=told["SES_ENDPOINT_URL"],
        region_name=told["SES_REGION"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
    )
    message = {"Subject": {"Data": "By SES"}, "Body": {"Html": {"Data": "<p>Grüße</p>"}}}
    ses.send_email(Source=told["MAIL_FROM"], Destination={"ToAddresses": [told["MAIL_TO"]]}, Message=message)
    # As in a new AWS account, SES takes one mail a second.
    time.sleep(1.2)
    with pytest.raises(ClientError, match="MessageRejected"):
        ses.send_email(Source="x@y.example", Destination={"ToAddresses": [told["MAIL_TO"]]}, Message=message)

    kept = {read_kept(path)["Subject"]: read_kept(path) for path in (sandbox.root / "mail").glob("*.eml")}
    assert set(kept) == {"By SMTP", "By SES"}
    assert kept["By SES"].get_content().strip() == "<p>Grüße</p>"


@pytest.mark.parametrize("server", SERVERS)
def test_a_killed_server_comes_back_alone_with_its_data(sandbox, server):
    state = State.load(sandbox.root / "state.json")
    writer = f"postgresql://fivetran:{state.secrets['postgres_writer']}@127.0.0.1:{state.ports['postgres']}/klaviyo"
    bucket = sandbox.environment()["S3_BUCKET"]
    with psycopg.connect(writer, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS kept")
        connection.execute(f"CREATE TABLE kept.{server} AS SELECT 42 AS answer")
    sandbox.s3().put_object(Bucket=bucket, Key=f"kept/{server}", Body=b"42")
    before = sandbox.status()

    os.kill(before[server]["pid"], signal.SIGKILL)
    sandbox.run("start")

    after = sandbox.status()
    assert {name: item["state"] for name, item in after.items()} == dict.fromkeys(after, "running")
    assert {name for name in after if after[name]["pid"] != before[name]["pid"]} == {server}
    assert after[server]["address"] == before[server]["address"]
    assert query(sandbox.environment()["POSTGRES_URL"], f"SELECT answer FROM kept.{server}") == [(42,)]
    assert sandbox.s3().get_object(Bucket=bucket, Key=f"kept/{server}")["Body"].read() == b"42"


def test_a_stopped_server_is_shown_and_makes_status_fail(sandbox):
    os.kill(sandbox.status()["mail"]["pid"], signal.SIGKILL)
    time.sleep(0.2)
    assert "stopped" in sandbox.run("status", code=1)
    sandbox.run("start")
    sandbox.run("status")


def test_imported_files_become_tables_as_fivetran_would_have_made_them(sandbox, tmp_path):
    (tmp_path / "event.csv").write_text(
        "id,datetime,type,property_value,property_empty,_fivetran_deleted,_fivetran_synced\n"
        "a,2024-03-01 10:00:00,Placed Order,49.990000,,FALSE,2024-03-02 00:00:00.000\n"
        "b,2024-02-28 23:59:59,Placed Order,1e-05,,FALSE,2024-03-02 00:00:00.000\n"
        "c,2024-02-28 23:59:59,too,many,cells,,FALSE,2024-03-02 00:00:00.000\n"
    )
    (tmp_path / "metric.csv").write_text("id,name\nabc,Placed Order\nabc,Placed Order\n")
    said = sandbox.run("import", "--account", "imported", str(tmp_path))
    again = json.loads(sandbox.run("import", "--account", "imported", str(tmp_path), "--json"))

    assert "line 4 not loaded: 8 cells where the header has 7" in said
    assert "metric: 2 rows" in said
    assert "no primary key: id is missing, empty or not unique" in said
    assert "property_empty" in said
    assert "Added account imported" in said
    assert not again["account_added"]
    reader = sandbox.environment()["POSTGRES_URL"]
    assert query(reader, "SELECT id, datetime::text, property_value FROM klaviyo_imported.event ORDER BY id") == [
        ("a", "2024-03-01 10:00:00+00", 49.99),
        ("b", "2024-02-28 23:59:59+00", 1e-05),
    ]
    accounts = Path(sandbox.environment()["KLAVIYO_ACCOUNTS_FILE"]).read_text()
    assert accounts.count('"klaviyo_imported"') == 1
    assert "start_date = 2024-02-28" in accounts


def test_an_import_with_an_unreadable_file_changes_nothing(sandbox, tmp_path):
    (tmp_path / "event.csv").write_text("id,id\n1,2\n")
    assert "header" in sandbox.run("import", "--account", "broken", str(tmp_path), code=1)
    assert query(sandbox.environment()["POSTGRES_URL"], "SELECT to_regnamespace('klaviyo_broken')") == [(None,)]


def test_before_the_first_start_env_and_import_say_what_to_do(fresh, tmp_path):
    assert "sandbox start" in fresh.run("env", code=2)
    assert "sandbox start" in fresh.run("import", "--account", "a", str(tmp_path), code=2)
    assert "Nothing was running" in fresh.run("stop")
    assert not fresh.root.exists()


@pytest.mark.slow
def test_racing_starts_give_one_set_of_servers_and_stop_leaves_nothing(fresh):
    racers = [fresh.begin("start", *SMALL_SHOP) for _ in range(3)]
    for racer in racers:
        assert "The sandbox is running" in "".join(racer.communicate(timeout=120))
    pids = {server["pid"] for server in fresh.status().values()}
    assert len(pids) == len(SERVERS)
    assert pids == set(fresh.processes())

    assert "Stopped: bigquery, fivetran, mail, postgres, s3." in fresh.run("stop")

    assert fresh.processes() == []
    state = State.load(fresh.root / "state.json")
    assert not [path for port in state.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
    assert "Nothing was running." in fresh.run("stop")


@pytest.mark.slow
def test_a_start_killed_at_any_moment_leaves_nothing_unknown(fresh):
    """Whatever the killed command had begun, the next one finds it; there is one set of servers in the end."""
    for seconds in (0.45, 0.7, 1.0, 1.5):
        command = fresh.begin("start", *SMALL_SHOP)
        time.sleep(seconds)
        command.kill()
        command.communicate()
    fresh.run("start", *SMALL_SHOP)
    pids = {server["pid"] for server in fresh.status().values()}
    assert pids == set(fresh.processes())
    assert len(pids) == len(SERVERS)


@pytest.mark.slow
def test_a_port_that_was_taken_meanwhile_is_replaced_and_said(fresh):
    fresh.run("start", *SMALL_SHOP)
    fresh.run("stop")
    port = State.load(fresh.root / "state.json").ports["postgres"]
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        said = fresh.run("start")
    assert f"port {port} (postgres) is taken by another program" in said
    url = fresh.environment()["POSTGRES_URL"]
    assert f":{port}/" not in url
    assert query(url, "SELECT 1") == [(1,)]
    assert url in (fresh.project / ".env").read_text()


@pytest.mark.slow
def test_reset_removes_our_env_file_and_never_a_users(fresh):
    (fresh.project / ".env").write_text("MINE=1\n")
    assert "was left unchanged" in fresh.run("start", *SMALL_SHOP)
    fresh.run("reset", "--yes")
    assert (fresh.project / ".env").read_text() == "MINE=1\n"
    assert not fresh.root.exists()
    (fresh.project / ".env").unlink()
    fresh.run("start", *SMALL_SHOP)
    assert (fresh.project / ".env").exists()
    fresh.run("reset", "--yes")
    assert list(fresh.project.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that Postgres' user cannot enter")
def test_postgres_runs_for_root_in_a_folder_only_root_can_enter(fresh):
    fresh.project.chmod(0o700)
    fresh.run("start", *SMALL_SHOP)
    home = Path(State.load(fresh.root / "state.json").postgres_home)
    assert fresh.project not in home.parents
    assert stat.S_IMODE((home / "data").stat().st_mode) == 0o700
    assert query(fresh.environment()["POSTGRES_URL"], "SELECT 1") == [(1,)]
    assert stat.S_IMODE(fresh.project.stat().st_mode) == 0o700
    fresh.run("reset", "--yes")
    assert not home.exists()


def _sockets(pid: int) -> list[str]:
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            links.append(str(entry.readlink()))
        except OSError:
            continue
    return [link[8:-1] for link in links if link.startswith("socket:[")]


def _tcp_sockets() -> list[list[str]]:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    if Path("/proc/net/tcp6").exists():
        lines += Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return [line.split() for line in lines]
