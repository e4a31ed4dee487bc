"""Reports of experiments: numbers of the result file, warnings at the top, and pages that can be opened."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the extra experiments is not installed")

from promptbank.experiments.crossval_report import crossval_report
from promptbank.experiments.reports import continual_report, curve_report, sweep_report
from promptbank.report.cells import cell_text
from promptbank.report.parts import Table
from promptbank.report.write import write_report
from tasks.statistics import MeanSd
from tests.worlds import examples_of

EXAMPLES = examples_of(8)
GOLD = {e.id: e.answer for e in EXAMPLES}
ABOUT = {"cards": [{"taskname": "mood", "lang": "en"}], "rows": 8, "folds": 2, "packages": {"torch": "2"}}


def fold(ids: list[str], wrong: set[str]) -> dict[str, Any]:
    flipped = {"positive": "negative", "negative": "positive"}
    predicted = {i: flipped[GOLD[i]] if i in wrong else GOLD[i] for i in ids}
    accuracy = sum(GOLD[i] == label for i, label in predicted.items()) / len(ids)
    return {
        "sizes": {"train": 3, "dev": 1, "test": len(ids)},
        "test": {"accuracy": accuracy, "macro_f1": accuracy},
        "dev": {"accuracy": 1.0},
        "best_epoch": 2,
        "epochs": [],
        "warnings": ["the text was cut"],
        "notes": [],
        "predicted": predicted,
    }


def table(report: Any, title: str) -> Table:
    return next(part for part in report.parts if isinstance(part, Table) and part.title == title)


def crossval() -> dict[str, Any]:
    ids = [[e.id for e in EXAMPLES[:4]], [e.id for e in EXAMPLES[4:]]]
    ptuned = [fold(ids[0], set()), fold(ids[1], {"e4"})]
    other = [fold(ids[0], {"e0", "e1"}), fold(ids[1], {"e4", "e5"})]
    return {"about": ABOUT, "timings": {}, "kind": "crossval", "results": {"ptuned": ptuned, "tfidf": other}}


def test_a_cross_validation_tells_mean_spread_and_paired_difference() -> None:
    report = crossval_report(crossval(), EXAMPLES)
    ours, theirs = table(report, "By method").rows
    assert ours[1] == MeanSd(0.875, pytest.approx(0.17678, abs=1e-4), 2)
    assert theirs[1].mean == 0.5
    assert table(report, "P-tuned against").rows[0][1] == pytest.approx(3 / 8)
    assert "the text was cut" in report.falls_short


def test_a_sweep_tells_quality_and_time_by_placement() -> None:
    def score(number: int, placement: str, accuracy: float) -> dict[str, Any]:
        setting = {"placement": placement, "total_virtual_tokens": 5, "encoder": "lstm.v1", "init": "text", "lr": 0.01}
        return {"number": number, "setting": setting, "accuracy": accuracy, "by_fold": [accuracy] * 2, "loss": 0.1}

    rungs = [[score(0, "after", 0.8), score(1, "after", 0.6), score(2, "before", 0.7)], [score(0, "after", 0.9)]]
    space = {
        "placement": ["after", "before", "around"],
        "total_virtual_tokens": [5],
        "encoder": [],
        "init": [],
        "lr": [],
    }
    machine = {"cpu_seconds": 9.0, "threads": 1, "cores": 2, "load_average": [1.0, 0.5, 0.2]}
    timings = {"training-rung0-after-0-0": {"seconds": 30.0, **machine}}
    timings["training-rung0-before-2-0"] = {"seconds": 50.0, **machine}
    result = {"about": {**ABOUT, "space": space}, "timings": timings, "results": {"rungs": rungs}, "kind": "sweep"}
    found = table(sweep_report(result), "Placement: quality and time").rows
    assert [(row[0], row[1], row[2], row[4]) for row in found] == [("after", 2, 0.8, 15.0), ("before", 1, 0.7, 50.0)]
    assert table(sweep_report(result), "Rung 2").rows[0][5] == 0.9
    taken = table(sweep_report(result), "Time").rows
    assert list(taken[0]) == ["training-rung0-after-0-0", 30.0, 9.0, 1, 2, "1.0, 0.5, 0.2"]


def test_a_curve_is_told_by_share() -> None:
    def point(fraction: float, rows: int, score: float) -> dict[str, Any]:
        return {
            "fraction": fraction,
            "rows": [rows, rows],
            "ptuned": {"text": [score, score]},
            "tfidf": [0.5, 0.6],
            "majority": [0.5, 0.5],
        }

    about = {**ABOUT, "repeats": 2}
    result = {"about": about, "timings": {}, "results": {"points": [point(0.1, 9, 0.6), point(1.0, 90, 0.8)]}}
    report = curve_report(result)
    assert [[cell_text(c) for c in row] for row in table(report, "Accuracy").rows] == [
        ["10%", "9", "0.6000 ± 0.0000", "0.5500 ± 0.0707"],
        ["100%", "90", "0.8000 ± 0.0000", "0.5500 ± 0.0707"],
    ]
    assert report.summary == "P-tuned on 9 rows: accuracy 0.6000; on 90 rows: 0.8000."


def stream(moved: list[str]) -> dict[str, Any]:
    bank = {
        "matrix": [[0.9], [0.9, 0.8]],
        "scores": {"average": 0.85, "backward_transfer": 0.0, "forgetting": 0.0},
        "answers_moved": moved,
        "faults": [],
        "metrics": {"mood:en": {"metrics": {"accuracy": 0.9}}, "tone:en": {"metrics": {"accuracy": 0.8}}},
    }
    full = {
        "method": "full.v1",
        "matrix": [[0.9], [0.5, 0.8]],
        "scores": {"average": 0.65, "backward_transfer": -0.4, "forgetting": 0.4},
    }
    results = {"tasks": ["mood:en", "tone:en"], "bank": bank, "full": full}
    return {"about": {**ABOUT, "stream": "two"}, "timings": {}, "results": results, "kind": "continual"}


def test_a_stream_tells_forgetting_beside_the_contrast() -> None:
    rows = table(continual_report(stream([])), "After the last task").rows
    assert [list(row) for row in rows] == [["prompt bank", 0.85, 0.0, 0.0], ["fine-tuning, full.v1", 0.65, -0.4, 0.4]]


def test_an_answer_that_moved_stands_at_the_top() -> None:
    assert continual_report(stream(["mood:en after task 2"])).falls_short == ["mood:en after task 2"]


def test_reports_are_written_as_markdown_pictures_and_one_page(tmp_path: Path) -> None:
    written = write_report(crossval_report(crossval(), EXAMPLES), tmp_path, "crossval")
    assert sorted(path.name for path in written) == ["crossval-folds.png", "crossval.html", "crossval.md"]
    assert "data:image/png;base64" in (tmp_path / "crossval.html").read_text()
