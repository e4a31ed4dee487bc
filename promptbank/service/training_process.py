"""The process that trains for a service: it works off the bank's queue, beside the one that answers."""

import logging
import os
import subprocess
import sys
import threading

from promptbank.bank.session import Bank
from promptbank.bank.training_queue import queue_owner
from promptbank.service.workers import worker_environment
from store import StoreError

__all__ = ["TrainingProcess"]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
REST_SECONDS = 5.0
"""Before a process that ended with an error is replaced."""
STOP_SECONDS = 10.0
COMMAND = (sys.executable, "-m", "promptbank", "train", "--queue", "--of-service")


class TrainingProcess:
    """Runs `promptbank train --queue` while a training waits, or one is left that a process of this home had begun.

    Args:
        bank: whose queue it is. What the process says goes to ``queue.log`` in its home.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank, self._owner = bank, queue_owner(bank)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="promptbank-trainings", daemon=True)

    def start(self) -> None:
        """Follow the queue from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End the process; what it was training stays in the queue, and the next one goes on with it."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _follow(self) -> None:
        seconds = 0.0
        while not self._stopping.wait(seconds):
            seconds = LOOK_SECONDS
            if self._process is not None and self._process.poll():
                logger.warning("the process of the training queue ended with code %d", self._process.returncode)
                seconds, self._process = REST_SECONDS, None
            elif (self._process is None or self._process.poll() == 0) and self._has_work():
                self._process = self._started()

    def _has_work(self) -> bool:
        try:
            found = self._bank.store.trainings.list()
        except StoreError as exc:
            logger.warning("the training queue cannot be read: %s", exc)
            return False
        mine = [one for one in found if one.owner == self._owner and one.state in ("running", "stopping")]
        return bool(mine) or any(one.state == "waiting" for one in found)

    def _started(self) -> subprocess.Popen[bytes]:
        environment = worker_environment(self._bank.settings, os.environ)
        with (self._bank.settings.home / "queue.log").open("wb") as log:
            # a session of its own: Ctrl-C reaches the service alone, which ends it once
            return subprocess.Popen(COMMAND, env=environment, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - this program
