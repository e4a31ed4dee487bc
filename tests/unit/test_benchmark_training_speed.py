"""The race against PEFT runs, all learn the same rows, and the report says so; its figures are not for tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import tiny_backbone

pytest.importorskip("peft", reason="the extra bench is not installed")

# PEFT asks transformers for a property that will go
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

ROWS, EPOCHS = 5, 3


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    from benchmarks.training_speed import race

    return race(tiny_backbone("llama", window=512), rows=ROWS, epochs=EPOCHS, batch=4, virtual_tokens=6)


def made_up(*losses: float) -> dict[str, Any]:
    return {"contestants": [{"name": "one", "losses": list(losses)}]}


def test_all_contestants_run_all_epochs(report: dict[str, Any]) -> None:
    assert len(report["contestants"]) == 3
    for contestant in report["contestants"]:
        assert {len(contestant[key]) for key in ("epoch_seconds", "cpu_seconds", "losses", "epoch_ratios")} == {EPOCHS}


def test_all_contestants_learn(report: dict[str, Any]) -> None:
    from benchmarks.training_speed import faults

    assert faults(report) == []


def test_only_the_template_with_the_text_first_has_a_pass_over_the_texts(report: dict[str, Any]) -> None:
    assert [c["prepare_seconds"] > 0 for c in report["contestants"]] == [False, False, True]


def test_totals_and_ratios_count_what_is_done_once(report: dict[str, Any]) -> None:
    stock = report["contestants"][0]
    for c in report["contestants"]:
        total = c["prepare_seconds"] + sum(c["epoch_seconds"])
        assert c["total_seconds"] == pytest.approx(total)
        assert c["ms_an_example"] == pytest.approx(1000 * total / (ROWS * EPOCHS))
        assert c["total_ratio"] == pytest.approx(sum(stock["epoch_seconds"]) / total)
        assert c["epoch_ratios"][1] == pytest.approx(stock["epoch_seconds"][1] / c["epoch_seconds"][1])
    assert [c["wanted_ratio"] for c in report["contestants"]] == [None, 2.3, 4.5]


def test_the_report_is_json_and_the_table_has_a_line_each(report: dict[str, Any]) -> None:
    from benchmarks.training_speed import table

    assert json.loads(json.dumps(report)) == report
    assert [line[:10] for line in table(report).splitlines()[2:]] == ["PEFT P-tun", "promptbank", "promptbank"]


def test_a_loss_that_does_not_fall_is_a_fault() -> None:
    from benchmarks.training_speed import faults

    assert faults(made_up(2.0, 1.0)) == []
    assert faults(made_up(1.0)) == []  # one epoch shows no fall
    for last in (2.0, 3.0, float("nan")):
        assert len(faults(made_up(2.0, last))) == 1


def test_padding_is_left_and_only_answers_are_labels() -> None:
    from benchmarks.contestants import padded

    batch = padded([([2, 7], [8, 1]), ([2], [9, 1])])
    assert batch["input_ids"].tolist() == [[2, 7, 8, 1], [0, 2, 9, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]
    assert batch["labels"].tolist() == [[-100, -100, 8, 1], [-100, -100, 9, 1]]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rows", "0"], "'0' is not a whole number from 1 up"),
        (["--epochs", "many"], "'many' is not a whole number from 1 up"),
        (["--out", "nowhere/x.json"], "there is no folder nowhere; make it first"),
    ],
)
def test_a_wrong_flag_is_refused_before_anything_runs(
    flags: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from benchmarks.training_speed import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["training_speed", *flags])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err
