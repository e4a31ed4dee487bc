"""Work on a Ray cluster, for those who have one: parts of experiments, engines of translation, and the service.

Ray (https://docs.ray.io) starts processes on all machines of the cluster that ``RAY_ADDRESS`` names, or on this machine
alone. Each loads the backbone that the settings name, which must be at the same place on every machine; what comes back
are values, and only this process writes to the bank. Ray is imported when it is first used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from promptbank.config import Settings
from promptbank.errors import BackboneMismatchError, ConfigError

if TYPE_CHECKING:
    from promptbank.bank.session import Bank

__all__ = ["ENGINES", "is_ray", "map_on_ray", "serve_on_ray"]

ENGINES = ("local", "ray")
"""Where work is done: in this process, or on a Ray cluster."""

ONGOING = 2000
"""Requests that a replica holds at once; its own queue, which is smaller, refuses what is too much."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_ray(settings: Settings) -> bool:
    """Whether work goes to Ray.

    Raises:
        ConfigError: the engine is none of `ENGINES`.
    """
    if settings.engine not in ENGINES:
        raise ConfigError(f"engine is {settings.engine!r}; possible: {', '.join(ENGINES)}")
    return settings.engine == "ray"


def map_on_ray(
    function: Callable[[Bank, Item], Result],
    settings: Settings,
    items: Sequence[Item],
    fingerprint: str | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with what a function makes of it, as they are done.

    Args:
        function: of a module; called in another process with a bank of its own, whose store is not to be opened.
        settings: of that bank; it has as many threads as torch has here, so that it computes the same bits.
        items: values that can be pickled.
        fingerprint: that the backbone there must have; None where the function needs none.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be reached.
        Exception: what the function raised, as it would have here.
    """
    import torch

    ray = _connected()
    own = replace(settings, threads=torch.get_num_threads(), engine="local")
    run = ray.remote(_call).options(num_cpus=own.threads)
    pending = {run.remote(function, own, fingerprint, item): item for item in items}
    while pending:
        (done,), _ = ray.wait(list(pending), num_returns=1)
        try:
            yield pending.pop(done), ray.get(done)
        except ray.exceptions.RayTaskError as exc:
            raise exc.cause from exc


def _call(function: Callable[[Bank, Item], Result], settings: Settings, fingerprint: str | None, item: Item) -> Result:
    bank = _bank_of_worker(settings)
    if fingerprint is not None and bank.backbone.fingerprint != fingerprint:
        raise BackboneMismatchError(
            f"{settings.backbone} is another backbone on {os.uname().nodename} ({bank.backbone.fingerprint[:12]}) than "
            f"where the work is from ({fingerprint[:12]}); put the same one there"
        )
    return function(bank, item)


@cache
def _bank_of_worker(settings: Settings) -> Bank:
    from promptbank.bank.session import Bank

    return Bank(settings)


def _connected() -> Any:
    """Import Ray, which has no complete types, and join its cluster, or start one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # 5 s were too few on a busy machine
    try:
        import ray
    except ModuleNotFoundError as exc:
        raise ConfigError("--engine ray needs Ray; run pip install 'promptbank[ray]'") from exc
    if not ray.is_initialized():
        own = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        try:
            ray.init(log_to_driver=False, logging_level="warning", **own)
        except (ConnectionError, RuntimeError) as exc:
            raise ConfigError(f"the Ray cluster {os.environ.get('RAY_ADDRESS', 'here')} cannot be used: {exc}") from exc
    return ray


def serve_on_ray(build: Callable[[], Any], settings: Settings, replicas: tuple[int, int]) -> Callable[[], None]:
    """Start an ASGI application as a deployment of Ray Serve, and return what stops it.

    Args:
        build: makes the application, in each replica.
        settings: host, port and threads of a replica.
        replicas: least and most; between them Ray goes by the requests that wait.

    Raises:
        ConfigError: see `map_on_ray`.
    """
    _connected()
    from ray import serve

    least, most = replicas
    with suppress(TimeoutError):  # Ray waits 60 s for what listens; on a busy machine it is there later
        serve.start(http_options={"host": settings.host, "port": settings.port})
    deployment = serve.deployment(
        serve.ingress(build)(),
        name="promptbank",
        ray_actor_options={"num_cpus": settings.threads or 1},
        autoscaling_config={"min_replicas": least, "max_replicas": most},
        max_ongoing_requests=ONGOING,
    )
    serve.run(deployment.bind(), name="promptbank", route_prefix="/")

    def stop() -> None:
        serve.shutdown()

    return stop
