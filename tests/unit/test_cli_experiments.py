"""Experiments and trainings of several tasks as a user starts them."""

import json
from pathlib import Path

import pytest

from promptbank.cli.progress import shown
from promptbank.training.dev import DevScore
from promptbank.training.progress import EpochReport
from tests.conftest import Promptbank
from tests.unit.test_cli import SMALL, error, lines
from tests.worlds import SENTENCES

pytest.importorskip("sklearn", reason="the extra experiments is not installed")
pytest.importorskip("matplotlib", reason="the extra experiments is not installed")

SWEDISH = {"positive": "positiv", "negative": "negativ"}
TASK = ("--task", "sentiment-task", "--data", "data.jsonl")


def test_a_cross_validation_prints_its_table_and_says_where_the_report_is(promptbank: Promptbank) -> None:
    result = promptbank("crossval", *TASK, "--folds", "3", *SMALL, "--out", "report", "--json")
    assert result.exit_code == 0, result.output
    (told,) = lines(result.stdout)
    assert [row["method"] for row in told["table"]] == ["p-tuned", "TF-IDF + logistic regression", "majority"]
    result_file = json.loads(Path(told["result"]).read_text())
    assert result_file["status"] == "done"
    scores = [fold["test"]["accuracy"] for fold in result_file["results"]["ptuned"]]
    assert told["data"]["parts"] == {"all": 16}
    assert told["table"][0]["accuracy"]["mean"] == pytest.approx(sum(scores) / len(scores))
    assert sorted(path.name for path in Path("report").iterdir()) == [
        "crossval-folds.png",
        "crossval.html",
        "crossval.md",
    ]
    shown = promptbank("crossval", *TASK, "--folds", "3", *SMALL)
    assert "p-tuned" in shown.stdout
    assert "train loss" not in shown.stderr  # nothing is learnt twice


def test_a_cross_validation_learns_from_another_language_and_without_flagged_rows(promptbank: Promptbank) -> None:
    rows = [json.loads(line) | {"id": f"r{n}"} for n, line in enumerate(Path("data.jsonl").read_text().splitlines())]
    Path("en.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("sv.jsonl").write_text("".join(json.dumps(row | {"label": SWEDISH[row["label"]]}) + "\n" for row in rows))
    Path("provenance.jsonl").write_text('{"row_id": "r0", "status": "review"}\n')
    crossval = ("crossval", "--task", "sentiment-task:sv", "--data", "sv.jsonl", "--folds", "3", *SMALL)
    result = promptbank(*crossval, "--other", "en=en.jsonl", "--provenance", "provenance.jsonl", "--json")
    assert result.exit_code == 0, result.output
    methods = [row["method"] for row in lines(result.stdout)[0]["table"]]
    arms = ("en", "en, then sv", "en and sv", "ok")
    assert methods[:5] == ["p-tuned", *(f"p-tuned on {arm}" for arm in arms)]
    Path("provenance.jsonl").write_text('{"row_id": "r0", "status": "ok"}\n')
    again = promptbank(*crossval, "--provenance", "provenance.jsonl")
    assert "no row of provenance.jsonl has a flag" in again.stderr
    assert "p-tuned on en and sv" in again.stdout  # what was learnt before stays in the report
    assert "write LANG=FILE" in error(promptbank(*crossval, "--other", "en.jsonl"))
    assert "is not sv" in error(promptbank(*crossval, "--other", "sv=en.jsonl"))
    own = json.loads(promptbank("tasks", "show", "sentiment-task:sv").stdout) | {"lang": "gl"}
    Path("gl.jsonl").write_text(json.dumps(own) + "\n")
    of_file = (
        "crossval",
        "--task",
        "sentiment-task:gl",
        "--card",
        "gl.jsonl",
        "--data",
        "sv.jsonl",
        "--folds",
        "3",
        *SMALL,
    )
    assert promptbank(*of_file, "--other", "en=en.jsonl").exit_code == 0  # the English card is promptbank's own


def test_a_curve_compares_starts(promptbank: Promptbank) -> None:
    curve = ("curve", *TASK, "--folds", "3", "--repeats", "2", *SMALL)
    result = promptbank(*curve, "--fractions", "1,.3", "--start", "text", "--start", "nearest", "--json")
    assert result.exit_code == 0, result.output
    table = lines(result.stdout)[0]["table"]
    assert [row["share"] for row in table] == ["30%", "100%"]
    assert "p-tuned, start: nearest" in table[0]
    assert "may have learnt the rows that are tested on" in error(promptbank(*curve, "--start", "from:sentiment-task"))
    assert "--init beside --start" in promptbank(*curve, "--init", "labels", "--start", "text").stderr
    assert "no list of numbers" in error(promptbank(*curve, "--fractions", "a,b"))
    assert "above 0 and at most 1" in error(promptbank(*curve, "--fractions", "1.5"))


def test_a_sweep_keeps_a_fold_out(promptbank: Promptbank) -> None:
    result = promptbank("sweep", *TASK, "--settings", "3", "--rungs", "1", "--keep-out", "0", *SMALL, "--json")
    assert result.exit_code == 0, result.output
    assert "fold 0 of 10 is kept out" in result.stderr
    told = json.loads(Path(lines(result.stdout)[0]["result"]).read_text())["about"]
    assert told["kept_out"] == "fold 0 of 10"
    assert len(lines(result.stdout)[0]["table"]) == 3


def test_a_stream_is_learnt_and_forgets_nothing(promptbank: Promptbank) -> None:
    Path("stream.toml").write_text(
        """
        name = "one"
        config = {epochs = 1, dev_fraction = 0.3}
        [[experience]]
        task = "sentiment-task:en"
        data = ["data.jsonl"]
        folds = 3
        """
    )
    result = promptbank("continual", "stream.toml", "--no-contrast", "--json")
    assert result.exit_code == 0, result.output
    assert lines(result.stdout)[0]["table"][0]["forgetting"] == 0.0
    assert lines(result.stdout)[0]["table"][0]["answers moved"] == 0
    assert "cannot be read" in error(promptbank("continual", "missing.toml"))


def test_two_tasks_are_learnt_in_one_run(promptbank: Promptbank) -> None:
    rows = [json.dumps({"taskname": "topic-task", "sentence": s, "label": "sports"}) for s, _ in SENTENCES]
    rows += [json.dumps({"taskname": "topic-task", "sentence": f"{s} too", "label": "culture"}) for s, _ in SENTENCES]
    Path("both.jsonl").write_text(Path("data.jsonl").read_text() + "\n".join(rows) + "\n")
    both = ("train", "--task", "sentiment-task", "--task", "topic-task", "--data", "both.jsonl", *SMALL)
    result = promptbank(*both, "--json")
    assert result.exit_code == 0, result.output
    assert [row["taskname"] for row in lines(result.stdout)] == ["sentiment-task", "topic-task"]
    live = lines(promptbank("bank", "list", "--json").stdout)
    assert {row["taskname"] for row in live} == {"sentiment-task", "topic-task"}
    Path("both.jsonl").write_text('{"sentence": "x", "label": "y"}\n{broken\n')
    told = error(promptbank(*both))
    assert "must name one of sentiment-task:en, topic-task:en" in told
    assert "both.jsonl:2: broken JSON" in told


def test_a_training_can_start_from_the_nearest_row(learnt: Promptbank) -> None:
    result = learnt("train", *TASK, "--init", "nearest", *SMALL)
    assert result.exit_code == 0, result.output
    assert "loss on" in result.stderr
    assert "sentiment-task:en@1" in result.stderr


def test_few_rows_are_drawn(promptbank: Promptbank) -> None:
    few = promptbank("tasks", "sample", *TASK, "--per-class", "2", "--seed", "7", "--out", "few.jsonl")
    assert few.exit_code == 0, few.output
    rows = lines(Path("few.jsonl").read_text())
    assert sorted(row["label"] for row in rows) == ["negative", "negative", "positive", "positive"]
    more = lines(promptbank("tasks", "sample", *TASK, "--per-class", "4", "--seed", "7").stdout)
    assert {row["id"] for row in rows} < {row["id"] for row in more}
    assert len(lines(promptbank("tasks", "sample", *TASK, "--fraction", "0.5").stdout)) == 8
    assert "label 'negative' has 8 examples" in error(promptbank("tasks", "sample", *TASK, "--per-class", "9"))
    assert promptbank("tasks", "sample", *TASK).exit_code == 2


def test_open_answers_are_scored_with_and_without_the_grammar(promptbank: Promptbank) -> None:
    slot = ("--task", "intent_and_slot")
    assert promptbank("train", *slot, "--epochs", "1", "--encoder", "embedding.v1").exit_code == 0
    rows = [json.dumps({"utterance": f"play song {n}", "label": "\nIntent: play_music\nSlots: None"}) for n in range(2)]
    Path("test.jsonl").write_text("\n".join(rows))
    held = promptbank("evaluate", *slot, "--data", "test.jsonl", "--json")
    free = promptbank("evaluate", *slot, "--data", "test.jsonl", "--unconstrained", "--json")
    assert lines(held.stdout)[0]["parsed"] == lines(held.stdout)[0]["grounded"] == 1
    assert lines(free.stdout)[0]["parsed"] < 1


def test_an_epoch_is_one_line_of_a_log_however_long_the_name_of_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    name = "0.1-from.sentiment-task.en-0123456789ab-2"
    with shown() as progress:
        for epoch in (1, 2):
            progress.on_epoch(EpochReport(epoch, 0.5, DevScore(0.75, 0.625), best=False, run=name))
    told = f"{name} epoch {{}}: train loss 0.500, dev accuracy 0.750, dev loss 0.625"
    assert capsys.readouterr().err.rstrip().splitlines() == [told.format(1), told.format(2)]
