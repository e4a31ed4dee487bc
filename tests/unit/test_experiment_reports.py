"""Reports of experiments: numbers of the result file, warnings at the top, and pages that can be opened."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="the extra experiments is not installed")

from promptbank.engine.evaluate import right_answers
from promptbank.lab.reports import curve as curve_reports
from promptbank.lab.reports.compare import compare_report
from promptbank.lab.reports.continual import continual_report
from promptbank.lab.reports.crossval import crossval_report, local_parts
from promptbank.lab.reports.curve import curve_report
from promptbank.lab.reports.learning import epoch_figures
from promptbank.lab.reports.mistakes import label_tables, mistake_table
from promptbank.lab.reports.shared import shown_about, timing_table
from promptbank.lab.reports.sweep import sweep_report
from promptbank.report.cells import cell_text
from promptbank.report.parts import Table
from promptbank.report.write import write_report
from promptbank.training.progress import DevScore, EpochReport
from tasks import builtin_card, calibration_error, reliability
from tasks.statistics import MeanSd, student_interval
from tests.worlds import card_of, examples_of

EXAMPLES = examples_of(8)
SLOTS = "Intent: alarm_set\nSlots: time(nine), date(friday)"
GOLD = {e.id: e.answer for e in EXAMPLES}
ABOUT = {"cards": [json.loads(card_of().canonical_json())], "rows": 8, "folds": 2, "packages": {"torch": "2"}}


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
        "notes": ["starts from text"],
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


def test_labels_have_scores_and_what_they_were_taken_for_and_mistakes_stay_in_the_local_report() -> None:
    report = crossval_report(crossval(), EXAMPLES)
    # e4, "positive", was answered "negative"; the other 7 are right: 4 positive examples and 4 negative ones
    assert table(report, "P-tuned, by label").rows == [
        ["positive", 4, 1.0, 0.75, pytest.approx(6 / 7)],
        ["negative", 4, 0.8, 1.0, pytest.approx(8 / 9)],
    ]
    assert table(report, "P-tuned, confusion matrix").rows == [["positive", 3, 1], ["negative", 0, 4]]
    mistakes = local_parts(crossval(), EXAMPLES)[-1]
    wrong = EXAMPLES[4]
    assert mistakes.rows == [[wrong.source, wrong.fields["sentence"], "positive", "negative"]]
    assert all(part.title != mistakes.title for part in report.parts)
    assert len({part.title for part in report.parts}) == len(report.parts)
    assert [cell_text(cell, table(report, "By method").decimals) for cell in table(report, "By method").rows[1]][
        1
    ] == "0.50 ± 0.00"


def test_the_local_report_shows_how_folds_learnt_and_how_often_answers_are_right_by_their_probability() -> None:
    result = crossval()
    first, second = result["results"]["ptuned"]
    first["epochs"] = [EpochReport(n, 1.0, DevScore(a, 0.5), True).as_dict() for n, a in ((1, 0.5), (2, 0.75))]
    second["epochs"] = [EpochReport(1, 1.0, DevScore(0.25, 0.5), True).as_dict()]
    first["probabilities"] = dict(zip(first["predicted"], (0.95, 0.99, 0.55, 1.0), strict=True))
    second["probabilities"] = dict(zip(second["predicted"], (0.97, 0.51, 0.59, 0.55), strict=True))
    epochs, bins, figure, _mistakes = local_parts(result, EXAMPLES)
    assert epochs.alt.startswith("Dev accuracy after epoch 1: 0.375, after 2: 0.750")
    # e4, of probability 0.97, is wrong: of 0.95, 0.99, 1.0 and 0.97 three are right, and all of the other four
    assert bins.rows == [
        ["from 0.5", 4, pytest.approx(0.55), 1.0],
        ["from 0.9", 4, pytest.approx(0.9775), 0.75],
    ]
    error = (4 * 0.45 + 4 * 0.2275) / 8
    assert f"Expected calibration error {error:.3f}" in bins.note
    assert figure.alt == f"Expected calibration error {error:.3f} over 8 answers."
    first["epochs"] = [EpochReport(1, 1.0, DevScore(None, 0.5), True).as_dict()]
    assert "Dev loss after epoch 1: 0.500" in epoch_figures([first])[0].alt


def test_the_calibration_error_agrees_with_counting_each_answer() -> None:
    rng = random.Random(4)
    told = [(rng.random(), float(rng.random() < 0.6)) for _ in range(300)] + [(1.0, 1.0), (0.0, 0.0)]
    bins = reliability(*zip(*told, strict=True), bins=7)
    assert sum(b.n for b in bins) == len(told)
    total = 0.0
    for low in range(7):
        mine = [(p, r) for p, r in told if low <= p * 7 < low + 1 or (low == 6 and p == 1)]
        total += abs(sum(p for p, _ in mine) - sum(r for _, r in mine))
    assert calibration_error(bins) == pytest.approx(total / len(told))


def test_many_labels_have_the_pairs_that_are_confused_most_often() -> None:
    labels = [f"l{n}" for n in range(21)]
    card = card_of(label_space={label: [label] for label in labels})
    known = {e.id: replace(e, answer=labels[n % 3]) for n, e in enumerate(examples_of(8))}
    predicted = dict(zip(known, ["l0", "l2", "l2", "l5", "l2", "l2", "l0", "l2"], strict=True))
    by_label, pairs = label_tables(card, predicted, known, decimals=2)
    assert [row[1] for row in by_label.rows][:4] == [3, 3, 2, 0]
    assert pairs.rows == [["l1", "l2", 3], ["l0", "l5", 1]]
    listed = mistake_table(card, predicted, known).rows
    assert [(row[2], row[3]) for row in listed] == [("l1", "l2")] * 3 + [("l0", "l5")]


def test_intervals_are_of_rows_by_group_for_accuracy_and_of_folds_for_other_metrics() -> None:
    by_method = table(crossval_report(crossval(), EXAMPLES), "By method")
    (_, accuracy, rows, macro_f1, folds), _ = by_method.rows
    # all resamples of 8 rows, 7 of them right: 0.5 at 2.5 % and 1 at 97.5 % (binomial quantiles)
    assert (rows.mean, rows.low, rows.high) == (7 / 8, 0.625, 1.0)
    assert folds == student_interval([1.0, 0.75])
    assert accuracy == macro_f1
    assert "accuracy by a bootstrap over groups of rows" in by_method.note
    assert "macro_f1 by Student's t over folds" in by_method.note


def test_warnings_have_the_name_of_their_training_and_notes_are_no_warnings() -> None:
    result = crossval()
    result["results"]["arms"] = {"sv": {"ptuned": result["results"]["ptuned"]}}
    report = crossval_report(result, EXAMPLES)
    names = [
        f"{method}, fold {k}" for method in ("p-tuned", "p-tuned on sv", "TF-IDF + logistic regression") for k in (0, 1)
    ]
    assert report.falls_short == [f"{name}: the text was cut" for name in names]
    assert table(report, "Notes of the trainings").rows == [[name, "starts from text"] for name in names]


def test_open_answers_are_compared_as_their_metric_does() -> None:
    example = replace(EXAMPLES[0], answer="two  words")
    closed, texts = card_of(), card_of(label_space=None)
    assert right_answers(texts, [example] * 3, ["two words", "two\nwords", "Two words"]) == [1, 1, 0]
    assert right_answers(closed, [EXAMPLES[0]] * 2, ["positive", "negative"]) == [1, 0]
    card = builtin_card("intent_and_slot", "en")
    gold = replace(EXAMPLES[0], fields={"utterance": "wake me at nine on friday"}, answer=SLOTS)
    other_order = "Intent: alarm_set\nSlots: date(friday), time(nine)"
    assert right_answers(card, [gold] * 3, [SLOTS, other_order, "Intent: alarm_set\nSlots: None"]) == [1, 1, 0]


def test_a_sweep_tells_quality_and_time_by_placement() -> None:
    def score(number: int, placement: str, accuracy: float) -> dict[str, Any]:
        setting = {"placement": placement, "total_virtual_tokens": 5, "encoder": "lstm.v1", "init": "text", "lr": 0.01}
        return {"number": number, "setting": setting, "accuracy": accuracy, "by_fold": [accuracy] * 2, "loss": 0.1}

    rungs = [[score(0, "after", 0.8), score(3, "after", 0.9), score(1, "before", 0.7)], [score(0, "after", 0.9)]]
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
    found = table(sweep_report(result), "Placement: quality and time")
    assert found.rows == [["after", 0.8, 0.1, 2, 15.0], ["before", 0.7, 0.1, 1, 50.0]]  # number 3 differs in more
    assert "A part that was killed and gone on with counts from its last start" in found.note
    assert table(sweep_report(result), "Rung 2").rows[0][5] == 0.9
    taken = table(sweep_report(result), "Time").rows
    assert list(taken[0]) == ["training-rung0-after-0-*", 1, 30.0, 9.0, "1", "2", "1"]


def test_parts_of_all_folds_and_seeds_are_one_line_of_the_time() -> None:
    def timing(seconds: float, load: float) -> dict[str, Any]:
        return {"seconds": seconds, "cpu_seconds": 1.0, "threads": 1, "cores": 2, "load_average": [load, 9.0, 9.0]}

    names = [
        "fold-0.shots-4.seed-0",
        "fold-1.shots-4.seed-1",
        "fold-0.shots-8.seed-0",
        "classical-fold-0.sklearn-1.9.1",
    ]
    shown = timing_table({"timings": {name: timing(n + 1.0, n / 2) for n, name in enumerate(names)}}).rows
    assert [list(row) for row in shown] == [
        ["fold-*.shots-4.seed-*", 2, 3.0, 2.0, "1", "2", "0 to 0.5"],
        ["fold-*.shots-8.seed-*", 1, 3.0, 1.0, "1", "2", "1"],
        ["classical-fold-*.sklearn-1.9.1", 1, 4.0, 1.0, "1", "2", "1.5"],
    ]


def test_a_curve_is_told_by_share(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, dict[float, list[float]]] = {}

    def plot(series: dict[str, dict[float, list[float]]], **_: object) -> bytes:
        drawn.update(series)
        return b"\x89PNG\r\n\x1a\n"

    monkeypatch.setattr(curve_reports, "curve_plot", plot)

    def point(fraction: float, rows: int, score: float) -> dict[str, Any]:
        return {
            "fraction": fraction,
            "rows": [rows, rows + 1, rows],
            "ptuned": {"text": [score, score]},
            "dev_rows": [8, 8],
            "tfidf_rows": [rows + 8, rows + 8],
            "tfidf": [0.5, 0.6],
            "majority": [0.5, 0.5],
            "starts": {"text": ["text", "text"]},
            "trials": [{"trial": f"{fraction}-0", "warnings": ["collapsed"], "notes": []}],
        }

    about = {**ABOUT, "repeats": 2}
    result = {"about": about, "timings": {}, "results": {"points": [point(0.005, 9, 0.6), point(1.0, 90, 0.8)]}}
    report = curve_report(result)
    assert [[cell_text(c) for c in row] for row in table(report, "Accuracy").rows] == [
        ["0.5%", "9", "8", "17", "0.6000 ± 0.0000", "0.5500 ± 0.0707"],
        ["100%", "90", "8", "98", "0.8000 ± 0.0000", "0.5500 ± 0.0707"],
    ]
    assert report.falls_short == ["0.005-0: collapsed", "1.0-0: collapsed"]
    assert not [part for part in report.parts if part.title == "Starts"]  # every prompt made its own
    assert report.summary == "P-tuned on 9 rows: accuracy 0.6000; on 90 rows: 0.8000."
    assert drawn["p-tuned, text"] == {9: [0.6, 0.6], 90: [0.8, 0.8]}  # a third of a row is no place on an axis


def stream(moved: list[str]) -> dict[str, Any]:
    bank = {
        "matrix": [[0.9], [0.9, 0.8]],
        "scores": {"average": 0.85, "backward_transfer": 0.0, "forgetting": 0.0},
        "answers_moved": moved,
        "faults": [],
        "metrics": {"mood:en": {"metrics": {"accuracy": 0.9}}, "tone:en": {"metrics": {"accuracy": 0.8}}},
        "trials": [{"trial": "mood:en", "warnings": ["collapsed"], "notes": ["begun again"]}],
    }
    full = {
        "method": "full.v1",
        "matrix": [[0.9], [0.5, 0.8]],
        "scores": {"average": 0.65, "backward_transfer": -0.4, "forgetting": 0.4},
    }
    results = {"tasks": ["mood:en", "tone:en"], "bank": bank, "full": full}
    return {"about": {**ABOUT, "stream": "two"}, "timings": {}, "results": results, "kind": "continual"}


def test_a_stream_tells_forgetting_beside_the_contrast() -> None:
    report = continual_report(stream([]))
    rows = table(report, "After the last task").rows
    assert [list(row) for row in rows] == [
        ["prompt bank", 0.85, 0.0, 0.0, 0],
        ["fine-tuning, full.v1", 0.65, -0.4, 0.4, None],
    ]
    assert "Forgetting of the bank: 0, and no answer moved by any bit. Of fine-tuning" in report.summary
    assert report.falls_short == ["prompt bank, mood:en: collapsed"]
    assert table(report, "Notes of the trainings").rows == [["prompt bank, mood:en", "begun again"]]


def test_forgetting_is_never_0_alone_when_answers_moved() -> None:
    report = continual_report(stream(["mood:en after task 2"]))
    assert report.falls_short[0] == "answers moved: mood:en after task 2"
    assert "Forgetting of the bank: 0, but answers moved: mood:en after task 2." in report.summary
    assert table(report, "After the last task").rows[0][3:] == [0.0, 1]


def test_reports_are_written_as_markdown_pictures_and_one_page(tmp_path: Path) -> None:
    written = write_report(crossval_report(crossval(), EXAMPLES), tmp_path, "crossval")
    assert sorted(path.name for path in written) == ["crossval-folds.png", "crossval.html", "crossval.md"]
    assert "data:image/png;base64" in (tmp_path / "crossval.html").read_text()


def entry(name: str, **more: Any) -> dict[str, Any]:
    task = {"task": "mood:en", "rows": 12, "warnings": ["the text was cut"], "notes": []}
    none = {"mean": None, "sd": None}
    ran = {"score": {"mean": 0.5, "sd": None}, "metrics": {}, "forgetting": none, "trainable": 3, "stored_bytes": 12}
    return {"method": name, **ran, "seeds": [{"seed": 0, "tasks": [task]}], **more}


def compared(*entries: dict[str, Any]) -> dict[str, Any]:
    about = {**ABOUT, "seeds": 2}
    return {"about": about, "timings": {}, "kind": "compare", "results": {"methods": list(entries)}}


def test_a_method_that_failed_with_a_later_seed_keeps_what_the_others_gave() -> None:
    costs = {f"lora.v1-0a.seed-{n}": {"train_seconds": 1.0 + n, "memory_bytes": 1e6 * (1 + n)} for n in range(2)}
    report = compare_report(compared(entry("lora.v1", reason="seed 1: the loss is nan")), costs)
    shown = table(report, "By method")
    (row,) = shown.rows
    assert dict(zip(shown.columns, row, strict=True)) == {
        "method": "lora.v1",
        "score": MeanSd(0.5, None, 1),
        "forgetting": None,
        "rows learnt from": 12,
        "trainable": 3,
        "bytes a task": 12,
        "train seconds, mean": 1.5,
        "memory, most, MB": 2,
    }
    assert report.falls_short == [
        "lora.v1 could not run with all seeds, 1 did: seed 1: the loss is nan",
        "lora.v1, seed 0, mood:en: the text was cut",
    ]


def test_when_no_method_could_run_the_report_has_the_reasons() -> None:
    report = compare_report(compared({"method": "bitfit.v1", "reason": "it has no bias"}), {})
    assert report.summary == "No method could run."
    assert table(report, "No method could run").rows == [["bitfit.v1", "it has no bias"]]
    assert report.falls_short == ["bitfit.v1 could not run: it has no bias"]


def test_a_page_names_cards_that_the_result_file_has_whole() -> None:
    card = builtin_card("sentiment-task", "sv")
    shown = shown_about({"cards": [json.loads(card.canonical_json())], "rows": 3})
    assert shown == {"cards": f"sentiment-task:sv (sha256 {card.sha256[:12]})", "rows": 3}
    assert shown_about({"rows": 3}) == {"rows": 3}
