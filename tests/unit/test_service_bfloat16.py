"""A service in bfloat16 answers with rows whose evaluations say that they lose nothing by it, and with no others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from promptbank.bank.evaluate import evaluate
from promptbank.bank.learn import learn_task
from promptbank.bank.precision import check_precision
from promptbank.bank.session import Bank
from promptbank.config import load_settings
from promptbank.errors import PrecisionError
from promptbank.model.forward import cast_weights
from promptbank.service import ready_rows
from promptbank.service.app import create_app
from promptbank.service.polling import PollingTaskServer
from promptbank.training.config import TrainConfig
from store import Evaluation, Scope
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

SCOPE = Scope("mood", "en", "f" * 64)
RECORD = {"taskname": "mood", "sentence": "profit rose"}


def measured(dtype: str, right: float, data: str = "a", metric: str = "accuracy", **details: object) -> Evaluation:
    return Evaluation(
        evaluation_id=1,
        row_id=1,
        data_sha256=data * 64,
        split="test",
        metrics_json=json.dumps({"n": 1000, metric: right}),
        dtype=dtype,
        details_json=json.dumps({"threads": 1} | details),
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize(
    "evaluations",
    [
        [measured("float32", 0.900), measured("bfloat16", 0.895)],
        [measured("bfloat16", 0.920), measured("float32", 0.900)],
        [measured("float32", 0.9), measured("bfloat16", 0.5), measured("bfloat16", 0.9)],  # the newest counts
        [measured("float32", 0.8, metric="exact_match"), measured("bfloat16", 0.8, metric="exact_match")],
    ],
)
def test_a_row_that_loses_half_a_point_at_most_is_served(evaluations: list[Evaluation]) -> None:
    check_precision(evaluations, SCOPE, 3, "bfloat16")


@pytest.mark.parametrize(
    ("evaluations", "says"),
    [
        ([], r"no evaluations.*`promptbank evaluate --task mood:en@3 --data FILE --dtype bfloat16` and"),
        ([measured("float32", 0.9)], "no evaluations in bfloat16 and in float32"),
        ([measured("bfloat16", 0.9)], "no evaluations in bfloat16 and in float32"),
        ([measured("float32", 0.9, "b"), measured("bfloat16", 0.9)], "on the same examples"),
        ([measured("float32", 0.9), measured("bfloat16", 0.9, constrained=False)], "on the same examples"),
        ([measured("float32", 0.9), measured("bfloat16", 0.894)], r"0\.60 points fewer.*0\.8940 and 0\.9000"),
        ([measured("float32", 0.9), measured("bfloat16", 0.9), measured("bfloat16", 0.5)], "40.00 points fewer"),
    ],
)
def test_any_other_row_is_refused_with_the_command_that_measures_it(evaluations: list[Evaluation], says: str) -> None:
    with pytest.raises(PrecisionError, match=says):
        check_precision(evaluations, SCOPE, 3, "bfloat16")


@pytest.mark.parametrize("kind", ["rows", "deep"])
def test_a_row_answers_in_bfloat16_once_it_was_measured_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(ready_rows, "REFUSED_SECONDS", 0)
    with Bank(load_settings({"home": tmp_path}, {})[0]) as bank:
        bank.backbone = tiny_backbone("llama")
        examples = examples_of(8)
        config = TrainConfig.model_validate(
            {"epochs": 2, "batch_size": 4, "lr": 0.02, "dtype": "float32", "kind": kind}
        )
        learn_task(bank.make(), bank.backbone, card_of(), examples[:5], examples[5:], config, home=tmp_path)
        data = tmp_path / "test.jsonl"
        rows = [{"taskname": "mood", "sentence": one.fields["sentence"], "label": one.answer} for one in examples]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        whole = client_of(bank, "float32").post("/v1/predict", json=RECORD).json()
        halved = client_of(bank, "bfloat16")
        refused = halved.post("/v1/predict", json=RECORD)
        assert (refused.status_code, refused.json()["type"]) == (409, "precision")
        assert refused.headers["x-should-retry"] == "false"
        assert "mood:en@1" in halved.get("/readyz").json()["refused"]
        metrics = [evaluate(bank, "mood", [str(data)], dtype=dtype).metrics for dtype in ("float32", "bfloat16")]
        (info,) = bank.store.rows.list()
        assert [one.dtype for one in bank.store.evaluations.of(info.row_id)][-2:] == ["float32", "bfloat16"]
        answer = halved.post("/v1/predict", json=RECORD)
        assert answer.status_code == (200 if metrics[0]["accuracy"] == metrics[1]["accuracy"] else 409)
        assert answer.json()["probabilities"] == pytest.approx(whole["probabilities"], abs=0.05)
        assert answer.json()["probabilities"] != whole["probabilities"]
        assert halved.get("/version").json()["dtype"] == "bfloat16"


def client_of(bank: Bank, dtype: str) -> TestClient:
    backbone = tiny_backbone("llama")
    if dtype == "bfloat16":
        cast_weights(backbone.model, torch.bfloat16)
    server = PollingTaskServer(bank.store, backbone, poll_seconds=3600, read_seconds=60)
    server.poll()
    return TestClient(create_app(server))
