"""The gateway, with a server made up: bodies are read whole, in time, and only so far."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug import Request, Response

from app import gateway
from app.gateway import Gateway

LONGEST = 10
POST: dict[str, Any] = {"method": "POST", "headers": [("transfer-encoding", "chunked")]}


class Headers:
    """Headers as RSGI gives them: `items` leaves out what is not ASCII."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self._headers = headers

    def items(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self._headers if value.isascii()]

    def keys(self) -> list[str]:
        return [name for name, _ in self._headers]


class Protocol:
    """One request's side of the server: its body in chunks, and what is answered."""

    def __init__(self, chunks: Iterable[bytes | None]) -> None:
        self._chunks = chunks
        self.answer: tuple[int, list[tuple[str, str]], bytes] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if chunk is None:
                await asyncio.Event().wait()  # nothing more comes
            else:
                yield chunk
        yield b""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = (status, headers, body)


def scope(path: str = "/", **parts: Any) -> Any:
    headers = Headers(parts.pop("headers", []))
    return SimpleNamespace(
        **{
            "method": "GET",
            "path": path,
            "query_string": "",
            "client": "127.0.0.1:40000",
            "server": "127.0.0.1:5000",
            "scheme": "http",
            "http_version": "1.1",
            **parts,
            "headers": headers,
        }
    )


@Request.application
def echo(request: Request) -> Response:
    return Response(request.get_data(), 201, {"X-Seen": request.headers.get("X-Seen", "")})


def answer_to(app: Any, scope: Any, chunks: Iterable[bytes | None] = ()) -> Any:
    protocol: Any = Protocol(chunks)
    served: Any = Gateway(app, threads=1, longest_body=LONGEST, apart=("/health/",))
    asyncio.run(served(scope, protocol))
    return protocol.answer


def seen_by_app(**parts: Any) -> Request:
    seen: list[Request] = []

    @Request.application
    def look(request: Request) -> Response:
        seen.append(request)
        return Response()

    answer_to(look, scope(**parts))
    return seen[0]


def test_an_answer_is_passed_on() -> None:
    status, headers, body = answer_to(
        echo, scope(headers=[("content-length", "5"), ("x-seen", "yes")]), [b"he", b"llo"]
    )
    assert (status, body) == (201, b"hello")
    assert ("x-seen", "yes") in headers
    assert ("content-length", "5") in headers


def test_a_body_is_read_no_further_than_it_may_be_long() -> None:
    def endless() -> Iterable[bytes]:
        for _ in range(5):
            yield b"xxxx"
        raise AssertionError("read on and on")

    _, _, body = answer_to(echo, scope(**POST), endless())
    assert body == b"x" * LONGEST


def test_a_body_that_does_not_come_in_time_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_BODY_SECONDS", 0.01)
    status, _, _ = answer_to(echo, scope(**POST), [b"{}", None])
    assert status == 408


def test_a_body_that_was_cut_off_is_told_so() -> None:
    # Two empty chunks, as Granian has it.
    assert answer_to(echo, scope(**POST), [b"{}", b""])[0] == 400


def test_a_body_that_may_not_be_sent_is_not_waited_for() -> None:
    headers = [("content-length", "11"), ("expect", "100-continue")]
    assert answer_to(echo, scope(method="POST", headers=headers), [None])[2] == b""


def test_where_nothing_is_to_come_nothing_is_waited_for() -> None:
    for headers in ([], [("content-length", "0")]):
        assert answer_to(echo, scope(headers=headers), [None])[2] == b""


def test_paths_apart_do_not_wait_behind_others() -> None:
    free = threading.Event()
    order = []

    @Request.application
    def app(request: Request) -> Response:
        if request.path == "/slow":
            assert free.wait(10)
        order.append(request.path)
        return Response()

    async def both() -> None:
        served: Any = Gateway(app, threads=1, longest_body=LONGEST, apart=("/health/",))
        slow = asyncio.create_task(served(scope("/slow"), Protocol([])))
        await asyncio.sleep(0)  # it starts
        await served(scope("/health/live"), Protocol([]))
        free.set()
        await slow

    asyncio.run(both())
    assert order == ["/health/live", "/slow"]


def test_addresses() -> None:
    request = seen_by_app(
        path="/ü �", query_string="a=ü", client="[::1]:40000", server="[::1]:5000"
    )
    assert request.path == "/ü �"
    assert request.args["a"] == "ü"
    assert request.remote_addr == "::1"
    assert request.host == "[::1]:5000"


def test_headers() -> None:
    request = seen_by_app(
        headers=[
            ("host", "box.example"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("accept", "text/html"),
            ("accept", "*/*"),
            ("ticket-phone", "९८"),
            ("ticket_id", "smuggled"),
        ]
    )
    assert request.headers["Host"] == "box.example"
    assert dict(request.cookies) == {"a": "1", "b": "2"}
    assert request.headers["Accept"] == "text/html,*/*"
    assert request.headers["Ticket-Phone"] == ""  # there, and unreadable
    assert "Ticket-Id" not in request.headers
