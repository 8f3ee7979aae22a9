"""Choosing free ports."""

import socket

import pytest

from klaviyo_assets.errors import TransientError
from klaviyo_assets.sandbox import ports


@pytest.fixture
def listening():
    """A port somebody listens on."""
    with socket.socket() as server:
        server.bind((ports.LOCALHOST, 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_somebody_listens_on_is_not_free(listening):
    assert not ports.is_free(listening)
    assert ports.answers(listening)


def test_a_port_taken_on_all_addresses_is_not_free():
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_a_chosen_port_is_free_and_outside_the_ephemeral_range():
    port = ports.choose([])
    assert ports.is_free(port)
    assert port + ports.COMPANION < 32768


def test_a_port_whose_companion_is_taken_is_not_usable_where_both_are_needed():
    port = ports.choose([], with_companion=True)
    with socket.socket() as server:
        server.bind((ports.LOCALHOST, port + ports.COMPANION))
        server.listen()
        assert ports.is_usable(port, with_companion=False)
        assert not ports.is_usable(port, with_companion=True)


def test_no_port_is_chosen_twice(monkeypatch):
    monkeypatch.setattr(ports, "LOWEST", 15_000)
    monkeypatch.setattr(ports, "HIGHEST", 15_001)
    with pytest.raises(TransientError, match="is free"):
        ports.choose([15_000])
