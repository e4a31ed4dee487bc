"""Too many clients, one greedy task and slow connections, over HTTP: time is counted in batches of the model."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.queue import QueueLimits, RequestQueue
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.http_server import Gate, running
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

ROOM = 4  # records that may wait
ONE_TASK = QueueLimits(records=ROOM, task_share=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A bank of two tasks."""
    home: Path = tmp_path_factory.mktemp("home")
    with open_store(str(home / "bank.db")) as opened:
        for name in ("mood", "other"):
            examples = examples_of(8, taskname=name)
            config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
            card = card_of(taskname=name)
            learn_task(opened, tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=home)
        yield opened


@contextmanager
def serving(store: Store, limits: RequestLimits) -> Iterator[tuple[str, Gate, RequestQueue]]:
    """A server with a gate before its model, which is opened at the end."""
    server = TaskServer(store, tiny_backbone("llama"))
    app = create_app(server, limits)
    gate = Gate(server)
    with running(app) as (_, port, _thread):
        try:
            yield f"http://127.0.0.1:{port}", gate, app.state.queue
        finally:
            gate.open()


async def until(happened: Callable[[], bool]) -> None:
    with anyio.fail_after(120):
        while not happened():
            await anyio.sleep(0.005)


async def next_batch(gate: Gate) -> None:
    """Let the batch through that is held, and wait until the next one is."""
    count = len(gate.batches)
    gate.let_one_through()
    await until(lambda: len(gate.batches) > count)


def client_of(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, timeout=120, limits=httpx.Limits(max_connections=None))


def record(task: str) -> dict[str, str]:
    return {"taskname": task, "sentence": "profit rose"}


def answered_by_batch(store: Store, clients: int, batches: int) -> tuple[float, Counter[int]]:
    """Have clients ask without a pause, let batches through whenever nothing more can wait, and count.

    Returns:
        Records answered with 200 a batch, and how often each status came.
    """
    statuses: Counter[int] = Counter()
    stopped = False

    async def ask(client: httpx.AsyncClient) -> None:
        while not stopped:
            answer = await client.post("/v1/predict", json=record("mood"))
            statuses[answer.status_code] += 1
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                await anyio.sleep(0.01)

    async def crowd(address: str, gate: Gate, queue: RequestQueue) -> float:
        nonlocal stopped
        async with client_of(address) as client, anyio.create_task_group() as group:
            for _ in range(clients):
                group.start_soon(ask, client)
            for _ in range(batches):
                await until(lambda: gate.is_holding and queue.records >= min(ROOM, clients - len(gate.batches[-1])))
                await next_batch(gate)
            computed = sum(map(len, gate.batches[:batches]))
            await until(lambda: statuses[200] >= computed)
            answered = statuses[200]
            stopped = True
            gate.open()
        assert statuses[200] == sum(map(len, gate.batches))  # nothing was computed for who was refused
        return answered / batches

    with serving(store, RequestLimits(queue=ONE_TASK)) as (address, gate, queue):
        return anyio.run(crowd, address, gate, queue), statuses


def test_five_times_the_load_is_answered_as_fast_and_the_rest_is_told_to_come_back(store: Store) -> None:
    whole, fine = answered_by_batch(store, ROOM, 10)
    under_load, statuses = answered_by_batch(store, 5 * ROOM, 10)
    assert set(fine) == {200}
    assert set(statuses) == {200, 429}
    assert under_load >= 0.9 * whole


def test_a_flood_on_one_task_puts_no_other_task_behind_it(store: Store) -> None:
    """40 clients of one task fill its share of the queue; another's request is in the next batch each time."""
    limits = RequestLimits(queue=QueueLimits(records=16, batch_tokens=100))
    waits: list[int] = []
    statuses: Counter[int] = Counter()
    stopped = False

    async def flood(client: httpx.AsyncClient) -> None:
        while not stopped:
            statuses[(await client.post("/v1/predict", json=record("mood"))).status_code] += 1
            await anyio.sleep(0.01)

    async def crowd(address: str, gate: Gate, queue: RequestQueue) -> None:
        nonlocal stopped

        async def ask_other() -> None:
            answer = await client.post("/v1/predict", json=record("other"))
            assert answer.status_code == 200

        async with client_of(address) as client, anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(flood, client)
            for _ in range(8):
                await until(lambda: gate.is_holding and queue.records == 12)  # the flood's share is full
                held = len(gate.batches)
                group.start_soon(ask_other)
                await until(lambda: queue.records == 13)
                while not any("other" in batch for batch in gate.batches[held:]):
                    await next_batch(gate)
                waits.append(len(gate.batches) - held)
            stopped = True
            gate.open()

    with serving(store, limits) as (address, gate, queue):
        anyio.run(crowd, address, gate, queue)
        assert max(len(batch) for batch in gate.batches) < 8  # so the flood was several batches long
    assert waits == [1] * 8
    assert set(statuses) == {200, 429}


def test_two_hundred_connections_that_send_drop_by_drop_change_nothing_for_others(store: Store) -> None:
    """Half of them trickle the head of a request, half its body, all the while that others ask."""
    head = b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"
    stop = threading.Event()
    drops: list[int] = []

    def trickle(slow: list[socket.socket]) -> None:
        while not stop.wait(0.02):
            for n, one in enumerate(slow):
                one.sendall(b"x" if n % 2 else b" ")
            drops.append(len(slow))

    with serving(store, RequestLimits(body_seconds=3600)) as (address, gate, _):
        gate.open()
        port = int(address.rpartition(":")[2])
        whole = [asked(address) for _ in range(5)]
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        for n, one in enumerate(slow):
            one.sendall(b"GET /livez HTTP/1.1\r\nx-slow: " if n % 2 else head)
        thread = threading.Thread(target=trickle, args=(slow,))
        thread.start()
        try:
            assert [asked(address) for _ in range(5)] == whole
            assert httpx.get(f"{address}/livez", timeout=120).status_code == 200
            assert drops  # they were sending meanwhile
            assert {len(batch) for batch in gate.batches} == {1}  # and none of theirs came to the model
        finally:
            stop.set()
            thread.join(60)
            for one in slow:
                one.close()


def asked(address: str) -> tuple[int, object]:
    answer = httpx.post(f"{address}/v1/predict", json=record("mood"), timeout=120)
    return answer.status_code, answer.json()
