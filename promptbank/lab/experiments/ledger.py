"""The ledger of an experiment: a folder that keeps what is done, so a killed command goes on where it stopped.

The folder's name is the hash of everything that decides the result (resolved settings, data, backbone), so another
setting is another experiment and the same one is found again. Results and timings are kept apart: two runs of one
experiment end with equal results, one of them killed in the middle, and with different timings.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from promptbank.errors import TrainingError
from promptbank.files import write_file

__all__ = ["Ledger", "machine", "open_ledger", "processor", "short_hash", "write_json"]

RESULT_FORMAT = "promptbank.result.v1"


class Ledger:
    """What one experiment has done so far; made by `open_ledger`.

    Attributes:
        kind: such as "crossval".
        folder: of this very experiment, below ``<home>/runs``.
        about: everything that decides the result, and what is told beside it.
    """

    def __init__(self, kind: str, folder: Path, about: Mapping[str, Any]) -> None:
        self.kind, self.folder, self.about = kind, folder, dict(about)

    def cell(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a part of the result, made now or by an earlier call of the same experiment.

        Args:
            name: of the part; letters, digits, ``.``, ``-`` and ``_``.
            make: computes it, as plain JSON values that are the same each time.
        """
        path = self.folder / "cells" / f"{name}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["result"]
            return found
        begun, cpu = time.perf_counter(), time.process_time()
        result: dict[str, Any] = json.loads(json.dumps(make()))  # what a later call will read
        timing = {
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            **machine(),
        }
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"result": result, "timing": timing})
        return result

    def finished(self) -> dict[str, Any]:
        """Return the results of the last call that came to its end; empty if none did."""
        path = self.folder / "result.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"] if path.is_file() else {}
        return found

    def finish(self, results: Mapping[str, Any]) -> Path:
        """Write the result file, ``result.json`` in the folder, and return its path."""
        cells = sorted((self.folder / "cells").glob("*.json"))
        timings = {path.stem: json.loads(path.read_text(encoding="utf-8"))["timing"] for path in cells}
        path = self.folder / "result.json"
        content = {"format": RESULT_FORMAT, "kind": self.kind, "status": "done", "about": self.about}
        write_json(path, content | {"results": dict(results), "timings": timings})
        return path


@contextmanager
def open_ledger(
    home: Path, kind: str, about: Mapping[str, Any], aside: Mapping[str, Any] | None = None
) -> Iterator[Ledger]:
    """Open the folder of an experiment for this process alone.

    Args:
        home: of the bank.
        kind: of the experiment.
        about: everything that decides its result, as plain JSON values.
        aside: what a reader should know and what decides nothing, such as names for people; the processor is added.

    Raises:
        TrainingError: the same experiment is under way in another process.
    """
    folder = home / "runs" / f"{kind}-{short_hash(about, 16)}"
    folder.mkdir(parents=True, exist_ok=True)
    told = {**(aside or {}), **about, "processor": processor()}
    try:
        with FileLock(folder / "lock", timeout=0):
            write_json(folder / "about.json", told)
            yield Ledger(kind, folder, told)
    except Timeout as exc:
        raise TrainingError(f"this very {kind} ({folder.name}) is under way in another process; wait for it") from exc


def short_hash(value: object, digits: int = 8) -> str:
    """Return the first hexadecimal digits of the sha256 of a plain JSON value, for the names of folders and cells."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:digits]


def machine() -> dict[str, Any]:
    """Return what a timing must be read with: cores, threads of torch, and the load when it was taken."""
    import torch

    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def processor() -> str:
    """Return the model of the processor, or what the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def write_json(path: Path, content: object) -> None:
    """Write a whole file or none of it."""
    write_file(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
