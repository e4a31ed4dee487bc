"""A body that comes drop by drop: given up after its seconds, without holding up others or a stop."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from promptbank.bank.task_server import TaskServer
from promptbank.service.app import create_app
from promptbank.service.limits import RequestLimits
from store import open_store
from tests.http_server import running
from tests.tiny import tiny_backbone

PATHS = ("/v1/predict", "/v1/score", "/v1/completions", "/v1/chat/completions")
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"


@contextmanager
def app_with(folder: Path, seconds: float) -> Iterator[Any]:
    with open_store(str(folder / "bank.db")) as store:
        yield create_app(TaskServer(store, tiny_backbone("llama")), RequestLimits(body_seconds=seconds))


def trickled(app: Any, path: str, stop_after: float | None = None) -> tuple[list[Any], float]:
    """Send a space each 20 ms for ever; return what was answered, and after how many seconds."""
    sent: list[Any] = []

    async def receive() -> Any:
        await anyio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    async def talk() -> None:
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": [],
                 "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("x", 80), "client": None,
                 "root_path": "", "asgi": {"version": "3.0"}}  # fmt: skip
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(app, scope, receive, send)
                if stop_after is not None:
                    await anyio.sleep(stop_after)
                    app.state.queue.drain()

    begun = time.monotonic()
    anyio.run(talk)
    return sent, time.monotonic() - begun


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_does_not_arrive_in_time_is_408(tmp_path: Path, path: str) -> None:
    with app_with(tmp_path, 0.4) as app:
        sent, seconds = trickled(app, path)
    assert sent[0]["status"] == 408
    assert dict(sent[0]["headers"])[b"connection"] == b"close"
    assert b"slow-body" in sent[1]["body"]
    assert b"within 0.4 seconds" in sent[1]["body"]
    assert 0.4 <= seconds < 5


def test_a_stop_does_not_wait_for_a_body(tmp_path: Path) -> None:
    with app_with(tmp_path, 3600) as app:
        sent, seconds = trickled(app, "/v1/predict", stop_after=0.2)
    assert sent[0]["status"] == 503
    assert b"retry-after" in dict(sent[0]["headers"])
    assert seconds < 5


def all_of(connection: socket.socket) -> bytes:
    """Return everything until the server closes the connection."""
    connection.settimeout(20)
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_slow_connections_are_closed_while_others_are_answered(tmp_path: Path) -> None:
    with app_with(tmp_path, 1) as app, running(app) as (_, port, _thread):
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]
        for one in slow:
            one.sendall(HEAD + b"{")
        with socket.create_connection(("127.0.0.1", port)) as other:
            begun = time.monotonic()
            other.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert all_of(other).startswith(b"HTTP/1.1 200")
            assert time.monotonic() - begun < 1
        for one in slow:
            assert all_of(one).startswith(b"HTTP/1.1 408")
            one.close()


def test_a_server_with_a_slow_connection_stops_at_once(tmp_path: Path) -> None:
    with app_with(tmp_path, 3600) as app, running(app) as (server, port, thread):
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(HEAD + b"{")
            time.sleep(0.5)
            server.handle_exit(0, None)
            assert all_of(slow).startswith(b"HTTP/1.1 503")
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("sent", [b"", b"GET /livez HTT", HEAD[:40], b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /li"])
def test_connections_whose_head_does_not_arrive_are_closed_while_others_are_answered(
    tmp_path: Path, sent: bytes
) -> None:
    with app_with(tmp_path, 60) as app, running(app, 1.5) as (server, port, _thread):
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
        for one in slow:
            one.sendall(sent)
        with socket.create_connection(("127.0.0.1", port)) as other:
            other.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert all_of(other).startswith(b"HTTP/1.1 200")
        answered = sum(all_of(one).startswith(b"HTTP/1.1 200") for one in slow)
        assert answered == (100 if sent.startswith(b"GET /livez HTTP") else 0)
        for one in slow:
            one.close()
        assert server.server_state.connections == set()


def test_a_head_that_comes_drop_by_drop_gains_no_time(tmp_path: Path) -> None:
    with (
        app_with(tmp_path, 60) as app,
        running(app, 0.4) as (_, port, _thread),
        socket.create_connection(("127.0.0.1", port)) as slow,
    ):
        slow.sendall(b"GET /livez HTTP/1.1\r\nx: ")
        slow.settimeout(0.05)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                slow.sendall(b"x")
                if slow.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() < end  # it was closed


def test_a_request_that_takes_longer_than_its_head_may_is_answered(tmp_path: Path) -> None:
    with (
        app_with(tmp_path, 60) as app,
        running(app, 0.2) as (_, port, _thread),
        socket.create_connection(("127.0.0.1", port)) as one,
    ):
        one.sendall(HEAD + b"{")
        time.sleep(0.6)
        one.sendall(b" " * 999)
        one.settimeout(20)
        assert one.recv(65536).startswith(b"HTTP/1.1 422")
