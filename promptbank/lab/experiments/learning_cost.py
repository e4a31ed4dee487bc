"""What learning a task costs: seconds, and resident memory above what was there before.

Not a fresh process: the high-water mark of resident memory is set back first (Linux, ``/proc/self/clear_refs``), so the
shared backbone, which was resident before, does not count, and a method's private copy of it does.
"""

import contextlib
import ctypes
import gc
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from promptbank.lab.experiments.folder import JsonObject, machine

__all__ = ["CostMeter", "LearningCost", "cost_of"]

PROC = Path("/proc/self")


@dataclass(frozen=True)
class LearningCost:
    """What a method costs over its runs; None where nothing was measured.

    Attributes:
        seconds: of learning the first task, the mean over runs.
        memory_mb: megabytes above what was resident before, the most of all runs: that much must be free.
    """

    seconds: float | None
    memory_mb: int | None


def cost_of(method: str, measured: Mapping[str, JsonObject]) -> LearningCost:
    """Put together what the runs of a method (a versioned name) cost, from the parts of ``measured.json``."""
    costs = [cost for part, cost in measured.items() if part.startswith(f"{method}-")]
    memory = [cost["memory_bytes"] for cost in costs if cost["memory_bytes"] is not None]
    return LearningCost(
        round(fmean(cost["train_seconds"] for cost in costs), 1) if costs else None,
        round(max(memory) / 1e6) if memory else None,
    )


class CostMeter:
    """Measures memory from its making, so make it before the method begins.

    Attributes:
        cost: ``train_seconds``; ``memory_bytes``, how far resident memory rose while the method began and learnt, and
            ``peak_bytes``, where it stood then (None where the mark cannot be set back); and the machine.
    """

    def __init__(self) -> None:
        _free_memory()
        self._resident = _reset_peak()
        self.cost: JsonObject = {}

    def note(self, seconds: float) -> None:
        """Keep the cost of the first task, which took so many seconds; later ones are not asked for."""
        if self.cost:
            return
        rise = peak = None
        if self._resident is not None:
            peak = _status("VmHWM")
            rise = peak - self._resident
        self.cost = {"train_seconds": round(seconds, 2), "memory_bytes": rise, "peak_bytes": peak, **machine()}


def _free_memory() -> None:
    """Return to the system what earlier runs have freed.

    The C library keeps some of it (1.2 GB after LoRA and full fine-tuning of gemma-3-270m), and a run that takes it
    again would seem to need less than it does.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> int | None:
    """Set the high-water mark back to now and return it in bytes, or None where that cannot be."""
    try:
        (PROC / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def _status(key: str) -> int:
    """Return a figure of ``/proc/self/status`` in bytes."""
    lines = (PROC / "status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
