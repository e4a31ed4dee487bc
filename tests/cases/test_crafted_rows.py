"""Rows and files that were made to break things: refused with a reason, found by `verify`, and never in others' way.

Kinds: values that are not finite (peft #2888 and torch issues on pickles made safetensors the format; it says nothing
about the numbers), shapes and ids of another model, types that JSON allows and the record does not, and files of other
programs: peft adapters, NeMo archives, torch checkpoints, GGUF.
"""

import json
import os
import shutil
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from promptbank.bank.exchange import export_row, import_row
from promptbank.bank.learn import learn_task
from promptbank.bank.task_server import RecordRequest, TaskServer
from promptbank.bank.verify import verify_bank, verify_logits
from promptbank.engine.predictor import Prediction
from promptbank.errors import InputError
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from store import InvalidRowError, Row, Store, StoreError, open_store
from tasks import InputRecord, TaskError
from tests.conftest import Promptbank
from tests.stores import new_row
from tests.tiny import tiny_backbone
from tests.worlds import card_of, examples_of

Change = Callable[[Row], Row]


@pytest.fixture(scope="module")
def learnt_row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """One sound row of the task "mood", frozen for the tiny llama."""
    folder = tmp_path_factory.mktemp("learnt")
    config = TrainConfig(epochs=1, batch_size=4, dtype="float32")
    examples = examples_of(12)
    with open_store(str(folder / "bank.db")) as store:
        return learn_task(store, tiny_backbone("llama"), card_of(), examples[:8], examples[8:], config, home=folder).row


def with_table(row: Row, tensor: torch.Tensor) -> Row:
    """The row with another matrix, and all that says its shape and hash."""
    table = PromptTable.of_rows(tensor)
    return replace(
        row,
        data=table.to_bytes(),
        layout=table.layout,
        sha256=table.sha256,
        virtual_tokens=table.virtual_tokens,
        hidden_size=table.hidden_size,
    )


def matrix(row: Row) -> torch.Tensor:
    return PromptTable.from_bytes(row.kind, row.layout, row.data).input_rows.clone()


def one_number(value: float) -> Change:
    def change(row: Row) -> Row:
        table = matrix(row)
        table[1, 2] = value
        return with_table(row, table)

    return change


def policy(**changes: object) -> Change:
    return lambda row: replace(row, policy_json=json.dumps(json.loads(row.policy_json) | changes))


def probes(**changes: object) -> Change:
    return lambda row: replace(row, probes_json=json.dumps(json.loads(row.probes_json) | changes))


def scope(**changes: str) -> Change:
    return lambda row: replace(row, scope=replace(row.scope, **changes))


def card(**changes: object) -> Change:
    return lambda row: replace(row, card_json=json.dumps(json.loads(row.card_json) | changes))


def nan_probe(row: Row) -> Row:
    return replace(row, probe_logits=struct.pack("<f", float("nan")) + row.probe_logits[4:])


UNSOUND: list[tuple[Change, str]] = [
    (one_number(float("nan")), "virtual_tokens holds numbers that are not finite"),
    (one_number(float("inf")), "virtual_tokens holds numbers that are not finite"),
    (one_number(float("-inf")), "virtual_tokens holds numbers that are not finite"),
    (lambda row: with_table(row, matrix(row)[:, :16]), "embeddings have 16 numbers, but those of its backbone 32"),
    (lambda row: with_table(row, torch.zeros(4, 64)), "embeddings have 64 numbers, but those of its backbone 32"),
    (lambda row: with_table(row, matrix(row)[:3]), "has 3 virtual tokens, but its card 4"),
    (lambda row: with_table(row, torch.zeros(40, 32)), "has 40 virtual tokens, but its card 4"),
    (policy(eos_id=10**9), "eos_id is 1000000000"),
    (policy(eos_id=-3), "eos_id is -3"),
    (policy(eos_id="1"), "eos_id is '1'"),
    (policy(eos_id=True), "eos_id is True"),
    (policy(eos_id=None), "eos_id is None"),
    (policy(eos_id=1.0), "eos_id is 1.0"),
    (policy(bos_id=[1]), r"bos_id is \[1\]"),
    (policy(bos_id=2**40), "bos_id is"),
    (policy(answer_tokens=0), "answer_tokens is 0"),
    (policy(answer_tokens="many"), "answer_tokens is 'many'"),
    (policy(answer_tokens=10**12), "answer_tokens is"),
    (policy(log_prior={"positive": float("nan"), "negative": -1.0}), "log_prior"),
    (policy(log_prior={"no label": -1.0}), "log_prior"),
    (policy(log_prior={"positive": "-1"}), "log_prior"),
    (policy(log_prior=[-1.0, -2.0]), "log_prior"),
    (policy(scoring=["tree.v1"]), "scored by"),
    (probes(token_ids=[10**9]), "token_ids of its probes"),
    (probes(**{"token_ids": "all"}), "token_ids of its probes"),
    (probes(inputs=[{"text": "x"}]), "inputs of its probes"),
    (probes(inputs=[{"sentence": 3}]), "inputs of its probes"),
    (probes(inputs=[]), "its probes are 0 inputs"),
    (probes(threads=10**9), "its probes"),
    (probes(threads="2"), "its probes"),
    (lambda row: replace(row, probes_json="[1, 2]"), "its probes"),
    (nan_probe, "logits of its probes are not finite"),
    (scope(taskname="../../x y:z@"), "is no taskname"),
    (scope(taskname="mood\n"), "is no taskname"),
    (scope(lang="English"), "no language code"),
    (scope(taskname="weather"), "its task is 'weather' in 'en', but its card's 'mood'"),
    (scope(lang="sv"), "its task is 'mood' in 'sv'"),
    (card(total_virtual_tokens=5, virtual_token_splits=[5]), "has 4 virtual tokens, but its card 5"),
    (card(**{"virtual_token_splits": "4"}), "virtual_token_splits"),
]


@pytest.mark.parametrize(("change", "says"), UNSOUND)
def test_an_unsound_row_is_refused_at_import_found_by_verify_and_in_nobodys_way(
    learnt_row: Row, sqlite_template: Path, tmp_path: Path, change: Change, says: str
) -> None:
    backbone = tiny_backbone("llama")
    bad = replace(change(learnt_row), training_json="{}")  # or it would be taken for the sound one
    sizes = {backbone.fingerprint: backbone}
    export_row(bad, path := tmp_path / "bad.safetensors")
    with open_store(str(shutil.copy(sqlite_template, tmp_path / "bank.db"))) as store:
        with pytest.raises((InputError, TaskError), match=says):
            import_row(store, path, sizes=sizes)
        assert store.rows.list() == []
        for row in (learnt_row, bad):  # as an older program could have imported it
            store.aliases.move(row.scope, store.rows.import_row(row).version, reason="test")
        for found in (verify_bank(store, sizes), verify_logits(store, backbone)):
            assert len(found.faults) == 1
            assert says.split(",")[0].replace("\\", "") in found.faults[0]
        answers_others(store, bad)


def answers_others(store: Store, bad: Row) -> None:
    """In one list the sound row's records are answered, and those of the bad one have its error in their places."""
    server = TaskServer(store, tiny_backbone("llama"))
    sound, spoilt = {"taskname": "mood@1", "sentence": "x"}, {"taskname": "mood@2", "lang": "en", "sentence": "x"}
    if (bad.scope.taskname, bad.scope.lang) != ("mood", "en"):
        spoilt = {"taskname": "mood", "lang": bad.scope.lang, "sentence": "x"} | {"taskname": bad.scope.taskname}
    records = [
        InputRecord(n, r, f"{n}") for n, r in enumerate([sound | {"lang": "en"}, spoilt, sound | {"lang": "en"}])
    ]
    first, error, third = server.answer([RecordRequest(record) for record in records])
    assert isinstance(first, Prediction)
    assert isinstance(third, Prediction)
    assert isinstance(error, (InputError, TaskError))


def test_without_the_backbone_the_rest_is_checked_all_the_same(learnt_row: Row, fresh_store: Store, tmp_path) -> None:
    export_row(policy(eos_id=-3)(learnt_row), path := tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="eos_id is -3, which is no id from 0 to 2147483646"):
        import_row(fresh_store, path)


def test_the_command_line_knows_the_sizes_of_the_backbone_at_hand(
    promptbank: Promptbank, learnt_row: Row, home: Path
) -> None:
    from promptbank.model.backbone import identify

    here = identify(Path(os.environ["PROMPTBANK_BACKBONE"]))
    row = replace(
        with_table(learnt_row, torch.zeros(4, 64)),
        scope=replace(learnt_row.scope, fingerprint=here.fingerprint),
        tokenizer_sha256=here.tokenizer_sha256,
    )
    export_row(row, Path("wide.safetensors"))
    result = promptbank("bank", "import", "wide.safetensors")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "embeddings have 64 numbers, but those of its backbone 32" in result.stderr


# Files


def crafted(row: Row, path: Path, change: Callable[[dict[str, Any]], object], **tensors: torch.Tensor) -> Path:
    """Write an exported row whose JSON was changed by hand."""
    export_row(row, path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    plain = json.loads(metadata["row"])
    changed = change(plain)
    text = changed if isinstance(changed, str) else json.dumps(plain)
    save_file(load_file(path) | tensors, path, metadata={"format": metadata["format"], "row": text})
    return path


def put(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda plain: plain.update(values)


CRAFTED: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (put(seed="17"), "seed is '17', not of type int"),
    (put(seed=True), "seed is True"),
    (put(seed=1.5), "seed is 1.5"),
    (put(seed=2**70), "seed"),
    (put(probe_shape=[1, 2, 3]), r"probe_shape is \(1, 2, 3\)"),
    (put(probe_shape=["a", "b"]), "probe_shape"),
    (put(probe_shape=[-1, 3]), "probe_shape"),
    (put(probe_shape=7), "lacks part of a row"),
    (put(virtual_tokens="4"), "virtual_tokens is '4'"),
    (put(hidden_size=None), "hidden_size is None"),
    (put(parent_version="1"), "parent_version is '1'"),
    (put(sha256=7), "sha256 is 7"),
    (put(card_json={"taskname": "mood"}), "card_json is"),
    (put(policy_json=[]), "policy_json is"),
    (put(scope="mood:en"), "lacks part of a row"),
    (put(scope={"taskname": 1, "lang": "en", "fingerprint": "f"}), "taskname is 1"),
    (put(created_at=17), "lacks part of a row"),
    (put(created_at="yesterday"), "lacks part of a row"),
    (put(layout=[["virtual_tokens", "float32"]]), "lacks part of a row"),
    (put(layout=[["virtual_tokens", "float32", [4, "32"]]]), "the layout has the tensor"),
    (put(layout=[["virtual_tokens", "float32", [4, -32]]]), "the layout has the tensor"),
    (put(layout=[["virtual_tokens", "float32", [2**31, 2**31]]]), "layout"),
    (put(layout=[["other", "float32", [4, 32]]]), "lacks part of a row"),
    (put(layout=7), "lacks part of a row"),
    (put(kind=7), "kind"),
    (put(kind="rows.v9"), "not known here"),
    (put(from_the_future=1), "has parts this version does not know"),
    (put(policy_json="[" * 100_000), "nested too deeply"),
    (put(card_json='{"a":' * 50_000), "nested too deeply"),
    (lambda _: "[" * 100_000, "damaged"),
    (lambda _: "[1]", "no JSON object"),
    (lambda _: '{"seed": NaN}', "damaged"),
    (lambda _: '{"seed": 1, "seed": 2}', "damaged"),
]


@pytest.mark.parametrize(("change", "says"), CRAFTED)
def test_a_crafted_file_ends_in_a_clear_error(
    learnt_row: Row, tmp_path: Path, sqlite_template: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    path = crafted(learnt_row, tmp_path / "row.safetensors", change)
    with open_store(str(sqlite_template)) as store, pytest.raises((InputError, TaskError, StoreError), match=says):
        import_row(store, path)


@pytest.mark.parametrize(
    "logits",
    [torch.zeros(3, dtype=torch.bfloat16), torch.zeros(2, 2), torch.zeros(0), torch.zeros(5, dtype=torch.int64)],
)
def test_probe_logits_of_another_shape_or_type_are_refused(
    learnt_row: Row, tmp_path: Path, fresh_store: Store, logits: torch.Tensor
) -> None:
    path = crafted(learnt_row, tmp_path / "row.safetensors", lambda _: None, probe_logits=logits)
    with pytest.raises((InputError, StoreError)):
        import_row(fresh_store, path)


def torch_file(path: Path) -> None:
    torch.save({"prompt_encoder": torch.zeros(2, 2)}, path)


def old_torch_file(path: Path) -> None:
    torch.save({"x": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)


def nemo_file(path: Path) -> None:
    (path.parent / "model_config.yaml").write_text("virtual_prompt_style: p-tuning\n")
    with tarfile.open(path, "w") as archive:
        archive.add(path.parent / "model_config.yaml", "model_config.yaml")


def peft_folder(path: Path) -> None:
    path.mkdir()
    (path / "adapter_config.json").write_text('{"peft_type": "P_TUNING", "num_virtual_tokens": 20}')


def folder_with(name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        (path / name).write_text("{}")

    return make


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("adapter", peft_folder, r"is a peft folder \(P_TUNING\).*--format peft"),
        ("unpacked", folder_with("model_config.yaml"), "unpacked .nemo"),
        ("model", folder_with("config.json"), "folder of a model.*--backbone"),
        ("runs", folder_with("notes.txt"), "is a folder"),
        ("task.nemo", nemo_file, "tar archive, as NeMo's .nemo files are"),
        ("decoder.pt", torch_file, "PyTorch checkpoint.*--format nemo.*promptbank train"),
        ("adapter_model.bin", old_torch_file, "PyTorch checkpoint.*can run code"),
        ("model.gguf", lambda path: path.write_bytes(b"GGUF\x03\0\0\0"), "GGUF model"),
        ("other.db", lambda path: path.write_bytes(b"SQLite format 3\0" * 40), "SQLite database"),
        ("task.tgz", lambda path: path.write_bytes(b"\x1f\x8b\x08\0"), "gzip file"),
        ("empty.safetensors", lambda path: path.touch(), "is empty"),
        ("missing.safetensors", Path.exists, "does not exist"),
        ("notes.txt", lambda path: path.write_text("dear bank"), "damaged or no safetensors file"),
        ("pipe", os.mkfifo, "pipe or a device"),
        ("null", lambda path: path.symlink_to("/dev/zero"), "pipe or a device"),
        (
            "adapter_model.safetensors",
            lambda path: save_file({"prompt_embeddings": torch.zeros(2, 2)}, path),
            "prompt embeddings of peft",
        ),
        ("lora.safetensors", lambda path: save_file({"q.lora_A.weight": torch.zeros(2, 2)}, path), "LoRA adapter"),
        ("model.safetensors", lambda path: save_file({"wte.weight": torch.zeros(2, 2)}, path), "of another program"),
        ("header.safetensors", lambda path: path.write_bytes(struct.pack("<Q", 2**60) + b"{}"), "damaged"),
    ],
)
def test_a_file_that_is_no_exported_row_is_called_what_it_is(
    fresh_store: Store, tmp_path: Path, name: str, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=says):
        import_row(fresh_store, tmp_path / name)
    assert fresh_store.rows.list() == []


@pytest.mark.parametrize(
    "changes",
    [{"seed": "1"}, {"probe_shape": (1, 3, 1)}, {"data_sha256": b"x"}, {"layout": (("a", "float32", (2.0, 3)),)}],
)
def test_the_store_refuses_values_of_other_types_at_every_door(fresh_store: Store, changes: dict[str, Any]) -> None:
    row = replace(new_row(), **changes)
    for door in (fresh_store.rows.check, fresh_store.rows.freeze):
        with pytest.raises(InvalidRowError):
            door(row)
    assert fresh_store.rows.list() == []


# Writing an exported row


def test_an_export_goes_straight_to_what_is_no_file_and_follows_no_link_that_was_laid_out(
    learnt: Promptbank, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    for guess in ("row.safetensors.tmp", ".row.safetensors.tmp", "row.tmp"):
        (tmp_path / guess).symlink_to(victim)
    before = {path.name for path in tmp_path.iterdir()}
    assert learnt("bank", "export", "sentiment-task", "--out", "/dev/null").exit_code == 0
    assert not Path("/dev/null").is_file()
    assert learnt("bank", "export", "sentiment-task", "--out", "row.safetensors").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} - before == {"row.safetensors"}
    assert victim.read_text() == "kept"
    assert not (tmp_path / "row.safetensors").is_symlink()


@pytest.mark.parametrize("out", ["folder", "missing/row.safetensors", "/dev/full"])
def test_an_export_that_fails_leaves_nothing(learnt: Promptbank, tmp_path: Path, out: str) -> None:
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    result = learnt("bank", "export", "sentiment-task", "--out", out)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_export_into_a_pipe_is_read_at_its_other_end(learnt: Promptbank, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert learnt("bank", "export", "sentiment-task", "--out", "pipe").exit_code == 0
    (tmp_path / "copy.safetensors").write_bytes(os.read(reader, 1 << 20))
    os.close(reader)
    assert learnt("bank", "import", "copy.safetensors").exit_code == 0
