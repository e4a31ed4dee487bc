"""Comparison of methods: the same rows for all, results apart from costs, a reason for what cannot run."""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from promptbank.cli import build_app
from promptbank.errors import ConfigError, TrainingError
from promptbank.lab.experiments import compare as comparing
from promptbank.lab.experiments import learning_cost as meters
from promptbank.lab.experiments.compare import MEASURED, MethodComparison, run_compare
from promptbank.lab.experiments.learning_cost import CostMeter, LearningCost, cost_of
from promptbank.lab.experiments.setup import Lab
from promptbank.lab.methods.prompts import PromptLearner
from promptbank.lab.methods.untrained import Tfidf
from promptbank.lab.reports.compare import compare_report
from promptbank.model.forward import LanguageModel
from tasks import Split, TaskCard, crossval_split
from tests.killing import KillAfter
from tests.tiny import Kind, tiny_backbone
from tests.worlds import card_of, examples_of

TRAINING = {"epochs": 1, "batch_size": 4, "dtype": "float32"}


class Killed(Exception):
    pass


@dataclass
class Compared:
    """What a comparison wrote, read at once, since a later one may write the same files."""

    path: Path
    methods: list[dict[str, Any]]
    measured: dict[str, dict[str, Any]]


def read(path: Path) -> Compared:
    methods = json.loads(path.read_text())["results"]["methods"]
    return Compared(path, methods, json.loads(path.with_name(MEASURED).read_text()))


def tasks_of(*names: str) -> list[tuple[TaskCard, Split]]:
    found = []
    for number, name in enumerate(names):
        examples = examples_of(24, taskname=name, offset=24 * number)
        found.append((card_of(taskname=name), crossval_split(examples, 3, 0, 0.25)))
    return found


def compared(
    home: Path,
    comparison: MethodComparison,
    *names: str,
    kind: Kind = "llama",
    on_run: Callable[[str, int], None] = lambda *_: None,
) -> Compared:
    backbone = tiny_backbone(kind)
    tasks = tasks_of(*names or ("mood",))
    return read(run_compare(Lab(home, backbone, LanguageModel(backbone.model)), comparison, tasks, on_run=on_run))


def results(found: Compared) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(found.path.read_text())
    return {key: value for key, value in content.items() if key != "timings"}


def runs_of(cells: Iterable[str]) -> set[tuple[str, str]]:
    """Method and seed of cells, without the hash of the settings between them."""
    return {(name.partition("-")[0], name.partition("-")[2].partition(".")[2]) for name in cells}


def test_a_method_and_a_seed_are_added_to_what_is_there(tmp_path: Path) -> None:
    first = compared(tmp_path, MethodComparison(("prompt",), seeds=1, training=TRAINING))
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/cells/*")}
    more = compared(tmp_path, MethodComparison(("prompt", "tfidf"), seeds=2, training=TRAINING))
    assert more.path == first.path
    assert {path: path.stat().st_mtime_ns for path in cells} == cells
    other = compared(tmp_path, MethodComparison(("prompt",), seeds=1, training=TRAINING, lrs={"prompt": 0.5}))
    assert other.methods[0]["config"]["lr"] == 0.5  # other settings of a method are other runs of it
    assert other.methods[0]["seeds"] != more.methods[0]["seeds"][:1]


def test_importing_a_package_is_no_cost_of_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Tfidf, "ready", lambda _: said.append("ready"))
    monkeypatch.setattr(comparing, "CostMeter", lambda: said.append("measured from here") or CostMeter())
    compared(tmp_path, MethodComparison(("tfidf",), seeds=1, training=TRAINING))
    assert said == ["ready", "measured from here"]


def test_two_comparisons_one_of_them_killed_end_with_equal_results(tmp_path: Path) -> None:
    comparison = MethodComparison(("prompt", "lora", "icl"), seeds=2, training=TRAINING)

    def kill(name: str, seed: int) -> None:
        if (name, seed) == ("lora.v1", 1):
            raise Killed

    whole = compared(tmp_path / "whole", comparison)
    with pytest.raises(Killed):
        compared(tmp_path / "killed", comparison, on_run=kill)
    done = {path.name for path in (tmp_path / "killed").glob("runs/*/cells/*")}
    assert runs_of(done) == {("prompt.v1", "seed-0.json"), ("prompt.v1", "seed-1.json"), ("lora.v1", "seed-0.json")}
    again = compared(tmp_path / "killed", comparison)
    assert results(whole) == results(again)
    assert whole.measured.keys() == again.measured.keys()
    assert "train_seconds" not in json.dumps(results(whole))


def test_every_run_has_its_costs_beside_the_result(tmp_path: Path) -> None:
    found = compared(tmp_path, MethodComparison(("full", "tfidf"), seeds=1, training=TRAINING))
    written = json.loads(found.path.with_name("measured.json").read_text())
    assert written == found.measured
    assert runs_of(written) == {("full.v1", "seed-0"), ("tfidf.v1", "seed-0")}
    for cost in written.values():
        assert {"train_seconds", "memory_bytes", "peak_bytes", "threads", "load_average"} <= set(cost)


def test_a_method_that_cannot_run_is_listed_with_its_reason(tmp_path: Path) -> None:
    found = compared(tmp_path, MethodComparison(("bitfit", "prompt"), seeds=1, training=TRAINING))
    bitfit, prompt = found.methods
    assert bitfit["method"] == "bitfit.v1"
    assert "LlamaForCausalLM has no bias" in bitfit["reason"]
    assert "score" not in bitfit
    assert 0 <= prompt["score"]["mean"] <= 1
    assert "reason" in compared(tmp_path, MethodComparison(("bitfit",), seeds=1)).methods[0]
    assert (
        "reason" not in compared(tmp_path, MethodComparison(("bitfit",), 1, training=TRAINING), kind="gpt2").methods[0]
    )


def test_seeds_that_are_done_stay_when_a_later_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn = PromptLearner.learn

    def fails_with_seed_1(self: PromptLearner, *arguments: Any) -> Any:
        if self._config.seed == 1:
            raise TrainingError("the loss is nan")
        return learn(self, *arguments)

    monkeypatch.setattr(PromptLearner, "learn", fails_with_seed_1)
    (found,) = compared(tmp_path, MethodComparison(("prompt",), seeds=3, training=TRAINING)).methods
    assert found["reason"] == "seed 1: the loss is nan"
    assert [cell["seed"] for cell in found["seeds"]] == [0]
    assert found["score"] == {"mean": found["seeds"][0]["score"], "sd": None}


def test_fewer_rows_are_fewer_dev_rows_too_and_every_method_says_how_many_it_learnt_from(tmp_path: Path) -> None:
    ((_, split),) = tasks_of("mood")
    found = compared(tmp_path, MethodComparison(("prompt", "tfidf", "icl"), seeds=1, rows=5, training=TRAINING)).methods
    prompt, tfidf, icl = (entry["seeds"][0]["tasks"][0] for entry in found)
    dev = math.ceil(len(split.dev) * 5 / len(split.train))
    assert dev < len(split.dev)
    assert prompt["sizes"] == tfidf["sizes"] == {"train": 5, "dev": dev, "test": len(split.test)}
    assert (prompt["rows"], tfidf["rows"], icl["rows"]) == (5, 5 + dev, 4)


def test_a_method_tells_its_warnings_by_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = [(card, Split(split.train, split.dev, split.test)) for card, split in tasks_of("mood")]
    backbone = tiny_backbone("llama", window=24)
    comparison = MethodComparison(("prompt", "lora"), 1, training=TRAINING)
    found = read(run_compare(Lab(tmp_path, backbone, LanguageModel(backbone.model)), comparison, long))
    for entry in found.methods:
        (task,) = entry["seeds"][0]["tasks"]
        assert task["task"] == "mood:en"
        assert any("examples had their text cut to fit the window of 24 positions" in w for w in task["warnings"])


def test_what_happened_to_test_rows_is_told_by_every_method(tmp_path: Path) -> None:
    ((card, split),) = tasks_of("mood")
    longer, short = split.test[0], split.test[1:]
    test = (replace(longer, fields={"sentence": f"{longer.fields['sentence']} again" * 99}), *short)
    backbone = tiny_backbone("llama")
    found = read(
        run_compare(
            Lab(tmp_path, backbone, LanguageModel(backbone.model)),
            MethodComparison(("prompt", "full", "icl"), 1, training=TRAINING),
            [(card, replace(split, test=test))],
        )
    )
    report = compare_report(json.loads(found.path.read_text()), {})
    for entry in found.methods:
        (task,) = entry["seeds"][0]["tasks"]
        said = ["1 test example had its text cut to fit the window"]
        if entry["method"] == "icl.v1":  # no shot fits before a row that is cut
            said += ["1 test example had fewer shots before the text, since not all fit the window"]
        said += [f"on test examples: {task['test']['collapse']}"] if task["test"]["collapse"] else []
        assert task["warnings"][-len(said) :] == said
        assert task["test"]["truncated"] == 1
        shown = [line for line in report.falls_short if entry["method"] in line]
        assert shown == [f"{entry['method']}, seed 0, mood:en: {warning}" for warning in task["warnings"]]


def test_test_rows_that_do_not_fit_are_told_before_a_method_learns(tmp_path: Path) -> None:
    card = card_of(truncate_field=None)
    ((_, split),) = tasks_of("mood")
    longer = replace(split.test[0], fields={"sentence": f"{split.test[0].fields['sentence']} again" * 99})
    tasks = [(card, replace(split, test=(*split.test[1:], longer)))]
    backbone, comparison = tiny_backbone("llama"), MethodComparison(("prompt", "full", "tfidf"), 1, training=TRAINING)
    lab = Lab(tmp_path, backbone, LanguageModel(backbone.model), KillAfter(1))
    found = read(run_compare(lab, comparison, tasks))
    *trained, tfidf = found.methods
    assert all(entry["reason"].startswith(f"{longer.source}: the prompt takes ") for entry in trained)
    assert "reason" not in tfidf  # which reads a text of any length


def test_dev_rows_of_one_label_are_warned_of_by_every_method_that_trains(tmp_path: Path) -> None:
    ((card, split),) = tasks_of("mood")
    dev = tuple(e for e in split.dev if e.answer == "positive")
    backbone, comparison = tiny_backbone("llama"), MethodComparison(("prompt", "lora", "icl"), 1, training=TRAINING)
    lm, tasks = LanguageModel(backbone.model), [(card, replace(split, dev=dev))]
    found = read(run_compare(Lab(tmp_path, backbone, lm), comparison, tasks)).methods
    said = f"all {len(dev)} dev examples are 'positive', so the epoch was chosen blindly"
    told = [any(w.startswith(said) for w in entry["seeds"][0]["tasks"][0]["warnings"]) for entry in found]
    assert told == [True, True, False]


def test_all_methods_of_a_seed_learn_the_same_drawn_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptbank.lab.methods import prompts, untrained

    seen: dict[str, list[set[str]]] = {"prompt": [], "icl": []}
    for name, kind in (("prompt", prompts.PromptLearner), ("icl", untrained.ShotLearner)):
        learn = kind.learn

        def noted(
            self: Any, card: Any, split: Split, progress: Any = None, *, name: str = name, learn: Any = learn
        ) -> Any:
            seen[name].append({e.id for e in split.train})
            return learn(self, card, split, progress)

        monkeypatch.setattr(kind, "learn", noted)
    found = compared(tmp_path, MethodComparison(("prompt", "icl"), seeds=2, rows=5, training=TRAINING))
    assert seen["prompt"] == seen["icl"]
    assert [len(rows) for rows in seen["prompt"]] == [5, 5]
    assert seen["prompt"][0] != seen["prompt"][1]
    assert [cell["tasks"][0]["sizes"]["train"] for cell in found.methods[0]["seeds"]] == [5, 5]


def test_methods_are_scored_on_rows_that_others_set_apart_and_by_what_the_answers_are(home: Path) -> None:
    pytest.importorskip("sklearn")
    keys = {
        "label_space": None,
        "answer_format": "intent_slots.v1",
        "intents": ["alarm", "news"],
        "slot_types": ["time"],
    }
    Path("card.jsonl").write_text(card_of(taskname="asks", truncate_field=None, **keys).canonical_json() + "\n")
    answers = {"wake me at": "\nIntent: alarm\nSlots: time({})", "what is new at": "\nIntent: news\nSlots: None"}
    for name, hours in (("train", range(12)), ("test", range(12, 15))):
        rows = [
            {"taskname": "asks", "sentence": f"{text} {hour}", "label": answer.format(hour)}
            for hour in hours
            for text, answer in answers.items()
        ]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = ("--card", "card.jsonl", "--task", "asks", "--data", "train.jsonl", "--dev-fraction", "0.3")
    asked += ("--epochs", "1", "--methods", "prompt,tfidf", "--seeds", "1", "--json")
    result = command_line(*asked, "--test-data", "test.jsonl")
    assert result.exit_code == 0, result.output
    prompt, tfidf = (json.loads(line) for line in result.stdout.splitlines())
    # every second test row is of each intent, and those about news have no slots
    assert (tfidf["intent_accuracy"], tfidf["slot_f1"], tfidf["score"]) == (1.0, 0.0, 0.5)
    assert {"intent_accuracy", "slot_f1"} <= prompt.keys()
    assert "test 6" in result.stderr
    refused = command_line(*asked, "--test-data", "train.jsonl")
    assert refused.exit_code == 1
    assert "24 of 24 test examples are of a group that train has too" in " ".join(refused.stderr.split())


def test_means_and_deviations_are_those_of_the_seeds(tmp_path: Path) -> None:
    (entry,) = compared(tmp_path, MethodComparison(("lora",), seeds=3, training=TRAINING)).methods
    scores = torch.tensor([cell["score"] for cell in entry["seeds"]], dtype=torch.float64)
    assert entry["score"]["mean"] == pytest.approx(float(scores.mean()))
    assert entry["score"]["sd"] == pytest.approx(float(scores.std()))
    gold = {e.id: e.answer for e in tasks_of("mood")[0][1].test}
    for cell in entry["seeds"]:
        predicted = cell["tasks"][0]["predicted"]
        assert cell["score"] == sum(predicted[i] == y for i, y in gold.items()) / len(gold)


def test_forgetting_is_measured_on_the_first_task_and_is_0_for_rows(tmp_path: Path) -> None:
    comparison = MethodComparison(("ptuning", "full", "icl", "tfidf"), seeds=1, training=TRAINING, lrs={"full": 0.05})
    found = compared(tmp_path, comparison, "mood", "spite")
    by_name = {entry["method"]: entry for entry in found.methods}
    for name in ("ptuning.v1", "icl.v1", "tfidf.v1"):
        assert by_name[name]["forgetting"] == {"mean": 0.0, "sd": None}
    (cell,) = by_name["full.v1"]["seeds"]
    assert cell["forgetting"] == pytest.approx(cell["matrix"][0][0] - cell["matrix"][1][0])
    assert [len(row) for row in cell["matrix"]] == [1, 2]
    assert by_name["full.v1"]["config"]["lr"] == 0.05
    assert compared(tmp_path, comparison).methods[0]["forgetting"] == {"mean": None, "sd": None}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"methods": ("lara",)}, "unknown method 'lara'"),
        ({"methods": ()}, "0 methods with 3 seeds"),
        ({"methods": ("lora",), "seeds": 0}, "1 methods with 0 seeds"),
        ({"methods": ("lora",), "lrs": {"full": 0.1}}, "full.v1, which is not compared"),
        ({"methods": ("tfidf",), "lrs": {"tfidf": 0.1}}, "tfidf.v1, which takes no steps"),
        ({"methods": ("lora",), "lrs": {"lora": 3.0}}, r"settings of lora.v1: lr = 3.0"),
        ({"methods": ("lora",), "training": {"epochs": 0}}, "epochs = 0"),
    ],
)
def test_wrong_settings_are_refused_at_once(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        MethodComparison(**wrong)


def test_too_few_rows_and_the_same_task_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"99 of the 1. training rows of mood:en"):
        compared(tmp_path, MethodComparison(("prompt",), rows=99))
    with pytest.raises(ConfigError, match="mood:en cannot be learnt after itself"):
        compared(tmp_path, MethodComparison(("prompt",)), "mood", "mood")


def test_a_name_twice_is_one_method() -> None:
    assert MethodComparison(("lora", "lora.v1")).methods == ("lora.v1",)


def test_memory_is_what_was_taken_after_the_meter_began() -> None:
    before = torch.ones(25_000_000)  # 100 MB that must not count
    meter = CostMeter()
    if meter._resident is None:
        pytest.skip("the high-water mark cannot be set back here")
    passing = torch.ones(50_000_000)
    del passing  # 200 MB that are gone again, and count
    meter.note(1.0)
    assert 190e6 < meter.cost["memory_bytes"] < 290e6
    assert meter.cost["peak_bytes"] > 300e6
    meter.note(99.0)
    assert meter.cost["train_seconds"] == 1.0  # of the first task alone
    assert len(before) == 25_000_000


def test_memory_that_an_earlier_run_freed_counts_again_when_it_is_taken_again() -> None:
    small = [torch.ones(10_000) for _ in range(4000)]  # 160 MB in pieces that the C library keeps when they are freed
    del small
    meter = CostMeter()
    if meter._resident is None:
        pytest.skip("the high-water mark cannot be set back here")
    again = [torch.ones(10_000) for _ in range(4000)]
    meter.note(1.0)
    assert meter.cost["memory_bytes"] > 150e6
    assert len(again) == 4000


def test_where_memory_cannot_be_measured_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meters, "PROC", tmp_path / "nowhere")
    meter = CostMeter()
    meter.note(2.0)
    assert (meter.cost["memory_bytes"], meter.cost["peak_bytes"]) == (None, None)


def command_line(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), ["compare", *arguments], prog_name="promptbank")


def test_costs_are_the_mean_of_seconds_and_the_most_memory() -> None:
    measured = {
        "lora.v1-0a.seed-0": {"train_seconds": 1.0, "memory_bytes": 4_000_000},
        "lora.v1-0a.seed-1": {"train_seconds": 2.0, "memory_bytes": None},
        "full.v1-0b.seed-0": {"train_seconds": 9.0, "memory_bytes": 9_000_000},
    }
    assert cost_of("lora.v1", measured) == LearningCost(1.5, 4)
    assert cost_of("icl.v1", measured) == LearningCost(None, None)


def test_the_command_prints_a_line_for_each_method(home: Path) -> None:
    result = command_line(
        *("--task", "sentiment-task", "--data", "data.jsonl", "--methods", "prompt,bitfit,icl"),
        *("--seeds", "1", "--epochs", "1", "--folds", "3", "--dev-fraction", "0.3", "--lr", "prompt=1e-2", "--json"),
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["method"] for line in lines] == ["prompt.v1", "bitfit.v1", "icl.v1"]
    assert lines[0]["bytes_per_task"] == 10 * 32 * 4
    assert "has no bias" in lines[1]["reason"]
    assert "bitfit.v1 could not run" in result.stderr
    assert [line for line in result.stderr.splitlines() if ": run " in line] == [
        f"{method}.v1, seed 0: run {k} of 3" for k, method in enumerate(("prompt", "bitfit", "icl"), 1)
    ]
    assert re.search(r"^prompt\.v1, seed 0 epoch 1 of \d+: train loss \d", result.stderr, re.M)
    assert Path(result.stderr.split("result: ")[1].splitlines()[0]).is_file()
    assert Path(result.stderr.split("report: ")[1].splitlines()[0].split(", ")[0]).suffix == ".md"


def test_the_command_learns_a_second_task_and_shows_a_table(home: Path) -> None:
    result = command_line(
        *("--task", "sentiment-task", "--then", "topic-task", "--methods", "prompt,tfidf", "--seeds", "1"),
        *("--epochs", "1", "--rows", "8"),
    )
    assert result.exit_code == 0, result.output
    assert "forgetting" in result.stdout
    assert "topic-task:en: no --data given" in result.stderr


def test_a_comparison_can_be_of_a_card_of_ones_own(home: Path) -> None:
    card = card_of(taskname="sentiment-task")
    Path("card.jsonl").write_text(card.canonical_json() + "\n")
    options = ("--card", "card.jsonl", "--methods", "prompt", "--seeds", "1", "--epochs", "1", "--json")
    result = command_line("--task", "sentiment-task", "--data", "data.jsonl", "--dev-fraction", "0.3", *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["bytes_per_task"] == 4 * 32 * 4  # the card's 4 virtual tokens, and not 10


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--lr", "lora"), "--lr 'lora'"),
        (("--then-data", "data.jsonl"), "--then-data needs --then"),
    ],
)
def test_wrong_usage_is_said(home: Path, options: tuple[str, ...], says: str) -> None:
    result = command_line("--task", "sentiment-task", *options)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_an_unknown_method_is_one_line(home: Path) -> None:
    result = command_line("--task", "sentiment-task", "--methods", "lora,magic")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: unknown method 'magic'; known: ptuning")
