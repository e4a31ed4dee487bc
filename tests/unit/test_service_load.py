"""Under load: more than may wait is refused, work for nobody is not done, and a stop answers what was admitted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import uvicorn

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction, PreparedRequest
from promptbank.service.answering import Answering
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.queue import QueueLimits, RequestQueue
from promptbank.service.quotas import KeyQuotas
from promptbank.service.server import StoppingServer
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

RECORD = {"taskname": "mood", "sentence": "profit rose"}
LIMITS = RequestLimits(queue=QueueLimits(records=4, task_share=1))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home: Path = tmp_path_factory.mktemp("home")
    with open_store(str(home / "bank.db")) as opened:
        examples = examples_of(8)
        config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        learn_task(opened, tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=home)
        yield opened


class Held:
    """A server whose model waits for a sign, and the sizes of the batches that it got."""

    def __init__(self, store: Store) -> None:
        self.server = TaskServer(store, tiny_backbone("llama"))
        self.go, self.sizes = threading.Event(), list[int]()
        self._labels = self.server.predictor.labels
        self.server.predictor.labels = self._slow  # type: ignore[method-assign]

    def _slow(self, batch: Sequence[PreparedRequest]) -> list[Prediction]:
        self.sizes.append(len(batch))
        assert self.go.wait(60)
        return self._labels(batch)


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x", timeout=60)


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(60):
        while not happened():
            await anyio.sleep(0.01)


@pytest.mark.parametrize("as_list", [False, True])
def test_more_than_may_wait_is_refused_with_the_time_to_ask_again(store: Store, as_list: bool) -> None:
    held = Held(store)

    async def crowd() -> list[httpx.Response]:
        answers: list[httpx.Response] = []
        app = create_app(held.server, LIMITS)
        async with client_of(app) as client, anyio.create_task_group() as group:

            async def ask() -> None:
                answers.append(await client.post("/v1/predict", json=[RECORD] if as_list else RECORD))

            group.start_soon(ask)
            await until(lambda: bool(held.sizes))
            for _ in range(10):
                group.start_soon(ask)
            await until(lambda: len(answers) == 6)
            held.go.set()
        return answers

    answers = anyio.run(crowd)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 6
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.json()["type"] for answer in refused} == {"busy"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert held.sizes == [1, 4]  # what waited was answered together


def test_health_is_told_while_the_model_works(store: Store) -> None:
    """The model is held for as long as the questions take; that they are answered at all is the test."""
    held = Held(store)

    async def crowd() -> dict[str, int]:
        app = create_app(held.server, LIMITS)
        async with client_of(app) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.post("/v1/predict", json=RECORD))
            await until(lambda: bool(held.sizes))
            paths = ("/livez", "/readyz", "/startupz", "/version", "/metrics", "/v1/tasks", "/docs")
            found = {path: (await client.get(path)).status_code for path in paths}
            held.go.set()
        return found

    assert set(anyio.run(crowd).values()) == {200}


def test_nothing_is_computed_for_clients_that_have_gone(store: Store) -> None:
    held = Held(store)

    async def crowd() -> None:
        app = create_app(held.server, RequestLimits())
        async with client_of(app) as client, anyio.create_task_group() as group:
            group.start_soon(lambda: client.post("/v1/predict", json=RECORD))
            await until(lambda: bool(held.sizes))
            async with anyio.create_task_group() as leaving:
                for _ in range(20):
                    leaving.start_soon(lambda: client.post("/v1/predict", json=RECORD))
                await until(lambda: app.state.queue.records == 20)
                leaving.cancel_scope.cancel()
            held.go.set()

    anyio.run(crowd)
    assert held.sizes == [1]


def test_a_client_that_closes_its_connection_ends_the_wait(store: Store) -> None:
    """The ASGI message is what a server sends for a closed connection."""
    held = Held(store)
    app = create_app(held.server, RequestLimits())
    sent: list[Any] = []

    async def talk() -> None:
        messages = iter([{"type": "http.request", "body": b'{"taskname": "mood", "sentence": "x"}'}])

        async def receive() -> Any:
            if (message := next(messages, None)) is not None:
                return message
            await until(lambda: bool(held.sizes))
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/predict", "raw_path": b"/v1/predict", "headers": [],
                 "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("x", 80), "client": None,
                 "root_path": "", "asgi": {"version": "3.0"}}  # fmt: skip
        with anyio.fail_after(60):
            await app(scope, receive, send)

    anyio.run(talk)
    held.go.set()
    assert sent[0]["status"] == 499


def test_a_stop_answers_what_was_admitted_and_refuses_what_comes_after(store: Store) -> None:
    held = Held(store)

    async def crowd() -> tuple[list[int], httpx.Response]:
        statuses: list[int] = []
        app = create_app(held.server, RequestLimits())
        async with client_of(app) as client, anyio.create_task_group() as group:

            async def ask() -> None:
                statuses.append((await client.post("/v1/predict", json=RECORD)).status_code)

            for _ in range(5):
                group.start_soon(ask)
            await until(lambda: bool(held.sizes) and app.state.queue.records + held.sizes[0] == 5)
            app.state.queue.drain()
            late = await client.post("/v1/predict", json=RECORD)
            held.go.set()
        return statuses, late

    statuses, late = anyio.run(crowd)
    assert statuses == [200] * 5
    assert (late.status_code, late.json()["type"]) == (503, "unavailable")
    assert "retry-after" in late.headers


def test_the_model_thread_ends_with_the_application(store: Store) -> None:
    server, queue = TaskServer(store, tiny_backbone("llama")), RequestQueue(QueueLimits())
    answering = Answering(server.predictor, queue, ServiceMetrics(queue, server), 60, 4096, KeyQuotas(store.quotas))
    assert answering.stop(10) is True
    app = create_app(TaskServer(store, tiny_backbone("llama")))

    async def life() -> int:
        async with app.router.lifespan_context(app), client_of(app) as client:
            return (await client.post("/v1/predict", json=RECORD)).status_code

    assert anyio.run(life) == 200
    assert app.state.queue.draining


def test_the_first_signal_drains_and_the_second_ends() -> None:
    queue = RequestQueue(QueueLimits())
    server = StoppingServer(uvicorn.Config(lambda: None, log_config=None), queue)
    server.handle_exit(signal.SIGTERM, None)
    assert (server.should_exit, server.force_exit, queue.draining) == (True, False, True)
    server.handle_exit(signal.SIGTERM, None)
    assert server.force_exit
