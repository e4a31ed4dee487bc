"""The model thread: answers equal those alone, a failing record fails alone, answers in progress can be given up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, PreparedRequest, ServedTask
from promptbank.model.forward import Context, LanguageModel
from promptbank.model.inject import PackedBatch
from promptbank.model.prompt_table import PromptTable
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.model_thread import ModelThread
from promptbank.service.queue import QueuedRequest, QueueLimits, RequestQueue
from tests.tiny import tiny_backbone
from tests.worlds import SENTENCES, SPLIT, card_of, renderer_of

BACKBONE = tiny_backbone("gemma3", window=512)


def task_of(name: str, seed: int, *, is_open: bool = False) -> ServedTask:
    keys: dict[str, object] = {"label_space": None} if is_open else {}
    card = card_of(SPLIT, (3, 2), taskname=name, **keys)
    table = torch.randn(5, BACKBONE.hidden_size, generator=torch.Generator().manual_seed(seed))
    return ServedTask(name, "en", 1, "0" * 64, renderer_of(BACKBONE, card), PromptTable.of_rows(table))


TASKS = [task_of("mood", 1), task_of("tone", 2), task_of("reply", 3, is_open=True), task_of("note", 4, is_open=True)]


def requests(count: int) -> list[PredictionRequest]:
    return [PredictionRequest(TASKS[n % 4], {"sentence": SENTENCES[n % 8][0]}) for n in range(count)]


def queued(predictor: Predictor, asked: Sequence[PredictionRequest]) -> list[QueuedRequest]:
    return [QueuedRequest(predictor.prepare(one), time.monotonic() + 60) for one in asked]


@contextmanager
def running(predictor: Predictor, limits: QueueLimits | None = None) -> Iterator[RequestQueue]:
    queue = RequestQueue(limits or QueueLimits())
    server: Any = SimpleNamespace(resident=0, revision=0, stale_seconds=0, refused={}, leading=None, ready=list)
    thread = ModelThread(predictor, queue, ServiceMetrics(queue, server))
    thread.start()
    yield queue
    queue.drain()
    assert thread.join(60)


def alike(found: Prediction, alone: Prediction) -> bool:
    if found.probabilities is None or alone.probabilities is None:
        return found.text == alone.text and found.probability == pytest.approx(alone.probability, abs=1e-4)
    return found.label == alone.label and list(found.probabilities.values()) == pytest.approx(
        list(alone.probabilities.values()), abs=1e-4
    )


def test_answers_of_mixed_tasks_are_those_that_each_gets_alone() -> None:
    predictor = Predictor(LanguageModel(BACKBONE.model))
    asked = requests(16)
    with running(predictor, QueueLimits(batch_tokens=150, answers=3)) as queue:
        waiting = queued(predictor, asked)
        for one in waiting:
            queue.put([one])
        found = [one.answer.result(60) for one in waiting]
    alone = [predictor.predict([one])[0] for one in asked]
    assert all(isinstance(b, Prediction) and alike(a, b) for a, b in zip(found, alone, strict=True))


class Breaking(Predictor):
    """Fails whenever a certain text is in the batch, as a damaged row or a full memory would; counts the batches."""

    def __init__(self, lm: LanguageModel, text: str) -> None:
        super().__init__(lm)
        self.bad = text
        self.sizes: list[int] = []

    def labels(self, batch: Sequence[PreparedRequest]) -> list[Prediction]:
        self.sizes.append(len(batch))
        if any(self.bad in one.task.taskname for one in batch):
            raise torch.OutOfMemoryError("no memory")
        return super().labels(batch)


def test_a_record_that_fails_takes_no_other_with_it() -> None:
    predictor = Breaking(LanguageModel(BACKBONE.model), "tone")
    asked = [one for one in requests(16) if one.task.taskname in ("mood", "tone")]
    with running(predictor) as queue:
        waiting = queued(predictor, asked)
        queue.put(waiting)
        for one, request in zip(waiting, asked, strict=True):
            if request.task.taskname == "tone":
                assert isinstance(one.answer.exception(60), torch.OutOfMemoryError)
            else:
                assert one.answer.result(60).taskname == "mood"
    assert predictor.sizes[:3] == [8, 4, 2]


def test_when_a_step_fails_each_answer_is_written_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(LanguageModel(BACKBONE.model))
    asked = [one for one in requests(16) if one.task.taskname in ("reply", "note")]
    alone = [predictor.predict([one])[0] for one in asked]
    whole = predictor.lm.hidden
    calls = 0

    def hidden(packed: PackedBatch, context: Context | None = None) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise RuntimeError("not enough memory: you tried to allocate 4 bytes")
        return whole(packed, context)

    monkeypatch.setattr(predictor.lm, "hidden", hidden)
    with running(predictor) as queue:
        waiting = queued(predictor, asked)
        queue.put(waiting)
        found = [one.answer.result(60) for one in waiting]
    assert all(isinstance(b, Prediction) and alike(a, b) for a, b in zip(found, alone, strict=True))
    assert calls > 4


def test_an_answer_that_was_given_up_is_written_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor(LanguageModel(BACKBONE.model))
    left, kept = queued(predictor, [one for one in requests(4) if one.task.taskname in ("reply", "note")])
    whole = predictor.lm.hidden
    sizes: list[int] = []

    def hidden(packed: PackedBatch, context: Context | None = None) -> Tensor:
        sizes.append(len(packed.ids))
        left.abandoned = len(sizes) == 3 or left.abandoned
        return whole(packed, context)

    monkeypatch.setattr(predictor.lm, "hidden", hidden)
    with running(predictor) as queue:
        queue.put([left, kept])
        assert kept.answer.result(60).taskname == "note"
    assert sizes[:4] == [2, 2, 2, 1]
    assert not left.answer.done()


def test_progress_tells_all_tokens_so_far_and_its_failure_harms_no_answer() -> None:
    predictor = Predictor(LanguageModel(BACKBONE.model))
    told, failing = queued(predictor, [one for one in requests(4) if one.task.taskname in ("reply", "note")])
    heard: list[tuple[int, ...]] = []
    told.progress = heard.append

    def fail(_ids: tuple[int, ...]) -> None:
        raise ValueError("nobody understands this")

    failing.progress = fail
    with running(predictor) as queue:
        queue.put([told, failing])
        found = told.answer.result(60)
        assert failing.answer.result(60).taskname == "note"
    assert heard == [found.ids[:n] for n in range(1, len(found.ids))]


def test_what_is_queued_when_the_service_stops_is_still_answered() -> None:
    predictor = Predictor(LanguageModel(BACKBONE.model))
    with running(predictor) as queue:
        waiting = queued(predictor, requests(12))
        queue.put(waiting)
        queue.drain()
        assert {one.answer.result(60).taskname for one in waiting} == {"mood", "tone", "reply", "note"}
