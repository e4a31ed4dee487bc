"""Score tasks of a bank in a process of its own: what a restart finds, not what is still in memory.

``python -m promptbank.lab.experiments.fresh_process JOB`` reads a job (JSON), and writes its answer beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from promptbank.bank.select import select_row, served_task
from promptbank.bank.verify import verify_bank, verify_logits
from promptbank.engine.evaluate import answer_examples, score_answers
from promptbank.engine.predictor import Prediction, Predictor
from promptbank.errors import TrainingError
from promptbank.files import read_json
from promptbank.lab.experiments.folder import JsonObject, write_json
from promptbank.lab.methods.learner import score_of
from promptbank.model.backbone import Backbone, load_backbone
from promptbank.model.forward import LanguageModel
from store import Store, TamperedRowError, open_store
from tasks import Example, parse_spec

__all__ = ["do_job", "score_in_new_process"]


def score_in_new_process(
    folder: Path, name: str, *, bank: Path, home: Path, backbone: str, tests: Mapping[str, Sequence[Example]]
) -> JsonObject:
    """Score tasks of a bank in a new process that opens it.

    Args:
        folder: for the job and its answer.
        name: of the job.
        bank: the SQLite file.
        home: of the backbone.
        backbone: name or path.
        tests: test examples by ``taskname:lang``.

    Returns:
        ``tasks``: by name the score (0 where the row is damaged), all metrics, and a sha256 over the bits of every
        answer and of the row that gave it; ``faults``: what `bank verify` and `bank verify --logits` find.

    Raises:
        TrainingError: the process failed.
    """
    job, answer = folder / f"{name}.job.json", folder / f"{name}.answer.json"
    plain = {task: [asdict(e) | {"fields": dict(e.fields)} for e in examples] for task, examples in tests.items()}
    about = {"bank": str(bank), "home": str(home), "backbone": backbone, "threads": torch.get_num_threads()}
    write_json(job, about | {"answer": str(answer), "tests": plain})
    _in_new_process(job)
    found: JsonObject = read_json(answer)
    job.unlink()
    answer.unlink()
    return found


def _in_new_process(job: Path) -> None:
    command = [sys.executable, "-m", __name__, str(job)]
    same = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # whatever the current folder is
    done = subprocess.run(command, env=same, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        raise TrainingError(f"the measuring process failed ({done.returncode}): {done.stderr.strip()[-400:]}")


def do_job(path: Path) -> None:
    """Do the job that a file describes, in whatever process this is."""
    job = read_json(path)
    torch.set_num_threads(job["threads"])
    backbone = load_backbone(job["backbone"], home=Path(job["home"]))
    predictor = Predictor(LanguageModel(backbone.model))
    with open_store(f"sqlite:///{job['bank']}") as store:
        tasks = {name: _scored(store, predictor, backbone, name, tests) for name, tests in job["tests"].items()}
        faults = [*verify_bank(store).faults, *verify_logits(store, backbone).faults]
    write_json(Path(job["answer"]), {"tasks": tasks, "faults": faults})


def _scored(
    store: Store, predictor: Predictor, backbone: Backbone, name: str, tests: Sequence[JsonObject]
) -> JsonObject:
    """Score one task by its live row; a damaged row answers nothing, which is worth 0."""
    try:
        row = select_row(store, parse_spec(name), backbone)
    except TamperedRowError as exc:
        return {"score": 0.0, "metrics": {}, "answers_sha256": "", "fault": str(exc)}
    task = served_task(row, row.version, backbone)
    examples = [Example(**example) for example in tests]
    answers = answer_examples(predictor, task, examples)
    evaluated = score_answers(task.renderer.card, examples, answers)
    return {
        "score": score_of(evaluated),
        "metrics": evaluated.metrics,
        "row_sha256": row.sha256,
        "answers_sha256": _digest(answers),
    }


def _digest(answers: Sequence[Prediction]) -> str:
    """Hash what was answered, to the last bit: floats are written so that they read back the same.

    Not the row's version: the same bytes may have been written twice, by a command that was killed in between.
    """
    plain = [{key: value for key, value in answer.as_dict().items() if key != "version"} for answer in answers]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


if __name__ == "__main__":
    do_job(Path(sys.argv[1]))
