"""What operators and their probes ask: is the process there, can it answer, what is it, what has it counted?

All of it comes from memory, in the event loop, so it is told however busy the model and the bank are.
"""

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from promptbank import __version__
from promptbank.bank.task_server import TaskServer
from promptbank.service.metrics import ServiceMetrics
from promptbank.service.models import ReadyModel, VersionsModel
from promptbank.service.statuses import problems

__all__ = ["add_health"]


def add_health(app: FastAPI, server: TaskServer, metrics: ServiceMetrics) -> None:
    """Add the endpoints."""

    @app.head("/livez", include_in_schema=False)
    @app.get("/livez", summary="Is the process alive?", tags=["health"])
    async def livez() -> dict[str, str]:
        """Answer as long as the process can."""
        return {"status": "ok"}

    @app.head("/startupz", include_in_schema=False)
    @app.get("/startupz", summary="Has the process started?", tags=["health"])
    async def startupz() -> dict[str, str]:
        """Answer once the backbone is loaded and the bank has been read; before that nothing listens."""
        return {"status": "started"}

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Can requests be answered?", responses=problems(503), tags=["health"])
    async def readyz() -> ReadyModel:
        """Tell the bank's revision; while it cannot be reached the status is `stale`, and known tasks are answered."""
        stale = server.stale_seconds
        return ReadyModel(
            status="stale" if stale else "ready",
            backbone=server.backbone.name,
            fingerprint=server.backbone.fingerprint,
            revision=server.known_revision(),
            stale_seconds=round(stale, 1),
            refused=server.refused,
        )

    @app.get("/version", summary="What is it?", tags=["health"])
    async def version() -> VersionsModel:
        """Tell the release of promptbank and the backbone."""
        backbone = server.backbone
        dtype = str(server.predictor.lm.dtype).removeprefix("torch.")
        return VersionsModel(
            promptbank=__version__, backbone=backbone.name, fingerprint=backbone.fingerprint, dtype=dtype
        )

    @app.get("/metrics", summary="Metrics, as Prometheus reads them", tags=["health"], response_class=PlainTextResponse)
    async def text() -> Response:
        """Return counters, histograms and gauges of this process."""
        return PlainTextResponse(metrics.text(), media_type=CONTENT_TYPE_LATEST)
