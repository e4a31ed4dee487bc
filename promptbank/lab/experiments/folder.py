"""The folder of an experiment, which keeps every finished part, so that a killed command goes on where it stopped.

The folder's name is the hash of everything that decides the result (settings, data, backbone), so other settings are
another experiment, and the same one is found again. Results and timings lie apart: two runs of one experiment, one of
them killed in the middle, end with equal results and different timings.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from promptbank.errors import TrainingError
from promptbank.files import read_json, write_file

__all__ = [
    "ExperimentFolder",
    "ExperimentInfo",
    "JsonObject",
    "finished_experiments",
    "machine",
    "open_experiment",
    "processor",
    "short_hash",
    "write_json",
]

JsonObject = dict[str, Any]
"""A JSON object as `json.loads` returns it."""

REPORTS = (".html", ".md", ".png")
RESULT_FORMAT = "promptbank.result.v1"


class ExperimentFolder:
    """The finished parts of one experiment, and its result file; made by `open_experiment`.

    Attributes:
        kind: such as "crossval".
        path: the folder, below ``<home>/runs``.
        about: everything that decides the result, and notes for the reader.
    """

    def __init__(self, kind: str, path: Path, about: JsonObject) -> None:
        self.kind, self.path, self.about = kind, path, about

    def part(self, name: str, make: Callable[[], JsonObject]) -> JsonObject:
        """Return a part of the result, made now or by an earlier call of the same experiment.

        Args:
            name: of the part; letters, digits, ``.``, ``-`` and ``_``.
            make: computes it, as plain JSON values that are the same each time.
        """
        path = self.path / "cells" / f"{name}.json"
        if path.is_file():
            found: JsonObject = read_json(path)["result"]
            return found
        begun, cpu = time.perf_counter(), time.process_time()
        result: JsonObject = json.loads(json.dumps(make()))  # what a later call will read
        timing = {
            "seconds": round(time.perf_counter() - begun, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            **machine(),
        }
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"result": result, "timing": timing})
        return result

    def has(self, name: str) -> bool:
        """Whether a part is made."""
        return (self.path / "cells" / f"{name}.json").is_file()

    def finished(self) -> JsonObject:
        """Return the results of the last call that came to its end; empty if none did."""
        path = self.path / "result.json"
        found: JsonObject = read_json(path)["results"] if path.is_file() else {}
        return found

    def finish(self, results: JsonObject) -> Path:
        """Write the result file, ``result.json`` in the folder, and return its path."""
        parts = sorted((self.path / "cells").glob("*.json"))
        timings = {path.stem: read_json(path)["timing"] for path in parts}
        path = self.path / "result.json"
        content = {"format": RESULT_FORMAT, "kind": self.kind, "status": "done", "about": self.about}
        write_json(path, content | {"results": results, "timings": timings})
        return path


@dataclass(frozen=True)
class ExperimentInfo:
    """An experiment that is done.

    Attributes:
        name: of its folder below ``<home>/runs``.
        kind: such as "crossval".
        about: what it was made with.
        finished_at: when its result was written.
        reports: its pages and texts for people, by their file names.
    """

    name: str
    kind: str
    about: JsonObject
    finished_at: datetime
    reports: Mapping[str, Path]


def finished_experiments(home: Path) -> list[ExperimentInfo]:
    """Return the experiments of a home that are done, the newest first; a result that cannot be read is left out."""
    found = []
    for path in (home / "runs").glob("*/result.json"):
        try:
            result, at = read_json(path), datetime.fromtimestamp(path.stat().st_mtime, UTC)
            kind, about = str(result["kind"]), dict(result["about"])
        except (OSError, ValueError, KeyError, TypeError):  # written by another program, or cut off
            continue
        files = sorted(one for one in path.parent.iterdir() if one.suffix in REPORTS and one.is_file())
        found.append(ExperimentInfo(path.parent.name, kind, about, at, {one.name: one for one in files}))
    return sorted(found, key=lambda one: one.finished_at, reverse=True)


@contextmanager
def open_experiment(
    home: Path, kind: str, identity: JsonObject, notes: Mapping[str, object] | None = None
) -> Iterator[ExperimentFolder]:
    """Open the folder of an experiment for this process alone.

    Args:
        home: of the bank.
        kind: of the experiment.
        identity: everything that decides its result, as plain JSON values; its hash names the folder.
        notes: what a reader should know and what decides nothing, such as names for people; the processor is added.

    Raises:
        TrainingError: the same experiment is under way in another process.
    """
    path = home / "runs" / f"{kind}-{short_hash(identity, 16)}"
    path.mkdir(parents=True, exist_ok=True)
    about = {**(notes or {}), **identity, "processor": processor()}
    try:
        with FileLock(path / "lock", timeout=0):
            write_json(path / "about.json", about)
            yield ExperimentFolder(kind, path, about)
    except Timeout as exc:
        raise TrainingError(f"this very {kind} ({path.name}) is under way in another process; wait for it") from exc


def short_hash(value: object, digits: int = 8) -> str:
    """Return the first hexadecimal digits of the sha256 of a plain JSON value, for names of folders and parts."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:digits]


def machine() -> JsonObject:
    """Return what a timing depends on beside the work: cores, threads of torch, and the load when it was taken."""
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
    """Write a value as a JSON file, whole or not at all."""
    write_file(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
