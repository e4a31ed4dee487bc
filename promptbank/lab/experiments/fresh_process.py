"""Score tasks of a bank in a process of its own: what a restart finds, not what is still in memory."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import torch

from promptbank.bank.select import select_row
from promptbank.bank.served import served_task
from promptbank.bank.verify import verify_bank, verify_logits
from promptbank.engine.evaluate import answer_examples, score_answers
from promptbank.engine.predictor import Prediction, Predictor
from promptbank.errors import TrainingError
from promptbank.lab.experiments.folder import JsonObject
from promptbank.lab.methods.learner import score_of
from promptbank.model.backbone import Backbone, load_backbone
from promptbank.model.forward import LanguageModel
from store import Store, TamperedRowError, open_store
from tasks import Example, parse_spec

__all__ = ["score_bank", "score_in_new_process"]

Tests = Mapping[str, Sequence[Example]]
"""Test examples by ``taskname:lang``."""


def score_in_new_process(bank: Path, home: Path, backbone: str, tests: Tests) -> JsonObject:
    """Do `score_bank` in a new process, which opens bank and backbone itself; arguments and result are plain values.

    Raises:
        TrainingError: the process was killed.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        try:
            return fresh.submit(score_bank, bank, home, backbone, tests, torch.get_num_threads()).result()
        except BrokenProcessPool as exc:
            raise TrainingError(f"the process that answers the tasks of {bank} was killed: {exc}") from exc


def score_bank(bank: Path, home: Path, backbone: str, tests: Tests, threads: int) -> JsonObject:
    """Score tasks of a bank by their live rows, in whatever process this is.

    Args:
        bank: the SQLite file.
        home: of the backbone.
        backbone: name or path.
        tests: what is answered.
        threads: of torch.

    Returns:
        ``tasks``: by name the score (0 where the row is damaged), all metrics, and a sha256 over the bits of every
        answer and of the row that gave it; ``faults``: what `bank verify` and `bank verify --logits` find.
    """
    torch.set_num_threads(threads)
    loaded = load_backbone(backbone, home=home)
    predictor = Predictor(LanguageModel(loaded.model))
    with open_store(f"sqlite:///{bank}") as store:
        tasks = {name: _scored(store, predictor, loaded, name, examples) for name, examples in tests.items()}
        faults = [*verify_bank(store).faults, *verify_logits(store, loaded).faults]
    return {"tasks": tasks, "faults": faults}


def _scored(
    store: Store, predictor: Predictor, backbone: Backbone, name: str, examples: Sequence[Example]
) -> JsonObject:
    """Score one task by its live row; a damaged row answers nothing, which is worth 0."""
    try:
        row = select_row(store, parse_spec(name), backbone)
    except TamperedRowError as exc:
        return {"score": 0.0, "metrics": {}, "answers_sha256": "", "fault": str(exc)}
    task = served_task(row, row.version, backbone)
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
