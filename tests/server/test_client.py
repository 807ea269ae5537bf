"""Which requests of a connection have to wait for a turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from gevent import socket

from app.server.client import Client, Turns

REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class CountedTurns(Turns):
    """Turns that are counted, and given at once."""

    def __init__(self) -> None:
        self.taken = 0

    def wait(self) -> None:
        self.taken += 1


class Connection(NamedTuple):
    peer: Any
    client: Client
    turns: CountedTurns

    def send(self, data: bytes = REQUEST) -> None:
        """Send data, and wait until it has arrived."""
        self.peer.sendall(data)
        socket.wait_read(self.client.fileno(), timeout=5)

    def read(self, size: int = 8192) -> None:
        with self.client.awaiting_request(5):
            self.client.recv(size)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with peer, accepted:
        turns = CountedTurns()
        yield Connection(peer, Client(accepted, turns), turns)


def test_clients_who_wait_for_responses_need_no_turns(connection: Connection) -> None:
    for _ in range(3):
        connection.send()
        connection.read()
        with connection.client.responding():
            pass
    assert connection.turns.taken == 0


def test_a_request_sent_before_the_last_response_waits_for_a_turn(connection: Connection) -> None:
    connection.send()
    connection.read()
    with connection.client.responding():
        connection.send()
    assert connection.turns.taken == 0
    connection.read()
    with connection.client.responding():
        assert connection.turns.taken == 1
    connection.send()
    connection.read()
    with connection.client.responding():
        assert connection.turns.taken == 1


def test_requests_that_arrive_together_wait_for_turns(connection: Connection) -> None:
    connection.send(REQUEST * 3)
    connection.read()
    for turns in range(3):
        with connection.client.responding():
            assert connection.turns.taken == turns
        with connection.client.awaiting_request(5):
            pass  # gunicorn has it already


def test_a_request_in_many_pieces_waits_for_turns_from_the_fifth_on(connection: Connection) -> None:
    connection.send()
    with connection.client.awaiting_request(5):
        for _ in range(7):
            connection.client.recv(1)
    assert connection.turns.taken == 3
