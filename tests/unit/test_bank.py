"""The bank: a task is learnt, frozen and served from its bytes; another task changes none of them."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
import torch

from promptbank.bank.exchange import export_row, import_row, read_row
from promptbank.bank.learn import learn_task
from promptbank.bank.select import LIVE, find_row, find_scope, rows_of, select_row
from promptbank.bank.served import served_task
from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.bank.verify import verify_bank, verify_logits
from promptbank.engine.predictor import Prediction
from promptbank.errors import (
    AmbiguousLanguageError,
    BackboneMismatchError,
    InputError,
    TrainingError,
    UnknownTaskError,
)
from promptbank.model.backbone import Backbone, load_backbone
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress, StepReport
from store import DiskFullError, Scope, Store, StoreUnavailableError, TamperedRowError, open_store
from tasks import DataError, InputRecord, TaskError, parse_spec
from tests.stores import ROOT, behind_triggers
from tests.tiny import tiny_backbone
from tests.worlds import BEFORE, SPLIT, card_of, examples_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.02, dtype="float32", checkpoint_steps=1)


def learn(store: Store, home: Path, backbone: Backbone | None = None, *, seed: int = 0, progress=None, **keys):
    card = card_of(**keys)
    examples = examples_of(12, taskname=card.taskname, lang=card.lang)
    config = CONFIG.model_copy(update={"seed": seed})
    return learn_task(
        store,
        backbone or tiny_backbone("llama"),
        card,
        examples[:8],
        examples[8:],
        config,
        home=home,
        progress=progress,
    )


def ask(server: TaskServer, *records: dict, **keys) -> list:
    return server.answer(
        [RecordRequest(InputRecord(n, r, f"test:{n}"), **keys) for n, r in enumerate(records, start=1)]
    )


def test_what_is_served_is_what_was_measured(fresh_store: Store, tmp_path: Path) -> None:
    learnt = learn(fresh_store, tmp_path)
    row = select_row(fresh_store, parse_spec("mood"), tiny_backbone("llama"))
    assert row.data == learnt.trained.table.to_bytes()
    evaluation = fresh_store.evaluations.of(row.row_id)[0]
    assert (
        json.loads(evaluation.metrics_json)["accuracy"]
        == learnt.trained.epochs[learnt.trained.best_epoch - 1].dev.accuracy
    )
    assert evaluation.dtype == "float32"
    assert fresh_store.runs.get(learnt.run_id).status == "done"
    assert {name for _, name, _ in fresh_store.runs.metrics(learnt.run_id)} >= {
        "loss",
        "lr",
        "dev_accuracy",
        "dev_loss",
    }


def test_after_freezing_no_encoder_weight_is_left(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.suffix == ".safetensors"] == []


def test_learning_other_tasks_leaves_the_first_row_alias_and_answers_alone(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("gemma3")
    first = learn(fresh_store, tmp_path, backbone).row
    server = TaskServer(fresh_store, backbone)
    before = ask(server, {"taskname": "mood", "sentence": "fine"})[0]
    learn(fresh_store, tmp_path, backbone, taskname="tone", template=BEFORE)
    learn(fresh_store, tmp_path, backbone, taskname="gist", template=SPLIT, splits=(2, 3), label_space=None)
    after = fresh_store.rows.get(first.scope)
    assert (after.data, after.version) == (first.data, 1)
    assert ask(TaskServer(fresh_store, backbone), {"taskname": "mood", "sentence": "fine"})[0] == before
    assert len(fresh_store.aliases.history(first.scope, LIVE)) == 1
    assert verify_bank(fresh_store).faults == ()
    assert verify_logits(fresh_store, backbone) == type(verify_bank(fresh_store))(3, 0, ())


def test_tasks_of_all_kinds_answer_in_one_call_in_order(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("gpt2")
    learn(fresh_store, tmp_path, backbone)
    learn(fresh_store, tmp_path, backbone, taskname="tone", template=SPLIT, splits=(2, 3))
    learn(fresh_store, tmp_path, backbone, taskname="gist", label_space=None)
    records = [
        {"taskname": t, "sentence": s} for s in ("good", "a long sentence of text") for t in ("gist", "mood", "tone")
    ]
    server = TaskServer(fresh_store, backbone)
    together = ask(server, *records)
    assert [p.taskname for p in together] == ["gist", "mood", "tone"] * 2
    for record, prediction in zip(records, together, strict=True):
        alone = ask(server, record)[0]
        assert alone.label == prediction.label
        assert alone.text == prediction.text
        if alone.probabilities:
            assert prediction.probabilities == pytest.approx(alone.probabilities, abs=1e-4)
            assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_errors_stand_in_their_places_and_nothing_is_left_out(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    learn(fresh_store, tmp_path, backbone)
    answers = ask(
        TaskServer(fresh_store, backbone),
        {"taskname": "mod", "sentence": "x"},
        {"taskname": "mood", "sentence": "x", "label": "no such label"},
        {"taskname": "mood", "text": "x"},
        {"sentence": "x"},
        {"taskname": "mood", "sentence": "x", "lang": "sv"},
        {"taskname": "mood:en@1", "sentence": "x"},
        {"taskname": "mood", "sentence": "x", "lang": 3},
    )
    kinds = [type(answer) for answer in answers]
    assert kinds == [UnknownTaskError, Prediction, DataError, InputError, UnknownTaskError, Prediction, InputError]
    assert "did you mean mood?" in str(answers[0])


def test_the_language_is_the_records_then_the_requests_then_the_only_one(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    server = TaskServer(fresh_store, backbone)
    learn(fresh_store, tmp_path, backbone)
    record = {"taskname": "mood", "sentence": "x"}
    assert ask(server, record)[0].lang == "en"
    learn(fresh_store, tmp_path, backbone, lang="sv")
    assert ask(server, record)[0].lang == "en"  # as before it was learnt in Swedish
    assert find_scope(fresh_store, parse_spec("mood")).lang == "en"  # the same where no backbone is loaded
    fresh_store.defaults.choose("mood", "sv", reason="test")
    assert find_scope(fresh_store, parse_spec("mood")).lang == ask(server, record)[0].lang == "sv"
    assert find_scope(fresh_store, parse_spec("mood@1")).lang == "sv"
    fresh_store.defaults.choose("mood", "en", reason="test")
    fresh_store.aliases.retire(Scope("mood", "en", backbone.fingerprint))
    assert ask(server, record)[0].lang == "sv"
    learn(fresh_store, tmp_path, backbone, lang="gl")
    assert isinstance(ask(server, record)[0], AmbiguousLanguageError)
    with pytest.raises(AmbiguousLanguageError):
        find_scope(fresh_store, parse_spec("mood"))
    fresh_store.aliases.move(Scope("mood", "en", backbone.fingerprint), 1, reason="back")
    assert ask(server, record, lang="sv")[0].lang == "sv"
    assert ask(server, record | {"lang": "en"}, lang="sv")[0].lang == "en"
    assert ask(server, record, task="mood:sv")[0].lang == "sv"
    assert isinstance(ask(server, record | {"lang": "en"}, task="mood:sv")[0], DataError)


@pytest.mark.parametrize(("stored", "asked"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC"), ("NFD", "NFD")])
def test_a_taskname_is_found_however_its_letters_are_composed(
    fresh_store: Store, tmp_path: Path, stored: str, asked: str
) -> None:
    backbone = tiny_backbone("llama")
    server, name = TaskServer(fresh_store, backbone), normalize(stored, "känsla")
    learn(fresh_store, tmp_path, backbone, taskname=name)
    learn(fresh_store, tmp_path, backbone, taskname=name, lang="sv")
    fresh_store.defaults.choose(name, "sv", reason="test")
    found = ask(server, {"taskname": normalize(asked, "känsla"), "sentence": "x"})[0]
    assert (found.taskname, found.lang) == (name, "sv")
    assert find_scope(fresh_store, parse_spec(normalize(asked, "känsla:en"))).taskname == name
    assert len(rows_of(fresh_store, normalize(asked, "känsla"))) == 2
    near = str(ask(server, {"taskname": normalize(asked, "känsl"), "sentence": "x"})[0])
    assert "did you mean känsla?" in near
    assert isinstance(ask(server, {"taskname": "kansla", "sentence": "x"})[0], UnknownTaskError)  # another letter


def test_new_rows_and_rollbacks_are_served_without_a_restart(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    server = TaskServer(fresh_store, backbone)
    record = {"taskname": "mood", "sentence": "x"}
    assert isinstance(ask(server, record)[0], UnknownTaskError)
    scope = learn(fresh_store, tmp_path, backbone).row.scope
    assert ask(server, record)[0].version == 1
    learn(fresh_store, tmp_path, backbone, seed=1)
    assert ask(server, record)[0].version == 2
    fresh_store.aliases.rollback(scope, LIVE)
    assert ask(server, record)[0].version == 1
    assert ask(server, record, task="mood@2")[0].version == 2


def test_another_backbones_row_is_refused(fresh_store: Store, tmp_path: Path) -> None:
    learnt = learn(fresh_store, tmp_path, tiny_backbone("llama"))
    other = tiny_backbone("llama", seed=1)
    with pytest.raises(BackboneMismatchError, match="tiny-llama"):
        select_row(fresh_store, parse_spec("mood"), other)
    with pytest.raises(BackboneMismatchError, match="was trained with backbone"):
        served_task(learnt.row, 1, other)
    assert verify_logits(fresh_store, other).skipped == 1


def test_the_same_command_twice_gives_two_versions_of_the_same_bytes(fresh_store: Store, tmp_path: Path) -> None:
    one, two = learn(fresh_store, tmp_path).row, learn(fresh_store, tmp_path).row
    assert (one.version, two.version) == (1, 2)
    assert one.data == two.data
    assert fresh_store.aliases.get(one.scope) == 2


def test_two_trainings_at_once_get_two_versions(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    done: list[int] = []
    threads = [
        threading.Thread(target=lambda s=seed: done.append(learn(fresh_store, tmp_path, backbone, seed=s).row.version))
        for seed in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 2]
    assert verify_bank(fresh_store).faults == ()


class _Meanwhile(NoProgress):
    """Starts the very same training again from inside the first."""

    def __init__(self, again) -> None:
        self.again, self.error = again, None

    def on_step(self, report: StepReport) -> None:
        if self.error is None:
            try:
                self.again()
            except TrainingError as exc:
                self.error = exc


def test_the_very_same_training_twice_at_once_is_refused(fresh_store: Store, tmp_path: Path) -> None:
    progress = _Meanwhile(lambda: learn(fresh_store, tmp_path))
    learn(fresh_store, tmp_path, progress=progress)
    assert "under way in another process" in str(progress.error)


def test_a_run_that_stopped_between_row_and_alias_finds_its_row_again(
    fresh_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(fresh_store.aliases), "move", lambda *_a, **_k: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            learn(fresh_store, tmp_path)
    assert [info.aliases for info in fresh_store.rows.list()] == [()]
    row = learn(fresh_store, tmp_path).row
    assert row.version == 1
    assert [info.aliases for info in fresh_store.rows.list()] == [(LIVE,)]


class _Count(NoProgress):
    steps = 0

    def on_step(self, report: StepReport) -> None:
        self.steps += 1


def test_a_disk_that_is_full_at_the_freeze_costs_no_training(
    fresh_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise DiskFullError("the disk is full")

    first = learn(fresh_store, tmp_path, seed=1).row
    with monkeypatch.context() as patch:
        patch.setattr(type(fresh_store.rows), "freeze", full)
        with pytest.raises(DiskFullError):
            learn(fresh_store, tmp_path)
    assert fresh_store.rows.get(first.scope).version == 1
    counter = _Count()
    assert learn(fresh_store, tmp_path, progress=counter).row.version == 2
    assert counter.steps == 0  # the resume file was there; only the row had to be written


def test_a_prompt_can_start_from_another_tasks_row(fresh_store: Store, tmp_path: Path) -> None:
    first = learn(fresh_store, tmp_path).row

    config = CONFIG.model_copy(update={"init": "from:mood:en", "lr": 1e-12, "epochs": 1})
    examples = examples_of(12)
    again = learn_task(
        fresh_store, tiny_backbone("llama"), card_of(), examples[:8], examples[8:], config, home=tmp_path
    ).row
    assert torch.frombuffer(bytearray(again.data), dtype=torch.float32).numpy() == pytest.approx(
        torch.frombuffer(bytearray(first.data), dtype=torch.float32).numpy(), abs=1e-5
    )
    assert again.parent_version == 1


def test_an_exported_row_comes_back_with_every_bit(fresh_store: Store, tmp_path: Path) -> None:
    row = learn(fresh_store, tmp_path).row
    path = tmp_path / "mood.safetensors"
    export_row(row, path)
    back = read_row(path)
    assert {k: v for k, v in vars(back).items() if k != "row_id"} == {
        k: v for k, v in vars(row).items() if k != "row_id"
    }
    assert path.stat().st_size < 20_000
    assert import_row(fresh_store, path).version == 1  # it is there already


def test_a_tampered_export_is_refused(fresh_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mood.safetensors"
    row = learn(fresh_store, tmp_path).row
    export_row(row, path)
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(row.data[:16])] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Exception, match="sha256"):
        import_row(fresh_store, path)
    path.write_bytes(b"pickle?")
    with pytest.raises(InputError, match="damaged or no safetensors"):
        import_row(fresh_store, path)


def test_one_changed_bit_of_the_backbone_is_seen_in_the_logits(fresh_store: Store, tmp_path: Path) -> None:
    backbone = tiny_backbone("llama", seed=7)
    learn(fresh_store, tmp_path, backbone)
    assert verify_logits(fresh_store, backbone).faults == ()
    with torch.no_grad():
        backbone.model.get_output_embeddings().weight.view(-1)[0] += 1e-3
    assert "probe logits differ" in verify_logits(fresh_store, backbone).faults[0]


def test_find_row_needs_no_backbone_unless_there_are_several(fresh_store: Store, tmp_path: Path) -> None:
    llama = learn(fresh_store, tmp_path, tiny_backbone("llama")).row
    assert find_row(fresh_store, parse_spec("mood")) == llama
    gpt2 = learn(fresh_store, tmp_path, tiny_backbone("gpt2")).row
    for said in ("", "gemma-3-270m", gpt2.scope.fingerprint[:7]):
        with pytest.raises(BackboneMismatchError, match=r"several backbones: tiny-gpt2 \(\w{12}\), tiny-llama"):
            find_row(fresh_store, parse_spec("mood"), said)
    for kind, row in (("llama", llama), ("gpt2", gpt2)):
        for said in (f"tiny-{kind}", f"models/tiny-{kind}", row.scope.fingerprint[:12]):
            assert find_row(fresh_store, parse_spec("mood"), said) == row


def test_a_damaged_row_is_had_back_by_importing_it_again_and_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    with open_store(url) as store:
        first, row = learn(store, tmp_path).row, learn(store, tmp_path, seed=1).row
        export_row(row, path := tmp_path / "mood.safetensors")
        behind_triggers(url, f"UPDATE prompt_row SET data = zeroblob({len(row.data)}) WHERE version = 2")
        with pytest.raises(TamperedRowError, match="or import the row again"):
            store.rows.get(row.scope)
        assert find_scope(store, parse_spec("mood")) == row.scope
        assert [import_row(store, path).version for _ in range(2)] == [3, 3]
        assert store.rows.get(row.scope).data == row.data
        server = TaskServer(store, tiny_backbone("llama"))
        assert ask(server, {"taskname": "mood", "sentence": "x"})[0].version == 3
        assert len([*verify_bank(store).faults, *verify_logits(store, tiny_backbone("llama")).faults]) == 1
        assert store.rows.get(first.scope, 1) == first


@pytest.mark.parametrize("part", ["card_json", "policy_json"])
def test_a_row_that_this_version_cannot_serve_is_not_imported(fresh_store: Store, tmp_path: Path, part: str) -> None:
    row = learn(fresh_store, tmp_path).row
    newer = json.dumps(json.loads(getattr(row, part)) | {"from_the_future": 1})
    export_row(replace(row, **{part: newer}), path := tmp_path / "newer.safetensors")
    with pytest.raises((InputError, TaskError), match="from_the_future"):
        import_row(fresh_store, path)
    assert fresh_store.rows.versions(row.scope)[-1].version == 1


def test_a_row_that_this_version_cannot_serve_harms_no_other(fresh_store: Store, tmp_path: Path) -> None:
    row = learn(fresh_store, tmp_path).row
    for part in ("card_json", "policy_json"):
        newer = json.dumps(json.loads(getattr(row, part)) | {"from_the_future": 1})
        made = fresh_store.rows.freeze(replace(row, **{part: newer}))
        assert "from_the_future" in verify_logits(fresh_store, tiny_backbone("llama")).faults[-1]
        asked = [{"taskname": f"mood@{version}", "sentence": "x"} for version in (1, made.version)]
        good, bad = ask(TaskServer(fresh_store, tiny_backbone("llama")), *asked)
        assert isinstance(good, Prediction)
        assert "from_the_future" in str(bad)


def test_a_request_asks_once_whether_the_bank_moved_and_waits_once_for_one_out_of_reach(
    fresh_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(fresh_store, tmp_path)
    server, asked, revision = TaskServer(fresh_store, tiny_backbone("llama")), list[int](), type(fresh_store).revision
    records = [{"taskname": "mood", "sentence": text} for text in ("x", "y", "z")]

    def counted(store: Store) -> int:
        asked.append(1)
        if len(asked) > 1:
            raise StoreUnavailableError("no answer within 10 s")
        return revision(store)

    monkeypatch.setattr(type(fresh_store), "revision", counted)
    assert all(isinstance(answer, Prediction) for answer in ask(server, *records))
    assert len(asked) == 1
    answers = ask(server, *records, {"sentence": "x"})
    assert [type(answer) for answer in answers] == [*[StoreUnavailableError] * 3, InputError]
    assert len(asked) == 2


def test_a_language_that_decides_nothing_keeps_no_second_copy_of_a_row(fresh_store: Store, tmp_path: Path) -> None:
    learn(fresh_store, tmp_path)
    server = TaskServer(fresh_store, tiny_backbone("llama"))
    assert server.task(parse_spec("mood:en"), "sv") is server.task(parse_spec("mood:en"), "da")


def test_a_tampered_row_is_never_served(fresh_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learn(fresh_store, tmp_path)
    server = TaskServer(fresh_store, tiny_backbone("llama"))

    def tampered(*_args: object, **_keys: object) -> None:
        raise TamperedRowError("row 1 is not what was frozen")

    monkeypatch.setattr(type(fresh_store.rows), "get", tampered)
    assert isinstance(ask(server, {"taskname": "mood", "sentence": "x"})[0], TamperedRowError)


@pytest.mark.parametrize(("spare", "warned"), [(-1, True), (0, False), (1, False)])
def test_virtual_tokens_out_of_reach_of_local_layers_are_reported(
    fresh_store: Store, tmp_path: Path, spare: int, warned: bool
) -> None:
    tokenizer = tiny_backbone("gemma3").tokenizer

    def size(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    # 4 virtual tokens, the text, the longest answer and its end token
    reach = 4 + size("is") + max(size(" positive"), size(" negative")) + 1
    backbone = tiny_backbone("gemma3", sliding_window=reach + spare)
    examples = [replace(e, fields={"sentence": "is"}) for e in examples_of(4)]
    learnt = learn_task(fresh_store, backbone, card_of(BEFORE), examples, examples, CONFIG, home=tmp_path)
    assert any("local layers" in warning for warning in learnt.warnings) is warned


RELEASE = ROOT / "tests/fixtures/release_0_1_0"


@pytest.fixture
def old_bank(tmp_path: Path) -> Iterator[Store]:
    """The bank that release 0.1.0 wrote; see `tests/unit/test_store_release_0_1_0.py`."""
    with open_store(str(shutil.copy(RELEASE / "bank.db", tmp_path / "old.db"))) as store:
        yield store


@pytest.fixture(scope="module")
def old_backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("release")
    return load_backbone(str(shutil.copytree(RELEASE / "backbone", folder / "backbone")), home=folder)


def test_rows_of_release_0_1_0_answer_as_they_did(old_bank: Store, old_backbone: Backbone) -> None:
    expected = json.loads((RELEASE / "expected.json").read_text(encoding="utf-8"))
    asked = [
        {"taskname": a["taskname"], "lang": a["lang"], "sentence": expected["sentence"]} for a in expected["answers"]
    ]
    for said, answer in zip(expected["answers"], ask(TaskServer(old_bank, old_backbone), *asked), strict=True):
        found = answer.as_dict()
        for name in ("probabilities", "margin"):
            assert found.pop(name, {}) == pytest.approx(said.pop(name, {}), abs=1e-4)
        assert ("probability" in found) == ("text" in said)  # which 0.1.0 did not tell
        found.pop("probability", None)
        assert found == said


def test_a_row_that_release_0_1_0_exported_is_the_one_it_had(old_bank: Store, tmp_path: Path) -> None:
    row = read_row(RELEASE / "row.safetensors")
    kept = old_bank.rows.get(row.scope, row.version)
    assert replace(row, row_id=kept.row_id) == kept
    assert import_row(old_bank, RELEASE / "row.safetensors", live="never").version == kept.version
    export_row(kept, tmp_path / "again.safetensors")
    assert replace(read_row(tmp_path / "again.safetensors"), row_id=kept.row_id) == kept


def test_a_row_of_a_kind_that_this_version_does_not_know_is_named_and_harms_no_other(
    fresh_store: Store, tmp_path: Path
) -> None:
    row = learn(fresh_store, tmp_path).row
    fresh_store.rows.freeze(replace(row, kind="deep.v9"))
    assert verify_bank(fresh_store).faults == ()
    assert "kind 'deep.v9' are not known here" in verify_logits(fresh_store, tiny_backbone("llama")).faults[0]
    server = TaskServer(fresh_store, tiny_backbone("llama"))
    good, bad = ask(server, *({"taskname": f"mood@{version}", "sentence": "x"} for version in (1, 2)))
    assert isinstance(good, Prediction)
    assert "was it made by a newer promptbank?" in str(bad)


def test_an_exported_row_of_an_unknown_kind_is_not_imported(fresh_store: Store, tmp_path: Path) -> None:
    row = learn(fresh_store, tmp_path).row
    export_row(row, path := tmp_path / "mood.safetensors")
    path.write_bytes(path.read_bytes().replace(b"rows.v1", b"rows.v9"))
    with pytest.raises(InputError, match=r"kind 'rows\.v9' are not known here"):
        import_row(fresh_store, path)
    assert fresh_store.rows.versions(row.scope)[-1].version == 1
