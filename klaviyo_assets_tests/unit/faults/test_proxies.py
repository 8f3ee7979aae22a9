"""The proxies do what they are asked to, so that a test behind them proves something."""

import http.client
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from klaviyo_assets_tests.faults.certificates import self_signed
from klaviyo_assets_tests.faults.connection_faults import Blackhole, ConnectionProxy, Fault
from klaviyo_assets_tests.faults.http_faults import HttpProxy

BODY = b"x" * 2000


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self):
        taken = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(taken)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    echo_server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    echo_server.daemon_threads = True
    echo_server.taken = []
    echo_server.handle_error = lambda *_: None
    Thread(target=echo_server.serve_forever, daemon=True).start()
    yield echo_server
    echo_server.shutdown()
    echo_server.server_close()


@pytest.fixture
def proxy(server):
    with ConnectionProxy(*server.server_address) as connection_proxy:
        yield connection_proxy


@pytest.fixture
def http_proxy(server):
    with HttpProxy(f"http://127.0.0.1:{server.server_address[1]}") as new_proxy:
        yield new_proxy


SHORT, LONG = 0.3, 30
"""Seconds: until a silence is noticed, and until an answer is there even on a busy machine."""


def asked(port, method="GET", path="/", body=None, timeout=LONG):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize(("fault", "error"), [
    (Fault("silence"), TimeoutError), (Fault("silence", after=500), TimeoutError),
    (Fault("reset", after=500), ConnectionResetError), (Fault("close", after=500), http.client.IncompleteRead),
    (Fault("close"), http.client.RemoteDisconnected),
])  # fmt: skip
def test_a_connection_goes_wrong_as_asked_and_is_right_again_without_the_fault(proxy, fault, error):
    proxy.fault = fault
    with pytest.raises(error):
        asked(proxy.port, timeout=SHORT if error is TimeoutError else LONG)

    proxy.fault = None
    assert asked(proxy.port) == (200, BODY)
    assert proxy.connections == 2


def test_a_slow_connection_arrives_whole(proxy):
    proxy.fault = Fault("slow", bytes_per_second=10_000)
    assert asked(proxy.port) == (200, BODY)


def test_nobody_gets_a_connection_to_a_blackhole():
    with Blackhole() as hole, pytest.raises(TimeoutError):
        socket.create_connection((hole.host, hole.port), timeout=0.3)


def test_a_rule_answers_as_often_as_asked_and_then_the_server_does(http_proxy):
    http_proxy.answer("GET", "/a", 503, {"error": "busy"}, times=2, headers={"Retry-After": "1"})

    statuses = [asked(http_proxy.port, path=path)[0] for path in ("/a", "/b", "/a", "/a")]

    assert statuses == [503, 200, 503, 200]
    assert http_proxy.requests == [("GET", path) for path in ("/a", "/b", "/a", "/a")]


@pytest.mark.parametrize(("fault", "error"), [
    (Fault("silence", after=100), TimeoutError), (Fault("reset", after=500), ConnectionResetError),
    (Fault("close", after=500), http.client.IncompleteRead),
])  # fmt: skip
def test_the_answer_of_one_request_is_spoilt_and_that_of_another_is_not(http_proxy, fault, error):
    http_proxy.spoil("GET", "/a", fault)
    with pytest.raises(error):
        asked(http_proxy.port, path="/a", timeout=SHORT if error is TimeoutError else LONG)
    assert asked(http_proxy.port, path="/b") == (200, BODY)


def test_a_request_whose_answer_is_lost_has_reached_the_server(http_proxy, server):
    http_proxy.lose("PUT", "/a")
    with pytest.raises(ConnectionResetError):
        asked(http_proxy.port, "PUT", "/a", b"content")
    assert server.taken[-1] == b"content"


def test_a_request_that_is_silenced_never_reaches_the_server(http_proxy, server):
    http_proxy.silence("PUT", "/a")
    before = len(server.taken)
    with pytest.raises(TimeoutError):
        asked(http_proxy.port, "PUT", "/a", b"content", timeout=SHORT)
    assert len(server.taken) == before


def test_a_self_signed_certificate_is_trusted_by_nobody_who_was_not_given_it(server, tmp_path):
    certificate = self_signed(tmp_path)
    target = f"http://127.0.0.1:{server.server_address[1]}"
    with HttpProxy(target, tls=certificate.server_context) as proxy:
        given = ssl.create_default_context(cafile=certificate.certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=given, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().read() == BODY

        with pytest.raises(ssl.SSLCertVerificationError):
            http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=5).request("GET", "/")
