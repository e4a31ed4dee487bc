"""A real server in this process, and a model that answers a batch only when a test says so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn

from promptbank.bank.task_server import TaskServer
from promptbank.engine.predictor import Prediction, PreparedRequest
from promptbank.service.connections import impatient
from promptbank.service.server import StoppingServer


@contextmanager
def running(app: Any, head_seconds: float = 10) -> Iterator[tuple[StoppingServer, int, threading.Thread]]:
    """Run a server on a free port in a thread, and stop it."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        server = StoppingServer(uvicorn.Config(app, log_config=None, http=impatient(head_seconds)), app.state.queue)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield server, listener.getsockname()[1], thread
        finally:
            server.handle_exit(0, None)
            thread.join(30)


class Gate:
    """Holds each batch of labels of a server until it is let through.

    Attributes:
        batches: the tasks of the records of each batch, the one that is held too.
    """

    def __init__(self, server: TaskServer) -> None:
        self.batches: list[list[str]] = []
        self._passes, self._through, self._open = threading.Semaphore(0), 0, False
        self._labels = server.predictor.labels
        server.predictor.labels = self._held  # type: ignore[method-assign]

    def _held(self, batch: Sequence[PreparedRequest]) -> list[Prediction]:
        self.batches.append([one.task.taskname for one in batch])
        if not self._open:
            assert self._passes.acquire(timeout=120)
        self._through += 1
        return self._labels(batch)

    @property
    def is_holding(self) -> bool:
        """Whether a batch waits to be let through."""
        return len(self.batches) > self._through

    def let_one_through(self) -> None:
        """Let the batch through that is held, or the next one."""
        self._passes.release()

    def open(self) -> None:
        """Hold nothing any more."""
        self._open = True
        self._passes.release()
