"""What a new user meets in the first hour: a card from data, sets that are doubtful, few examples, a worse training.

Kinds as they are reported: "accuracy 1.0 from the first epoch" (one label in the file), "same text in train and test",
"class with no examples in sklearn's report", "validation split of 5 rows", "new model worse than the old one deployed".
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from promptbank.cli.progress import TerminalDisplay
from promptbank.model.prompt_table import PromptTable
from promptbank.training.dev import DevScore, DevSet
from promptbank.training.run_warnings import run_warnings
from tasks import classification_report, unanswered
from tests.conftest import Promptbank
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

SMALL = ("--epochs", "1", "--dev-fraction", "0.3")
TRAIN = ("train", "--task", "sentiment-task", "--data")


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def write(name: str, rows: list[dict[str, object]]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def rows() -> list[dict[str, object]]:
    return lines(Path("data.jsonl").read_text())


def tickets() -> str:
    """Return a CSV of 24 messages of three departments, as a help desk exports it."""
    topics = {"card_arrival": "where is my new card", "LostPin": "the pin of my card is lost", "top up": "add money"}
    told = [f"{text} number {n};{label}" for n in range(8) for label, text in topics.items()]
    Path("Support tickets.csv").write_text("Message;Department\n" + "\n".join(told) + "\n")
    return "Support tickets.csv"


def test_a_card_is_drafted_checked_and_trained_without_writing_json(promptbank: Promptbank) -> None:
    data = tickets()
    drafted = promptbank(
        "tasks", "init", "--data", data, "--text", "Message", "--label", "Department", "--out", "c.json"
    )
    assert drafted.exit_code == 0, drafted.stderr
    for said in (
        "3 different answers of 24 records are labels",
        "looks like 'en'",
        "'Support-tickets'",
        "tasks check c.json",
    ):
        assert said in drafted.stderr
    again = promptbank("tasks", "init", "--data", data, "--text", "Message", "--label", "Department", "--out", "c.json")
    assert (again.exit_code, "pass --force" in again.stderr) == (1, True)
    card = json.loads(Path("c.json").read_text())
    assert card["label_space"] == {"LostPin": ["lost pin"], "card_arrival": ["card arrival"], "top up": ["top up"]}
    checked = promptbank("tasks", "check", "c.json", "--data", data, "--json")
    assert (checked.exit_code, lines(checked.stdout)[0]["labels"]) == (
        0,
        {"LostPin": 8, "card_arrival": 8, "top up": 8},
    )
    assert promptbank("train", "--card", "c.json", "--data", data, "--epochs", "1").exit_code == 0
    printed = promptbank("tasks", "init", "--data", data, "--text", "Message", "--label", "Department", "--lang", "sv")
    assert json.loads(printed.stdout) == card | {"lang": "sv"}
    wrong = promptbank("tasks", "init", "--data", data, "--text", "message", "--label", "Department")
    said = "column 'message' is missing; the record has 'Message', 'Department'; did you mean 'Message'?"
    assert wrong.stderr.count(said) == 1


def test_a_set_in_parts_is_converted_into_a_file_for_each(promptbank: Promptbank) -> None:
    line = {"scenario": "alarm", "intent": "alarm_set", "utt": "wake me", "annot_utt": "wake me"}
    told = [
        {**line, "id": str(n), "locale": "sv-SE", "partition": part} for n, part in enumerate(["train", "dev", "train"])
    ]
    write("sv-SE.jsonl", told)
    done = promptbank("tasks", "convert", "massive", "sv-SE.jsonl", "--parts", "made/massive")
    assert done.exit_code == 0, done.stderr
    sizes = {path.name: len(lines(path.read_text())) for path in Path("made/massive").iterdir()}
    assert sizes == {"train.jsonl": 2, "dev.jsonl": 1}
    Path("bio.txt").write_text("# intent: greet\nhello O\nbob B-name\n")
    assert "--parts FOLDER" in promptbank("tasks", "convert", "bio", "bio.txt").stderr
    assert promptbank("tasks", "convert", "bio", "bio.txt", "--parts", "made/bio").exit_code == 0
    assert json.loads(Path("made/bio/card.json").read_text())["intents"] == ["greet"]
    assert promptbank("tasks", "check", "made/bio/card.json").exit_code == 0
    both = promptbank("tasks", "convert", "bio", "bio.txt", "--parts", "made/bio", "--out", "x.jsonl")
    assert both.exit_code == 2
    taken = promptbank("tasks", "convert", "bio", "bio.txt", "--parts", "bio.txt/x")
    assert (taken.exit_code, "cannot be made a folder" in taken.stderr) == (1, True)


def test_a_set_with_one_label_is_refused_by_every_command_that_learns(promptbank: Promptbank) -> None:
    same = write("spam.jsonl", [{**row, "label": "positive"} for row in rows()])
    for command in (("train", *SMALL), ("crossval", "--folds", "2"), ("curve", "--folds", "2", "--repeats", "1")):
        done = promptbank(*command, "--task", "sentiment-task", "--data", same)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "all 16 examples have the label 'positive', so nothing can be learnt or measured" in done.stderr
    Path("card.json").write_text(promptbank("tasks", "show", "sentiment-task").stdout)
    checked = promptbank("tasks", "check", "card.json", "--data", same)
    assert checked.exit_code == 3
    assert "16 examples all have the label 'positive'" in checked.stderr


def test_what_is_doubtful_of_a_set_is_said_before_it_is_learnt(promptbank: Promptbank) -> None:
    doubtful = [
        *rows(),
        {**rows()[0], "label": "negative", "id": "contradicts"},
        {**rows()[1], "id": "twice"},
        {"sentence": " ... ", "label": "negative", "id": "blank"},
        {"sentence": "Bolaget meddelade att vinsten steg under det senaste kvartalet", "label": "positive", "id": "sv"},
        {"sentence": "the company said that profit rose this year and " * 80, "label": "negative", "id": "long"},
    ]
    data = write("doubtful.jsonl", doubtful)
    done = promptbank(*TRAIN, data, *SMALL, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.stderr.index("text has more than one answer") < done.stderr.index("epoch 1")
    report = lines(done.stdout)[0]["data"]
    doubts = {doubt["kind"]: (doubt["count"], doubt["places"]) for doubt in report["doubts"]}
    assert set(report["parts"]) == {"train", "dev"}
    assert doubts["contradiction"] == (2, ["doubtful.jsonl:1", "doubtful.jsonl:17"])
    assert doubts["blank"] == (1, ["doubtful.jsonl:19"])
    assert doubts["language"] == (1, ["doubtful.jsonl:20"])
    assert doubts["cut"] == (1, ["doubtful.jsonl:21"])
    assert {"duplicate", "across-parts"} & set(doubts)


def test_an_evaluation_reports_on_its_set_too(learnt: Promptbank) -> None:
    data = write(
        "test.jsonl", [{**row, "label": "positive", "id": str(n)} for n, row in enumerate([*rows(), rows()[0]])]
    )
    done = learnt("evaluate", "--task", "sentiment-task", "--data", data, "--json")
    report = lines(done.stdout)[0]["data"]
    assert (report["parts"], report["unused"]) == ({"test": 17}, ["negative"])
    assert {"one-label", "duplicate"} <= {doubt["kind"] for doubt in report["doubts"]}
    assert "test.jsonl:17" in done.stderr


def test_dev_examples_of_their_own_choose_the_epoch(promptbank: Promptbank) -> None:
    train, dev = write("train.jsonl", rows()[:8]), write("dev.jsonl", rows()[8:])
    done = promptbank(*TRAIN, train, "--dev-data", dev, "--epochs", "1", "--json")
    assert done.exit_code == 0, done.stderr
    assert "8 to train on, 8 for dev" in done.stderr
    shown = lines(promptbank("bank", "show", "sentiment-task", "--json").stdout)[0]
    assert shown["training"]["config"]["dev_rule"] == "given.v1"
    fewer = promptbank(*TRAIN, train, "--dev-data", write("one.jsonl", rows()[9:10]), "--epochs", "1", "--json")
    assert lines(fewer.stdout)[0]["run"] != lines(done.stdout)[0]["run"]
    both = promptbank(*TRAIN, train, "--dev-data", train, "--epochs", "1")
    assert "8 of 8 dev examples are of a group that train has too" in both.stderr
    idle = promptbank(*TRAIN, train, "--dev-data", dev, "--dev-fraction", "0.2")
    assert "dev data are given, so dev_fraction would decide nothing" in idle.stderr


def test_few_examples_have_dev_examples_of_each_label_and_a_standard_error(promptbank: Promptbank) -> None:
    few = write("few.jsonl", rows()[:12])
    done = promptbank(*TRAIN, few, "--epochs", "2")
    assert done.exit_code == 0, done.stderr
    assert "8 to train on, 4 for dev" in done.stderr  # of each label a third of its six
    assert "epoch 1 of 2: train loss" in done.stderr
    assert "ended: all epochs are done" in done.stderr
    assert "±" in done.stderr.split("is live")[1]
    assert "a dev score of 4 examples says little" in done.stderr
    by_hash = promptbank(*TRAIN, few, "--dev-rule", "hash.v1", "--dev-fraction", "0.01")
    assert "no example left for dev (train 12, dev 0)" in by_hash.stderr
    assert "see --dev-fraction and --dev-data" in by_hash.stderr


@pytest.mark.parametrize(("rule", "live"), [("always", 2), ("never", 1)])
def test_live_moves_always_or_never_when_that_is_asked_for(learnt: Promptbank, rule: str, live: int) -> None:
    done = learnt(*TRAIN, "data.jsonl", "--seed", "1", *SMALL, "--live", rule, "--json")
    assert lines(done.stdout)[0]["live"] is (live == 2)
    assert [row["version"] for row in lines(learnt("bank", "list", "--json").stdout)] == [live]
    if rule == "never":
        assert "`promptbank bank promote sentiment-task:en@2` makes it live" in done.stderr
        promoted = learnt("bank", "promote", "sentiment-task@2", "--json")
        assert lines(promoted.stdout) == [{"taskname": "sentiment-task", "lang": "en", "from": 1, "to": 2}]
        assert "is live already" in learnt("bank", "promote", "sentiment-task@2").stderr
        assert "names no version" in learnt("bank", "promote", "sentiment-task").stderr
    assert learnt("bank", "export", "sentiment-task@1", "--out", "row.safetensors").exit_code == 0
    told = learnt("bank", "import", "row.safetensors", "--json")
    assert (lines(told.stdout)[0]["live"], "not live; `promptbank bank promote" in told.stderr) == (False, True)
    assert lines(learnt("bank", "import", "row.safetensors", "--live", "always", "--json").stdout)[0]["live"]
    other = lines(learnt("bank", "import", "row.safetensors", "--home", "other", "--json").stdout)[0]
    assert (other["version"], other["live"]) == (1, True)
    wrong = learnt(*TRAIN, "data.jsonl", "--live", "maybe")
    assert "live is 'maybe'; possible: gated, always, never" in wrong.stderr


def test_a_training_that_begins_again_says_so_once_and_counts_its_epochs_on(
    promptbank: Promptbank, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = DevSet.score

    def collapsed(self: DevSet, table: PromptTable) -> DevScore:
        return replace(score(self, table), collapse="100% of the predictions are 'positive'")

    monkeypatch.setattr(DevSet, "score", collapsed)
    done = promptbank(*TRAIN, "data.jsonl", "--epochs", "2", "--dev-fraction", "0.3", "--restarts", "1")
    assert done.exit_code == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stderr.splitlines() if line.startswith("epoch")] == [
        "epoch 1 of 2",
        "epoch 2 of 2",
        "epoch 3 of 4",
        "epoch 4 of 4",
    ]
    assert done.stderr.count("begun again with seed 1") == 1


def test_a_first_prompt_that_is_no_better_than_the_most_frequent_label_is_live_with_a_warning(
    promptbank: Promptbank,
) -> None:
    done = promptbank(*TRAIN, "data.jsonl", "--epochs", "1", "--lr", "1e-9", "--dev-data", "data.jsonl", "--json")
    assert "of a group that train has too" in done.stderr
    dev = write("dev.jsonl", [{**row, "sentence": f"{row['sentence']}!"} for row in rows()])
    done = promptbank(*TRAIN, "data.jsonl", "--epochs", "1", "--lr", "1e-9", "--dev-data", dev, "--json")
    told = lines(done.stdout)[0]
    assert (told["live"], told["dev"]["majority_share"]) == (True, 0.5)
    warned = "warning: on dev the prompt is no better than always answering" in done.stderr
    assert warned is (told["dev"]["accuracy"] <= 0.5)


@pytest.mark.parametrize(("accuracy", "warned"), [(0.5, True), (0.25, True), (0.75, False), (None, False)])
def test_no_better_than_the_most_frequent_label_is_by_the_labels_of_dev(accuracy: float | None, warned: bool) -> None:
    dev = examples_of(8)
    found = run_warnings(tiny_backbone("llama"), card_of(), dev, dev, truncated=0, accuracy=accuracy)
    assert any("no better than always answering 'positive' (" in text for text in found) is warned


@pytest.mark.parametrize(
    ("gold", "predicted", "said"),
    [
        ("aabbc", "aabba", "never answered: 'c' (of 1)"),
        ("aabbcd", "aabbaa", "never answered: 'c' (of 1), 'd' (of 1)"),
        ("aabbc", "aabbc", None),
        ("aabb", "aaab", None),
        ("aabb", "aaaa", None),  # a collapse, which says it
        ("aab", "aad", "never answered: 'b' (of 1)"),
    ],
)
def test_labels_that_no_dev_example_is_answered_with_are_named(gold: str, predicted: str, said: str | None) -> None:
    found = unanswered(classification_report(gold, predicted, "abcd").as_dict())
    assert (found or "").partition(";")[0] == (said or "")
    dev = examples_of(8)
    told = list(run_warnings(tiny_backbone("llama"), card_of(), dev, dev, truncated=0, unanswered=found))
    assert any(text == f"on dev {found}" for text in told) is bool(said)


def test_a_tie_goes_live_and_is_called_one(learnt: Promptbank) -> None:
    done = learnt(*TRAIN, "data.jsonl", "--seed", "0", *SMALL, "--json", "--patience", "3")
    told = lines(done.stdout)[0]
    assert told["live"] is True
    right = round(told["dev"]["accuracy"] * told["dev"]["n"])
    assert (
        f"right on {right} of {told['dev']['n']} dev examples, version 1 on {right}, as many, which is" in done.stderr
    )


def test_a_taskname_alone_means_its_default_language_for_every_command(learnt: Promptbank) -> None:
    card = json.loads(learnt("tasks", "show", "sentiment-task").stdout) | {"lang": "sv"}
    Path("sv.json").write_text(json.dumps(card))
    learnt("train", "--card", "sv.json", "--data", "data.jsonl", *SMALL)
    for lang in ("en", "sv"):
        assert learnt("bank", "default", "sentiment-task", lang).exit_code == 0
        assert lines(learnt("bank", "show", "sentiment-task", "--json").stdout)[0]["lang"] == lang
        exported = learnt("bank", "export", "sentiment-task", "--out", f"{lang}.safetensors")
        assert exported.stderr.startswith(f"sentiment-task:{lang}@1 written")
        assert (
            f"version 1 of sentiment-task:{lang} is live already"
            in learnt("bank", "promote", "sentiment-task@1").stderr
        )
        assert f"of sentiment-task:{lang}" in learnt("bank", "rollback", "sentiment-task").stderr


def test_a_terminal_shows_that_a_model_is_being_loaded() -> None:
    screen = io.StringIO()
    bars = Progress(TextColumn("{task.description}"), console=Console(file=screen, force_terminal=True, width=80))
    display = TerminalDisplay(bars, is_drawn=True)
    with bars, display.busy("loading the engine"):
        bars.refresh()
    assert "loading the engine" in screen.getvalue()
    assert not bars.tasks
