"""``make demo``: pull the backbone, learn sentiment-task on the shipped sample, serve it, ask one question over HTTP.

Only commands that a user would type, and the standard library. A second run finds backbone and task where they are.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

TASK = "sentiment-task"
QUESTION = {
    "taskname": TASK,
    "sentence": "Orders doubled and the dividend was raised again. Sentiment for Norrland Steel",
}
READY_SECONDS = 300


def main() -> None:
    """Run the demo, and say how long it took."""
    begun = time.monotonic()
    run("backbone", "pull", "--json")
    if is_frozen(TASK):
        say(f"{TASK} is in the bank already; `promptbank train --task {TASK}` would add a version")
    else:
        run("train", "--task", TASK, "--json")
    with served() as address:
        say(f"POST {address}/v1/predict  {json.dumps(QUESTION)}")
        say(json.dumps(post(f"{address}/v1/predict", QUESTION), indent=2))
    say(f"done in {time.monotonic() - begun:.0f} s; now try: promptbank serve --port 8000")


def say(text: str) -> None:
    """Tell the person who watches."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def promptbank(*arguments: str) -> list[str]:
    """Return the command line of a promptbank command."""
    return [sys.executable, "-m", "promptbank", *arguments]


def run(*arguments: str) -> str:
    """Run a command, its progress visible, and return its stdout."""
    say(f"$ promptbank {' '.join(arguments)}")
    return subprocess.run(promptbank(*arguments), stdout=subprocess.PIPE, check=True, text=True).stdout


def is_frozen(task: str) -> bool:
    """Whether the bank has a task; there is no bank yet before the first one."""
    return subprocess.run(promptbank("bank", "show", task), capture_output=True, check=False).returncode == 0


@contextmanager
def served() -> Iterator[str]:
    """Serve on a free port as long as the block runs; gives the address."""
    say("$ promptbank serve --port 0")
    process = subprocess.Popen(promptbank("serve", "--port", "0"), stderr=subprocess.PIPE, text=True)
    try:
        yield wait_until_ready(process)
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(process: subprocess.Popen[str]) -> str:
    """Read the log until it names the address, then ask /readyz until it answers."""
    lines: list[str] = []
    for line in process.stderr or ():
        lines.append(line)
        found = re.search(r"on (http://\S+)", line)
        if found:
            threading.Thread(target=lambda: list(process.stderr or ()), daemon=True).start()  # keep the pipe empty
            return ready(found[1])
    raise SystemExit("promptbank serve ended:\n" + "".join(lines))


def ready(address: str) -> str:
    """Wait for /readyz."""
    for _ in range(READY_SECONDS * 10):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):  # noqa: S310 - an http address of our own
                return address
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address} is not ready after {READY_SECONDS} s")


def post(url: str, record: dict[str, str]) -> object:
    """Send one record and return the answer."""
    body = json.dumps(record).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
