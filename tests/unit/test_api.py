"""promptbank from Python: what it exports, that importing it is cheap, and the README's example."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import promptbank as pb
from promptbank.errors import ConfigError, UnknownTaskError
from store import StoreUnavailableError
from tests.stores import ROOT

SMALL = {"epochs": 1, "dev_fraction": 0.3}


@pytest.fixture
def bank(home: Path) -> pb.Bank:
    with pb.open_bank(home) as opened:
        yield opened


def test_the_public_names_are_these() -> None:
    functions = {"evaluate", "open_bank", "predict", "train", "translate"}
    assert set(pb.__all__) == functions | {"Bank", "Display", "TranslationRequest", "__version__"}
    assert all((getattr(pb, name).__doc__ or "").strip() for name in functions)
    with pytest.raises(AttributeError, match="no attribute 'learn'; it has Bank"):
        _ = pb.learn


def test_importing_it_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import promptbank; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "store", "tasks", "translate", "typer", "promptbank.config"} & set(done.stdout.split())


def test_an_opened_bank_has_loaded_no_backbone(home: Path) -> None:
    with pb.open_bank(home, backbone="nowhere/at/all") as bank:
        with pytest.raises(StoreUnavailableError, match="there is no bank here"):
            _ = bank.store
        assert not home.exists()
        assert bank.make() is bank.store
        assert bank.store.rows.list() == []
    assert (home / "bank.db").is_file()


def test_what_is_said_is_heard_and_settings_are_checked_before_anything_is_loaded(home: Path) -> None:
    heard: list[str] = []
    with pb.open_bank(home, display=pb.Display(heard.append)) as bank:
        with pytest.raises(ConfigError, match="lr = 7"):
            pb.train(bank, "sentiment-task", data=["data.jsonl"], settings={"lr": 7})
        assert heard == []
        pb.train(bank, "sentiment-task", data=["data.jsonl"], settings=SMALL)
    assert heard[0].startswith("16 examples from data.jsonl: ")


def test_a_task_is_learnt_scored_and_asked(bank: pb.Bank) -> None:
    (learnt,) = pb.train(bank, "sentiment-task", data=["data.jsonl"], settings=SMALL)
    scored = pb.evaluate(bank, "sentiment-task", ["data.jsonl"])
    assert scored.row.sha256 == learnt.row.sha256
    records = [json.loads(line) for line in Path("data.jsonl").read_text().splitlines()]
    answers = pb.predict(bank, records)
    right = sum(answer.label == record["label"] for answer, record in zip(answers, records, strict=True))
    assert scored.metrics["accuracy"] == right / 16


def test_records_are_answered_in_order_and_the_first_error_is_raised(bank: pb.Bank) -> None:
    pb.train(bank, "sentiment-task", data=["data.jsonl"], settings=SMALL)
    texts = [f"profit rose by {number}" for number in range(300)]  # more than are answered together
    answers = pb.predict(bank, ({"sentence": text} for text in texts), task="sentiment-task")
    assert len(answers) == 300
    alone = pb.predict(bank, [{"sentence": texts[299]}], task="sentiment-task")[0]
    assert answers[299].probabilities == pytest.approx(alone.probabilities, abs=1e-4)
    with pytest.raises(UnknownTaskError, match="did you mean sentiment-task"):
        pb.predict(bank, [{"sentence": "x", "taskname": "sentimnt-task"}])


def test_the_example_of_the_readme_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = [part.split("```")[0] for part in (ROOT / "README.md").read_text().split("```python\n")[1:]]
    (example,) = (block for block in blocks if "import promptbank" in block)
    assert len(example.strip().splitlines()) <= 12
    Path("examples.jsonl").write_text(Path("data.jsonl").read_text())
    # the copying engine, since no engine translates on a tiny backbone
    exec(example.replace('"en", "sv"', '"en", "sv", "copy"'), {})  # noqa: S102
    accuracy, answer, counts = capsys.readouterr().out.splitlines()
    assert 0 <= float(accuracy) <= 1
    assert answer.split()[0] in ("positive", "negative")
    assert "'rows': 16" in counts
    assert Path("sv/examples.jsonl").is_file()
    assert home.is_dir()
