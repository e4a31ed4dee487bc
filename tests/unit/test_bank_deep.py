"""Rows of kind deep.v1 in a bank: whatever a row can do, they do."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from rich.progress import Progress

from promptbank.bank.exchange import export_row, import_row, read_row
from promptbank.bank.halve import halved
from promptbank.bank.learn import LearntTask, TrainingRequest, learn_task, learn_tasks
from promptbank.bank.rows import describe_row, list_rows, row_facts
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.bank.start import StartRows, find_start
from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.bank.verify import verify_bank, verify_logits
from promptbank.cli.progress import TerminalDisplay
from promptbank.config import Settings
from promptbank.engine.predictor import Prediction, PredictionRequest, Predictor, ServedTask
from promptbank.errors import InputError
from promptbank.lab.methods.registry import METHODS
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_kinds import LAYER_VECTORS
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from promptbank.training.examples import training_renderer
from store import Store, TamperedRowError, open_store
from tasks import Example, InputRecord, Split
from tests.killing import KillAt, Killed
from tests.stores import behind_triggers
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import BEFORE, SPLIT, card_of, examples_of

CONFIG = TrainConfig(kind="deep", epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1)
NUMBERS = 4 * 32 * 2  # V = 4, H = 32, the input rows and the vectors of the second of 2 layers
BYTES = 2 * NUMBERS  # float16


def learn(
    store: Store, home: Path, kind: Kind = "llama", progress=None, config: TrainConfig = CONFIG, **keys
) -> LearntTask:
    card = card_of(**keys)
    examples = examples_of(12, taskname=card.taskname, lang=card.lang)
    backbone = tiny_backbone(kind)
    return learn_task(store, backbone, card, examples[:8], examples[8:], config, home=home, progress=progress)


def ask(server: TaskServer, *records: dict[str, str]) -> list[object]:
    return list(server.answer([RecordRequest(InputRecord(n, r, f"test:{n}")) for n, r in enumerate(records, start=1)]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_row_is_learnt_frozen_served_and_verified(fresh_store: Store, tmp_path: Path, kind: Kind) -> None:
    learnt = learn(fresh_store, tmp_path, kind)
    row = fresh_store.rows.get(learnt.row.scope)
    assert (row.kind, row.virtual_tokens, row.hidden_size, len(row.data)) == ("deep.v1", 4, 32, BYTES)
    assert [name for name, _, _ in row.layout] == ["virtual_tokens", "layer_vectors"]
    exact = PromptTable.from_bytes(row.kind, row.layout, row.data).tensors
    learnt_in = learnt.trained.table.tensors
    assert all(torch.equal(exact[name], tensor.to(exact[name].dtype)) for name, tensor in learnt_in.items())
    assert verify_bank(fresh_store).faults == ()
    assert verify_logits(fresh_store, tiny_backbone(kind)).faults == ()
    assert not (tmp_path / "runs" / learnt.run_id).exists()  # no encoder is left
    server = TaskServer(fresh_store, tiny_backbone(kind))
    texts = [example.fields["sentence"] for example in examples_of(12)[8:]]
    answers = ask(server, *({"taskname": "mood", "sentence": text} for text in texts))
    gold = [example.answer for example in examples_of(12)[8:]]
    right = [isinstance(one, Prediction) and one.label == answer for one, answer in zip(answers, gold, strict=True)]
    assert sum(right) / len(right) == learnt.metrics["accuracy"]


def test_tasks_of_both_kinds_are_learnt_together_and_answer_in_one_call_as_alone(
    fresh_store: Store, tmp_path: Path
) -> None:
    cards = [card_of(), card_of(BEFORE, taskname="tone"), card_of(SPLIT, (2, 2), taskname="gist", label_space=None)]
    configs = [CONFIG, CONFIG.model_copy(update={"kind": "rows"}), CONFIG]
    requests = []
    for card, config in zip(cards, configs, strict=True):
        examples = examples_of(12, taskname=card.taskname)
        requests.append(TrainingRequest(card, examples[:8], examples[8:], config, name=card.taskname))
    learnt = learn_tasks(fresh_store, tiny_backbone("gemma3"), requests, home=tmp_path)
    assert [one.row.kind for one in learnt] == ["deep.v1", "rows.v1", "deep.v1"]
    server = TaskServer(fresh_store, tiny_backbone("gemma3"))
    records = [{"taskname": c.taskname, "sentence": e.fields["sentence"]} for c in cards for e in examples_of(5)]
    together = ask(server, *records)
    for record, answer in zip(records, together, strict=True):
        (alone,) = ask(server, record)
        assert isinstance(answer, Prediction)
        assert isinstance(alone, Prediction)
        assert (answer.label, answer.text) == (alone.label, alone.text)
        assert list((answer.probabilities or {}).values()) == pytest.approx(
            list((alone.probabilities or {}).values()), abs=1e-4
        )


def test_it_is_told_what_is_waited_for_after_the_last_epoch_of_a_deep_prompt(
    fresh_store: Store, tmp_path: Path
) -> None:
    said = io.StringIO()
    display = TerminalDisplay(Progress(console=Console(file=said, width=200)), is_drawn=True)
    learn(fresh_store, tmp_path, config=CONFIG.model_copy(update={"kind": "rows"}), progress=display)
    assert "are answered" not in said.getvalue()
    learn(fresh_store, tmp_path, progress=display)
    assert "mood:en: 4 dev examples are answered in float32, in float16 and by the stored row" in said.getvalue()


def test_learning_a_deep_row_moves_no_answer_of_another_task(fresh_store: Store, tmp_path: Path) -> None:
    rows = learn(fresh_store, tmp_path, config=CONFIG.model_copy(update={"kind": "rows"})).row
    server = TaskServer(fresh_store, tiny_backbone("llama"))
    asked = [{"taskname": "mood", "sentence": example.fields["sentence"]} for example in examples_of(6)]
    before = ask(server, *asked)
    learn(fresh_store, tmp_path, taskname="other")
    assert ask(server, *asked) == before
    assert ask(TaskServer(fresh_store, tiny_backbone("llama")), *asked) == before
    assert fresh_store.rows.get(rows.scope) == rows


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    found = []
    for name, steps in (("whole", []), ("killed", [1, 3])):
        with open_store(f"sqlite:///{tmp_path / name}.db") as store:
            for step in steps:
                with pytest.raises(Killed):
                    learn(store, tmp_path / name, progress=KillAt(step))
            found.append(learn(store, tmp_path / name).row.sha256)
    assert found[0] == found[1]


def start_of(store: Store, config: TrainConfig, **keys) -> PromptTable:
    backbone = tiny_backbone("llama")
    renderer = training_renderer(backbone, card_of(**keys), config)
    lm = LanguageModel(backbone.model)
    return find_start(StartRows(store), backbone, lm, renderer, config, examples_of(4)).table


def test_step_0_from_a_row_is_that_row_and_from_a_deep_row_that_one(fresh_store: Store, tmp_path: Path) -> None:
    rows = learn(fresh_store, tmp_path, config=CONFIG.model_copy(update={"kind": "rows"})).row
    deep = learn(fresh_store, tmp_path, taskname="other").row
    from_rows = start_of(fresh_store, CONFIG.model_copy(update={"init": "from:mood"}))
    assert from_rows.to_bytes() == rows.data + bytes(len(rows.data))  # float32, vectors of zero
    from_deep = start_of(fresh_store, CONFIG.model_copy(update={"init": "from:other"}))
    assert from_deep.to_bytes() == deep.data
    wide = start_of(fresh_store, CONFIG.model_copy(update={"init": "from:other"}), template=BEFORE, splits=(6,))
    assert torch.equal(wide.tensors[LAYER_VECTORS], from_deep.tensors[LAYER_VECTORS][:, [0, 1, 2, 3, 0, 1]])


def test_rows_from_a_deep_row_say_that_its_vectors_are_left_out(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path, taskname="other")
    config = CONFIG.model_copy(update={"kind": "rows", "init": "from:other"})
    learnt = learn(fresh_store, tmp_path, config=config)
    assert (learnt.row.kind, learnt.notes) == ("rows.v1", ("of other:en@1 only the input rows are taken",))


def test_the_nearest_row_may_be_deep(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path, taskname="other", config=CONFIG.model_copy(update={"epochs": 20, "lr": 0.05}))
    learnt = learn(fresh_store, tmp_path, config=CONFIG.model_copy(update={"init": "nearest", "epochs": 1}))
    assert learnt.row.kind == "deep.v1"
    assert "other:en@1 " in learnt.notes[0]


def test_an_exported_deep_row_comes_back_with_every_bit(fresh_store: Store, tmp_path: Path) -> None:
    row = learn(fresh_store, tmp_path).row
    export_row(row, path := tmp_path / "mood.safetensors")
    assert replace(read_row(path), row_id=row.row_id) == row
    with open_store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        imported = import_row(other, path)
        assert imported.data == row.data
        assert verify_logits(other, tiny_backbone("llama")).faults == ()


def test_one_changed_number_of_a_vector_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    with open_store(url) as store:
        row = learn(store, tmp_path).row
        export_row(row, path := tmp_path / "mood.safetensors")
        last = row.data[-1] ^ 1
        behind_triggers(
            url, f"UPDATE prompt_row SET data = CAST(substr(data, 1, {BYTES - 1}) || x'{last:02x}' AS BLOB)"
        )
        with pytest.raises(TamperedRowError, match=r"the bytes of mood:en@1 were changed"):
            store.rows.get(row.scope)
        assert len(verify_bank(store).faults) == 1
        raw = bytearray(path.read_bytes())
        raw[raw.rindex(row.data[-16:])] ^= 1
        path.write_bytes(raw)
        with pytest.raises(Exception, match="sha256"):
            import_row(store, path)


def test_the_kind_and_the_layout_of_a_row_are_under_its_seal(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    with open_store(url) as store:
        row = learn(store, tmp_path).row
        swapped = json.dumps([row.layout[1], row.layout[0]])
        behind_triggers(url, f"UPDATE prompt_row SET layout = '{swapped}'")
        with pytest.raises(TamperedRowError, match="something beside the bytes"):
            store.rows.get(row.scope)


def test_a_row_for_another_number_of_layers_is_named_and_harms_no_other(fresh_store: Store, tmp_path: Path) -> None:
    row = learn(fresh_store, tmp_path).row
    table = PromptTable.from_bytes(row.kind, row.layout, row.data).of_kind("rows.v1", 2).of_kind("deep.v1", 5)
    forged = replace(row, layout=table.layout, data=table.to_bytes(), sha256=table.sha256)
    fresh_store.rows.freeze(forged)
    with pytest.raises(InputError, match="mood:en@2 acts in 5 layers, and tiny-llama has 2"):
        served_task(forged, 2, tiny_backbone("llama"))
    server = TaskServer(fresh_store, tiny_backbone("llama"))
    good, bad = ask(server, *({"taskname": f"mood@{version}", "sentence": "x"} for version in (1, 2)))
    assert isinstance(good, Prediction)
    assert isinstance(bad, InputError)


def test_deep_and_rows_are_different_trainings_and_auto_is_rows(fresh_store: Store, tmp_path: Path) -> None:
    asked = [CONFIG.model_copy(update={"kind": kind}) for kind in ("auto", "rows", "deep")]
    auto, rows, deep = (learn(fresh_store, tmp_path, config=config) for config in asked)
    assert auto.row.sha256 == rows.row.sha256 != deep.row.sha256
    assert rows.run_id == f"{auto.run_id}-2"  # the very same training
    assert not deep.run_id.startswith(auto.run_id)
    assert json.loads(deep.row.training_json)["config"]["kind"] == "deep"
    assert json.loads(auto.row.training_json)["config"]["kind"] == "rows"


def test_deep_prompts_are_a_method_to_compare_and_forget_nothing() -> None:
    backbone = tiny_backbone("llama")
    config = CONFIG.model_copy(update=METHODS["deep.v1"].training)
    learner = METHODS["deep.v1"].begin(backbone, LanguageModel(backbone.model), config)
    examples = examples_of(12)
    split = Split(tuple(examples[:6]), tuple(examples[6:9]), tuple(examples[9:]))
    assert learner.size(card_of()).stored_bytes == 4 * NUMBERS
    learner.learn(card_of(), split)
    before = learner.evaluate(card_of(), split.test)
    other: list[Example] = examples_of(12, taskname="other")
    learner.learn(card_of(taskname="other"), Split(tuple(other[:6]), tuple(other[6:9]), tuple(other[9:])))
    assert learner.evaluate(card_of(), split.test).metrics == before.metrics


def test_a_deep_row_is_halved_where_every_dev_answer_stays_and_says_what_was_measured(
    fresh_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = learn(fresh_store, tmp_path).row
    assert {dtype for _, dtype, _ in row.layout} == {"float16"}
    storage = json.loads(row.training_json)["storage"]
    assert (storage["dtype"], storage["examples"], storage["changed"]) == ("float16", 4, 0)
    assert 0 < storage["difference"] < 0.01
    monkeypatch.setattr(torch.Tensor, "half", lambda tensor: (tensor * -9).to(torch.float16))  # other answers
    whole = learn(fresh_store, tmp_path, taskname="other").row
    assert {dtype for _, dtype, _ in whole.layout} == {"float32"}
    assert len(whole.data) == 4 * NUMBERS
    storage = json.loads(whole.training_json)["storage"]
    assert (storage["dtype"], storage["changed"] > 0) == ("float32", True)
    assert verify_logits(fresh_store, tiny_backbone("llama")).faults == ()
    rows = learn(fresh_store, tmp_path, taskname="third", config=CONFIG.model_copy(update={"kind": "rows"})).row
    assert "storage" not in json.loads(rows.training_json)
    assert len(rows.data) == 4 * 4 * 32


def test_the_largest_difference_of_a_probability_is_that_of_the_two_tables(fresh_store: Store, tmp_path: Path) -> None:
    learnt = learn(fresh_store, tmp_path)
    backbone = tiny_backbone("llama")
    lm, renderer = LanguageModel(backbone.model), training_renderer(backbone, card_of(), CONFIG)
    table, told = halved(lm, renderer, learnt.trained.table, examples_of(12)[8:])
    found = []
    for one in (learnt.trained.table, table):
        task = ServedTask("mood", "en", 0, "", renderer, one)
        answers = Predictor(lm).predict([PredictionRequest(task, e.fields) for e in examples_of(12)[8:]])
        found.append([list((answer.probabilities or {}).values()) for answer in answers])  # type: ignore[union-attr]
    pairs = [(p, q) for a, b in zip(*found, strict=True) for p, q in zip(a, b, strict=True)]
    assert told["difference"] == max(abs(p - q) for p, q in pairs) > 0


def test_numbers_too_large_for_float16_stay_in_float32() -> None:
    backbone = tiny_backbone("llama")
    lm, renderer = LanguageModel(backbone.model), training_renderer(backbone, card_of(), CONFIG)
    rows = PromptTable.of_rows(torch.full((4, 32), 1e6)).of_kind("deep.v1", 2)
    table, told = halved(lm, renderer, rows, examples_of(2))
    assert (table, told["dtype"]) == (rows, "float32")


def test_lists_tell_kind_and_bytes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    with open_store(url) as store:
        learn(store, tmp_path)
        learn(store, tmp_path, taskname="tone", config=CONFIG.model_copy(update={"kind": "rows"}))
    with Bank(Settings(home=tmp_path, db=url)) as bank:
        told = [(facts["kind"], facts["bytes"]) for facts in (row_facts(bank, info) for info in list_rows(bank))]
        assert told == [("deep.v1", BYTES), ("rows.v1", 4 * 4 * 32)]
        described = describe_row(bank, "mood")
    assert (described["kind"], described["bytes"]) == ("deep.v1", BYTES)
    assert described["tensors"] == [
        {"name": "virtual_tokens", "dtype": "float16", "shape": [4, 32]},
        {"name": "layer_vectors", "dtype": "float16", "shape": [1, 4, 32]},
    ]
