"""Requests made from the OpenAPI schema, sound and unsound ones: no 5xx, and no status that is not documented.

vllm and sglang answer 500 to bodies that their schema does not allow (llama.cpp #23463); a client cannot tell that from
a fault of the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from promptbank.bank.keys import create_key
from promptbank.bank.learn import learn_task
from promptbank.bank.session import Bank
from promptbank.bank.task_server import TaskServer
from promptbank.config import load_settings
from promptbank.service.app import RequestLimits, create_app
from promptbank.training.config import TrainConfig
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

OPERATIONS = [
    "GET /livez", "GET /metrics", "GET /readyz", "GET /startupz", "GET /version", "GET /v1/models",
    "GET /v1/models/{model}", "GET /v1/tasks", "GET /v1/tasks/{taskname}", "GET /v1/tasks/{taskname}/versions",
    "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/predict", "POST /v1/score",
    "POST /v1/tasks/{taskname}/predict", "POST /v1/tasks/{taskname}/versions",
    "PUT /v1/tasks/{taskname}/aliases/{alias}", "DELETE /v1/tasks/{taskname}/aliases/{alias}",
]  # fmt: skip


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The operations of a service with a closed and an open task and a key for everything, by method and path."""
    home: Path = tmp_path_factory.mktemp("home")
    with Bank(load_settings({"home": home}, {})[0]) as bank:
        for name, keys in {"mood": {}, "gist": {"label_space": None}}.items():
            config, examples = (
                TrainConfig(epochs=1, batch_size=4, lr=0.02, dtype="float32"),
                examples_of(8, taskname=name),
            )
            card = card_of(taskname=name, **keys)
            learn_task(bank.make(), tiny_backbone("llama"), card, examples[:5], examples[5:], config, home=home)
        key = create_key(bank, "all", ["infer", "admin"])
        app = create_app(TaskServer(bank.store, tiny_backbone("llama")), RequestLimits(records=4, body=4000))
        schema = schemathesis.openapi.from_asgi("/openapi.json", _without_end(app))
        found = [one.ok() for one in schema.get_all_operations()]
        yield {f"{one.method.upper()} {one.path}": (one, key) for one in found}


def _without_end(app: Any) -> Any:
    """The application without its lifespan, which schemathesis begins and ends with each request."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for what in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{what}"
            await send({"type": f"lifespan.{what}.complete"})

    return asgi


def test_these_are_all_operations(operations: dict[str, Any]) -> None:
    assert sorted(operations) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_request_that_the_schema_makes_breaks_the_service(operations: dict[str, Any], name: str) -> None:
    operation, key = operations[name]

    @settings(
        max_examples=6,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(
            headers={"authorization": f"Bearer {key}"},
            checks=(not_a_server_error, status_code_conformance, content_type_conformance),
        )

    ask()
