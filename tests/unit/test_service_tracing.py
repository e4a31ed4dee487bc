"""OpenTelemetry's spans: of a request, and below it of each record's wait, batch and time in the model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import TaskServer
from promptbank.errors import ConfigError
from promptbank.service.app import create_app
from promptbank.service.tracing import is_traced, trace_app, tracer_provider
from promptbank.training.config import TrainConfig
from store import Store, open_store
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

RECORD = {"taskname": "mood", "sentence": "profit rose"}
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    home: Path = tmp_path_factory.mktemp("home")
    with open_store(str(home / "bank.db")) as opened:
        examples = examples_of(8)
        config = TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32")
        learn_task(opened, tiny_backbone("llama"), card_of(), examples[:5], examples[5:], config, home=home)
        yield opened


class Traced:
    """A client of an application whose spans are kept here."""

    def __init__(self, store: Store, provider: TracerProvider) -> None:
        self._kept = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        server = TaskServer(store, tiny_backbone("llama"))
        self.predictor = server.predictor
        app = create_app(server)
        trace_app(app, provider)
        self.client = TestClient(app, raise_server_exceptions=False)

    def spans(self) -> list[ReadableSpan]:
        return list(self._kept.get_finished_spans())


def test_a_records_spans_lie_below_its_requests_one_after_the_other(store: Store) -> None:
    traced = Traced(store, TracerProvider())
    assert traced.client.post("/v1/predict", json=[RECORD, RECORD]).status_code == 200
    by_name: dict[str, list[ReadableSpan]] = {}
    for span in traced.spans():
        by_name.setdefault(span.name, []).append(span)
    assert {name: len(found) for name, found in by_name.items()} == {
        "POST /v1/predict": 1, "queue": 2, "batch": 2, "model": 2
    }  # fmt: skip
    (request,) = by_name["POST /v1/predict"]
    for queue, batch, model in zip(*(by_name[name] for name in ("queue", "batch", "model")), strict=True):
        assert queue.parent.span_id == batch.parent.span_id == request.context.span_id  # type: ignore[union-attr]
        assert model.parent.span_id == batch.context.span_id  # type: ignore[union-attr]
        times = [request.start_time, queue.start_time, queue.end_time, model.start_time, model.end_time]
        slack = 1_000_000  # ns: the two clocks are read one after the other
        assert all(b >= a - slack for a, b in pairwise(times))  # type: ignore[operator]
        assert abs(batch.start_time - queue.end_time) < slack  # type: ignore[operator]
        assert dict(batch.attributes or {})["promptbank.task"] == "mood:en@1"
    assert "profit" not in "".join(span.to_json() for span in traced.spans())


def test_a_request_keeps_the_trace_that_it_came_with(store: Store) -> None:
    traced = Traced(store, TracerProvider())
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traced.client.post("/v1/predict", json=RECORD, headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    assert {f"{span.context.trace_id:032x}" for span in traced.spans()} == {trace_id}


def test_a_record_that_fails_is_an_error(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    traced = Traced(store, TracerProvider())
    traced.predictor.labels = lambda _batch: 1 / 0  # type: ignore[assignment, return-value]
    assert traced.client.post("/v1/predict", json=RECORD).status_code == 500
    assert [span.status.is_ok for span in traced.spans() if span.name == "batch"] == [False]


def test_probes_and_requests_that_are_not_sampled_make_no_spans(store: Store) -> None:
    traced = Traced(store, TracerProvider())
    for path in ("/livez", "/readyz", "/metrics"):
        traced.client.get(path)
    assert traced.spans() == []
    unsampled = Traced(store, TracerProvider(sampler=ALWAYS_OFF))
    assert unsampled.client.post("/v1/predict", json=RECORD).status_code == 200
    assert unsampled.spans() == []


def test_it_is_off_unless_the_environment_names_where_spans_go() -> None:
    assert is_traced(ENDPOINT)
    assert is_traced({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"})
    for off in ({}, ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}):
        assert not is_traced(off)


def test_the_service_has_a_name_which_the_environment_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, "shop"):
        if name:
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        provider = tracer_provider()
        assert provider.resource.attributes["service.name"] == (name or "promptbank")
        provider.shutdown()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"pip install 'promptbank\[otel\]'"):
        tracer_provider()
