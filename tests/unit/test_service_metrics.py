"""Metrics: what was answered, what waited, what was refused, with labels that cannot grow without end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import FullQueueError
from promptbank.service.app import RequestLimits, create_app
from promptbank.service.metrics import MOST_TASKS, ServiceMetrics
from promptbank.service.queue import QueuedRequest, QueueLimits, RequestQueue
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

RECORD = {"taskname": "mood", "sentence": "profit rose"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(str(tmp_path / "bank.db")) as opened:
        examples = examples_of(8)
        config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        learn_task(opened, tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=tmp_path)
        yield opened


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels, task before outcome."""
    found = (one for family in text_string_to_metric_families(text) for one in family.samples)
    return {(one.name, *(one.labels[key] for key in sorted(one.labels, reverse=True))): one.value for one in found}


def test_answers_are_counted_by_task_and_outcome(store: Store) -> None:
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
    client.post("/v1/predict", json=[RECORD, RECORD, {"taskname": "nothing", "sentence": "x"}, {"taskname": "mood"}])
    client.post("/v1/predict", content="no JSON")
    answer = client.get("/metrics")
    found = samples(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["promptbank_requests_total", "mood:en", "ok"] == 2
    assert found["promptbank_requests_total", "", "unknown-task"] == 1
    assert found["promptbank_requests_total", "", "bad-record"] == 1
    assert found["promptbank_rejected_total", "bad-record"] == 1
    assert found["promptbank_batch_records_sum",] == 2
    assert found["promptbank_queue_seconds_count",] == 2
    assert found["promptbank_batch_pad_ratio_sum",] == 0
    assert (found["promptbank_queue_records",], found["promptbank_rows_resident",]) == (0, 1)
    assert found["promptbank_bank_revision",] == store.revision()


def test_each_row_that_is_ready_has_a_series_of_its_own(store: Store) -> None:
    """vllm #45325: a loaded adapter that nobody asks vanishes; #13303: all names are one label."""
    client = TestClient(create_app(TaskServer(store, tiny_backbone("llama"))))
    assert "promptbank_row_info{" not in client.get("/metrics").text
    client.post("/v1/predict", json=[RECORD, RECORD | {"taskname": "mood@1"}])
    (info,) = store.rows.list()
    series = f'promptbank_row_info{{lang="en",sha256="{info.sha256[:12]}",task="mood:en",version="1"}} 1.0'
    assert series in client.get("/metrics").text


def test_a_request_that_is_refused_as_a_whole_is_counted_by_its_reason(store: Store) -> None:
    metrics = metrics_of()
    metrics.refused(FullQueueError("full"))
    metrics.refused(ZeroDivisionError())
    found = samples(metrics.text().decode())
    assert (found["promptbank_rejected_total", "busy"], found["promptbank_rejected_total", "bug"]) == (1, 1)


def test_tasks_beyond_the_first_share_a_label() -> None:
    metrics = metrics_of()
    for n in range(MOST_TASKS + 50):
        one = queued(f"task-{n}")
        metrics.count(one)
        one.answer.set_exception(ZeroDivisionError())
    found = samples(metrics.text().decode())
    assert found["promptbank_requests_total", "other", "bug"] == 50
    assert found["promptbank_requests_total", "task-0:en", "bug"] == 1


def test_what_was_given_up_is_counted_so() -> None:
    metrics, one = metrics_of(), queued("mood")
    metrics.count(one)
    one.answer.cancel()
    assert samples(metrics.text().decode())["promptbank_requests_total", "mood:en", "abandoned"] == 1


def test_two_applications_count_apart(store: Store) -> None:
    first, second = (TestClient(create_app(TaskServer(store, tiny_backbone("llama")), RequestLimits())) for _ in "ab")
    first.post("/v1/predict", json=RECORD)
    assert ("promptbank_requests_total", "mood:en", "ok") in samples(first.get("/metrics").text)
    assert ("promptbank_requests_total", "mood:en", "ok") not in samples(second.get("/metrics").text)


def queued(taskname: str) -> QueuedRequest:
    prepared: Any = SimpleNamespace(task=SimpleNamespace(taskname=taskname, lang="en"), tokens=3, is_open=False)
    return QueuedRequest(prepared, 0.0)


def metrics_of() -> ServiceMetrics:
    server: Any = SimpleNamespace(resident=0, revision=0, stale_seconds=0, refused={}, leading=None, ready=list)
    return ServiceMetrics(RequestQueue(QueueLimits()), server)
