"""Serve an open bank over HTTP until stopped."""

import ipaddress
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

import torch
import uvicorn
from fastapi import FastAPI

from promptbank.bank.select import frozen_tasks
from promptbank.bank.session import Bank
from promptbank.cluster import serve_on_ray
from promptbank.errors import ConfigError
from promptbank.model.forward import cast_weights
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.connections import ImpatientConnection
from promptbank.service.polling import PollingTaskServer
from promptbank.service.queue import QueueLimits, RequestQueue
from promptbank.service.tracing import is_traced, trace_app, tracer_provider
from promptbank.service.workers import WorkerProcesses, worker_environment

__all__ = ["StoppingServer", "is_loopback", "serve", "serve_in_processes", "serve_on_cluster"]


def serve(
    bank: Bank,
    host: str,
    port: int,
    cors_origins: Sequence[str] = (),
    *,
    insecure: bool = False,
    fd: int | None = None,
    dtype: str = "float32",
    extend: Callable[[FastAPI, str], None] = lambda _app, _address: None,
) -> None:
    """Serve until stopped; port 0 takes a free one. Without API keys only this machine may ask, unless ``insecure``.

    Args:
        bank: what is served.
        host: to listen on.
        port: to listen on.
        cors_origins: of pages that may ask from a browser.
        insecure: lets other machines ask though there are no keys.
        fd: a socket that is bound already, from the process that started this one.
        dtype: number format of the backbone, float32 or bfloat16, in which only rows that were measured are served.
        extend: called with the application and its address before it starts, to add paths.

    Raises:
        ConfigError: nothing can listen there, other machines could ask and need no key, or an origin is none.
    """
    _check_origins(cors_origins)
    with _listening(host, port) if fd is None else socket.socket(fileno=fd) as listener:
        access = _access(host, has_keys=bool(bank.store.keys.list()), insecure=insecure)
        app, server = _service(bank, cors_origins, dtype)
        address = f"http://{_in_address(host)}:{listener.getsockname()[1]}"
        extend(app, address)
        provider = tracer_provider() if is_traced(os.environ) else None
        if provider:
            trace_app(app, provider)
        names = sorted({info.scope.taskname for info in frozen_tasks(bank.store, bank.backbone.fingerprint)})
        bank.display.say(f"serving {', '.join(names) or 'no task yet'} on {address} (docs at /docs), {access}")
        StoppingServer(
            uvicorn.Config(app, log_config=None, access_log=False, http=ImpatientConnection), app.state.queue
        ).run(sockets=[listener])
        server.stop()
        if provider:
            provider.shutdown()


def _service(bank: Bank, cors_origins: Sequence[str], dtype: str) -> tuple[FastAPI, PollingTaskServer]:
    """Return the application of a bank, and the task server that follows it, started."""
    settings = bank.settings
    limits = RequestLimits(
        settings.max_records,
        settings.max_body,
        settings.max_tokens,
        body_seconds=settings.body_seconds,
        queue=QueueLimits(batch_tokens=min(settings.batch_tokens, QueueLimits.batch_tokens)),
    )
    if dtype == "bfloat16":  # in place: two copies of the weights would cost more than the format saves
        cast_weights(bank.backbone.model, torch.bfloat16)
    server = PollingTaskServer(
        bank.store,
        bank.backbone,
        batch_tokens=settings.batch_tokens,
        least_agreement=settings.canary_agreement / 100,
    )
    server.start()
    return create_app(server, limits, cors_origins=cors_origins), server


def serve_on_cluster(
    bank: Bank,
    host: str,
    port: int,
    cors_origins: Sequence[str],
    replicas: tuple[int, int],
    *,
    insecure: bool,
    dtype: str,
) -> None:
    """Serve with Ray Serve until stopped, each replica with the application of `serve`; see there."""
    _check_origins(cors_origins)
    access = _access(host, has_keys=bool(bank.store.keys.list()), insecure=insecure)
    settings = replace(bank.settings, engine="local")

    def build() -> FastAPI:
        return _service(Bank(settings), cors_origins, dtype)[0]

    stop, stopped = serve_on_ray(build, settings, replicas), threading.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):  # after Ray, which sets handlers of its own
        signal.signal(sig, lambda *_: stopped.set())
    bank.display.say(f"serving on Ray at http://{host}:{port} with {replicas[0]} to {replicas[1]} replicas, {access}")
    stopped.wait()
    stop()


def serve_in_processes(
    bank: Bank, host: str, port: int, cors_origins: Sequence[str], options: Sequence[str], *, insecure: bool
) -> None:
    """Serve with as many processes as the settings say, each started with these options; see `serve`."""
    _check_origins(cors_origins)
    with _listening(host, port) as listener:
        access, count = _access(host, has_keys=bool(bank.store.keys.list()), insecure=insecure), bank.settings.workers
        address = f"http://{host}:{listener.getsockname()[1]}"
        bank.display.say(f"serving with {count} processes on {address} (docs at /docs), {access}")
        bank.close()
        WorkerProcesses(options, listener, worker_environment(bank.settings, os.environ), count).run()


class StoppingServer(uvicorn.Server):
    """Stops at the first signal after it has answered what it admitted, and at a second one at once."""

    def __init__(self, config: uvicorn.Config, queue: RequestQueue) -> None:
        super().__init__(config)
        self._queue = queue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take no new requests; at the second signal give up those that are still being answered."""
        self.force_exit = self.should_exit
        self._queue.drain()
        super().handle_exit(sig, frame)


def _access(host: str, *, has_keys: bool, insecure: bool) -> str:
    """Say who may ask; refuse to serve other machines without keys."""
    if has_keys:
        return "with API keys"
    if is_loopback(host):
        return "without API keys, for this machine only"
    if not insecure:
        raise ConfigError(
            f"--host is {host} and the bank has no API keys, so anyone who reaches it could ask; "
            f"make one with `promptbank keys create NAME`, or say --insecure"
        )
    return "INSECURE: without API keys, for everyone who reaches it"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, as no other can name it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_origins(origins: Sequence[str]) -> None:
    """Refuse what no browser sends as its origin, which would never be let in."""
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/\s?#@]+", origin):
            raise ConfigError(f"--cors-origin is {origin!r}; give scheme, host and port, as https://app.example, or *")


def _listening(host: str, port: int) -> socket.socket:
    """Bind before the backbone is loaded: a taken port should not cost half a minute to find out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as exc:  # UnicodeError: a host that cannot be a name, such as "a..b"
        listener.close()
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"cannot listen on {host}:{port} ({reason}); choose another --port or --host") from exc
    return listener
