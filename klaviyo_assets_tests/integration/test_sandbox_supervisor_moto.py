"""S3 on machines without SeaweedFS: moto under the same supervisor."""

import boto3
import httpx
import pytest

from klaviyo_assets.sandbox.folder import Folder
from klaviyo_assets.sandbox.object_store import BUCKET, MotoS3
from klaviyo_assets.sandbox.supervisor import Supervisor, load_or_create


@pytest.fixture
def server(tmp_path):
    """The S3 of moto, running."""
    folder = Folder(tmp_path / "sandbox")
    folder.create()
    state = load_or_create(folder)
    server = MotoS3(folder, state)
    supervisor = Supervisor(state, [server])
    supervisor.start()
    yield server
    supervisor.stop()


def test_moto_serves_the_bucket_and_says_that_it_forgets(server):
    s3 = boto3.client(
        "s3",
        endpoint_url=server.address,
        region_name="us-east-1",
        aws_access_key_id=server.state.s3_key,
        aws_secret_access_key=server.state.secrets["s3_secret"],
    )
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"1")
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"1"
    assert "gone after a stop" in server.remark


def test_only_our_token_proves_the_server_to_be_ours(server):
    server.prove()
    assert httpx.get(f"{server.address}/health", headers={"Authorization": "Bearer other"}).status_code == 401
