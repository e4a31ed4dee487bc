"""Several processes of the service on one port of one machine, each an ordinary `promptbank serve`.

The parent binds the port and hands the socket down; the system gives each connection to one of the processes that
wait. They share nothing but the bank and a folder of figures, which each writes and any of them tells the sum of: each
has a backbone of its own in memory and its own queue.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from promptbank.config import Settings
from promptbank.errors import ConfigError

__all__ = ["METRICS_FOLDER", "WorkerProcesses", "stop_with_parent", "worker_environment"]

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder of figures in the environment; prometheus-client reads it when it is imported."""
TOLD = 1  # exit code of an error that the process has told already; starting it again would tell it again
POLL_SECONDS = 0.1
REST_SECONDS = 1.0
"""Pause before a process that died is replaced, so that one that cannot live does not take the whole machine."""


def worker_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: all settings, with its share of the processor's threads.

    The database's address may hold a password, so it goes here and not on the command line, which all users see.
    """
    own = {f"PROMPTBANK_{name.upper()}": str(value) for name, value in vars(settings).items()}
    threads = settings.threads or max(1, (os.cpu_count() or 1) // settings.workers)
    return {**environment, **own, "PROMPTBANK_THREADS": str(threads), "PROMPTBANK_WORKERS": "1"}


def stop_with_parent() -> None:
    """Let this process stop as by SIGTERM when the one that started it has gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(REST_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="promptbank-parent", daemon=True).start()


class WorkerProcesses:
    """Keeps N processes running until it is told to stop.

    Args:
        options: of ``promptbank serve``, the same for each.
        listener: the bound socket that they share.
        environment: of each.
        count: N.
    """

    def __init__(
        self, options: Sequence[str], listener: socket.socket, environment: Mapping[str, str], count: int
    ) -> None:
        self._command = [sys.executable, "-m", "promptbank", "serve", *options, "--fd", str(listener.fileno())]
        self._listener, self._environment, self._count = listener, dict(environment), count
        self._running: list[subprocess.Popen[bytes]] = []
        self._is_stopping = False

    def run(self) -> None:
        """Start the processes, replace each that dies, and pass SIGTERM and SIGINT on until all have ended.

        Raises:
            ConfigError: a process ended with an error that it has told.
        """
        before = {sig: signal.signal(sig, self._stop) for sig in (signal.SIGTERM, signal.SIGINT)}
        try:
            with tempfile.TemporaryDirectory(prefix="promptbank-metrics-") as folder:
                self._environment[METRICS_FOLDER] = folder
                self._keep_running()
        finally:
            self._signal(signal.SIGTERM)
            for sig, handler in before.items():
                signal.signal(sig, handler)

    def _keep_running(self) -> None:
        self._running = [self._start() for _ in range(self._count)]
        while self._running:
            self._look_after()
            time.sleep(POLL_SECONDS)

    def _look_after(self) -> None:
        from prometheus_client.multiprocess import mark_process_dead  # half a second that `promptbank --help` saves

        ended = [process for process in self._running if process.poll() is not None]
        self._running = [process for process in self._running if process not in ended]
        for process in ended:  # what it counted stays in the sums, what it held at the moment goes
            mark_process_dead(process.pid, self._environment[METRICS_FOLDER])  # type: ignore[no-untyped-call]
        if not ended or self._is_stopping:
            return
        if any(process.returncode == TOLD for process in ended):
            self._stop(signal.SIGTERM, None)
            self._wait()
            raise ConfigError("a process of the service could not start, so none is left; its error stands above")
        time.sleep(REST_SECONDS)
        self._running += [self._start() for _ in ended]

    def _start(self) -> subprocess.Popen[bytes]:
        # a session of its own: Ctrl-C reaches the parent alone, which passes it on once
        return subprocess.Popen(  # noqa: S603 - this program
            self._command, env=self._environment, pass_fds=[self._listener.fileno()], start_new_session=True
        )

    def _stop(self, sig: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
        self._signal(sig)

    def _signal(self, sig: int) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(sig)

    def _wait(self) -> None:
        for process in self._running:
            process.wait()
