"""OpenTelemetry: spans of requests, and of each record's wait, batch and time in the model.

Off unless `promptbank[otel]` is installed and the environment names where spans go, in OpenTelemetry's own variables.
Spans have names, versions and times, never a text.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING

from fastapi import FastAPI

from promptbank.engine.predictor import Prediction, PredictionRequest
from promptbank.errors import ConfigError
from promptbank.service.answering import Answering
from promptbank.service.queue import QueuedRequest

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

__all__ = ["is_traced", "trace_app", "tracer_provider"]

WHERE = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NOT_TRACED = "livez,readyz,startupz,metrics,version"


def is_traced(environment: Mapping[str, str]) -> bool:
    """Whether the environment names where spans go."""
    is_off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not is_off and any(environment.get(name) for name in WHERE)


def tracer_provider() -> "TracerProvider":
    """Return what sends spans where the environment says; its `shutdown` sends the last ones.

    Raises:
        ConfigError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"{' or '.join(WHERE)} is set, and spans need the package {exc.name!r}; "
            "run pip install 'promptbank[otel]', or unset it"
        ) from exc
    named = Resource({"service.name": "promptbank"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def trace_app(app: FastAPI, provider: "TracerProvider") -> None:
    """Make spans of an application's requests and records from now on; before it is first asked."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, excluded_urls=NOT_TRACED, exclude_spans=["receive", "send"]
    )
    spans = _RecordSpans(provider.get_tracer("promptbank"))
    answering: Answering = app.state.answering
    answering.on_admission = (*answering.on_admission, spans.follow)


class _RecordSpans:
    """Makes the spans of a record when it is answered, below the span of its request."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def follow(self, one: QueuedRequest, _request: PredictionRequest) -> None:
        """Wait for the answer of a record that was taken; called in the context of its request."""
        from opentelemetry import context, trace

        if trace.get_current_span().is_recording():
            request = context.get_current()
            one.answer.add_done_callback(lambda answer: self._make(one, answer, request))

    def _make(self, one: QueuedRequest, answer: Future[Prediction], request: "Context") -> None:
        from opentelemetry import trace

        if not one.begun_at:  # given up before its turn
            return
        taskname, lang, version, sha256 = one.prepared.row
        end = one.answered_at or time.monotonic()
        about: dict[str, str | int] = {
            "promptbank.task": f"{taskname}:{lang}@{version}",
            "promptbank.row": sha256[:12],
            "promptbank.tokens": one.prepared.tokens,
        }
        failed = not answer.cancelled() and answer.exception() is not None
        self._span("queue", request, one.queued_at, one.begun_at, about)
        batch = self._tracer.start_span("batch", request, attributes=about, start_time=_since_epoch(one.begun_at))
        if failed:
            batch.set_status(trace.StatusCode.ERROR)
        self._span("model", trace.set_span_in_context(batch, request), end - one.forward, end, about)
        batch.end(_since_epoch(end))

    def _span(self, name: str, parent: "Context", start: float, end: float, about: Mapping[str, str | int]) -> None:
        self._tracer.start_span(name, parent, attributes=about, start_time=_since_epoch(start)).end(_since_epoch(end))


def _since_epoch(monotonic: float) -> int:
    """Return nanoseconds of the clock on the wall for seconds of the monotonic one."""
    return time.time_ns() + round((monotonic - time.monotonic()) * 1e9)
