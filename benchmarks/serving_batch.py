"""Many tasks of both kinds of prompts in one batch: the same answers as alone, and what that takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.made_rows import random_table, unprobed
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor


def megabytes(process: int | str, what: str) -> int:
    """Memory of a process: VmRSS is what it has, VmHWM the most that it has had."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(what)).split()[1]) // 1024


def one_batch(bank: Bank, count: int, labels: Sequence[str], kinds: Sequence[str], text: str) -> dict[str, Any]:
    """Answer one text by many tasks, together and one by one.

    Each task has a text of its own beginning, so nothing is read once for several of them.
    """
    rows = [unprobed(bank.backbone, 1000 + n, labels, kinds[n % len(kinds)]) for n in range(count)]
    tasks = [served_task(row, 1, bank.backbone) for row in rows]
    requests = [PredictionRequest(task, {"text": f"{n} {text}"}) for n, task in enumerate(tasks)]
    predictor = Predictor(bank.lm, batch_tokens=1_000_000)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = megabytes("self", "VmRSS")
    began = time.process_time()
    together = predictor.predict(requests)
    middle = time.process_time()
    after = megabytes("self", "VmHWM")
    alone = [predictor.predict([one])[0] for one in requests]
    end = time.process_time()
    differences = [
        abs(one.probabilities[label] - other.probabilities[label])
        for one, other in zip(together, alone, strict=True)
        if isinstance(one, Prediction) and isinstance(other, Prediction) and one.probabilities and other.probabilities
        for label in labels
    ]
    return {
        "tasks": count,
        "kinds": list(kinds),
        "same labels": sum(_label(one) == _label(other) for one, other in zip(together, alone, strict=True)),
        "largest difference of a probability": max(differences),
        "processor_seconds together": round(middle - began, 2),
        "processor_seconds one by one": round(end - middle, 2),
        "megabytes more at the peak": after - before,
        "kilobytes of prompts": sum(len(row.data) for row in rows) // 1024,
        "of a deep one": len(random_table(bank.backbone, kinds[-1], 0).to_bytes()) // 1024,
    }


def _label(answer: object) -> str | None:
    return answer.label if isinstance(answer, Prediction) else None
