"""The two upload protocols."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.sandbox.bigquery.errors import ApiError
from klaviyo_assets.sandbox.bigquery.uploads import Chunk, Uploads, check_place, read_content_range, split_multipart

TYPE = 'multipart/related; boundary="==b=="'


def body_of(job: dict, content: bytes) -> bytes:
    """Return what the client sends."""
    head = b"--==b==\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n" + json.dumps(job).encode()
    return head + b"\r\n--==b==\r\ncontent-type: */*\r\n\r\n" + content + b"\r\n--==b==--"


@given(st.binary().filter(lambda content: b"==b==" not in content))
def test_a_file_comes_out_of_a_multipart_body_byte_for_byte(content):
    assert split_multipart(TYPE, body_of({"a": 1}, content)) == ({"a": 1}, content)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("multipart/related", b"x"), (TYPE, b"--==b==\r\n\r\n{}\r\n--==b==--"), (TYPE, body_of({}, b"")[:-9] + b"[")],
)
def test_a_body_that_is_no_multipart_is_refused(kind, body):
    with pytest.raises(ApiError):
        split_multipart(kind, body)


@pytest.mark.parametrize(
    ("header", "chunk"),
    [
        ("bytes 0-9/*", Chunk(0, None)),
        ("bytes 10-19/20", Chunk(10, 20)),
        ("bytes */20", Chunk(None, 20)),
        ("bytes */*", Chunk(None, None)),
    ],
)
def test_a_content_range_places_a_chunk(header, chunk):
    assert read_content_range(header) == chunk


@pytest.mark.parametrize("header", [None, "", "bytes", "0-9/20", "bytes a-b/c"])
def test_other_headers_are_refused(header):
    with pytest.raises(ApiError, match="Content-Range"):
        read_content_range(header)


def test_a_chunk_follows_what_has_arrived(tmp_path):
    uploads = Uploads(tmp_path)
    session = uploads.session(uploads.start({}))
    session.received_bytes = 10

    check_place(session, Chunk(10, None))
    for start in (0, 9, 11):
        with pytest.raises(ApiError, match="10 bytes were received"):
            check_place(session, Chunk(start, None))


def test_a_restart_forgets_uploads_and_removes_their_files(tmp_path):
    identifier = Uploads(tmp_path).start({})

    with pytest.raises(ApiError, match="start the upload again"):
        Uploads(tmp_path).session(identifier)
    assert list(tmp_path.iterdir()) == []
