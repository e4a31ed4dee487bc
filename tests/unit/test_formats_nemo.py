"""Prompt tables of NeMo's files, and a reader of torch's files that runs nothing of them.

The files are laid out as `MegatronGPTPromptLearningModel.state_dict` of NeMo had them: v1.9 (flat), v1.10 to v1.16
(nested, with a buffer of indices) and v1.17 on (`prompt_encoder` with an `inference_table`).
"""

from __future__ import annotations

import collections
import gzip
import io
import os
import pickle
import shutil
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from promptbank.bank.formats import nemo_file
from promptbank.bank.formats.registry import import_tasks
from promptbank.bank.formats.torch_file import read_tensors
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.model.prompt_table import PromptTable
from store import Row
from tasks import TaskError
from tests.formats import bank_of, our_logits, random_rows, stored
from tests.worlds import card_of

TEMPLATE = "<|VIRTUAL_PROMPT_0|> {sentence} tone:<|VIRTUAL_PROMPT_1|>{label}"
CONFIG = f"""\
restore_path: null
new_tasks: ["mood"]
task_templates:
- taskname: mood
  prompt_template: "{TEMPLATE}"
  total_virtual_tokens: 5
  virtual_token_splits: [3, 2]
  truncate_field: null
  answer_only_loss: false
  answer_field: label
- taskname: squad
  prompt_template: "<|VIRTUAL_PROMPT_0|>{{context}} {{question}} {{answer}}"
  total_virtual_tokens: 2
  virtual_token_splits: [2]
  truncate_field: context
  answer_only_loss: true
  answer_field: answer
"""
MOOD, SQUAD = random_rows(5, seed=1), random_rows(2, seed=2)


def flat(prefix: str = "prompt_table.prompt_table.") -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}.prompt_embeddings.weight": rows for name, rows in (("mood", MOOD), ("squad", SQUAD))}


def nested() -> object:
    indices = {f"prompt_table.{name}.indices": torch.arange(5) for name in ("mood", "squad")}
    state = collections.OrderedDict(flat("prompt_table.") | indices)
    state._metadata = collections.OrderedDict(version=1)  # type: ignore[attr-defined] # as a module's state has
    return {"prompt_table": state}


def encoder() -> object:
    lstm = collections.OrderedDict(torch.nn.LSTM(4, 4).state_dict())
    return {"prompt_table": collections.OrderedDict(flat("prompt_table.")), "lstm_head": lstm}


def half() -> object:
    return {name: torch.nn.Parameter(rows.bfloat16()) for name, rows in flat().items()}


def saved(value: object, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def archive(path: Path, *members: tuple[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


def nemo(path: Path, weights: bytes, config: str = CONFIG, prefix: str = "./", mode: str = "w") -> Path:
    folder = prefix if prefix.endswith("/") else ""
    return archive(
        path,
        ("./model_config.yaml", config.encode()),
        (f"{folder}model_weights.ckpt", weights),
        ("./tokenizer.model", b"x"),
        mode=mode,
    )


def rows_of(row: Row) -> torch.Tensor:
    return PromptTable.from_bytes(row.kind, row.layout, row.data).input_rows


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return bank_of("llama", tmp_path_factory.mktemp("nemo"))


@pytest.mark.parametrize("state", [flat, nested, encoder, half])
@pytest.mark.parametrize(("prefix", "mode"), [("./", "w"), ("mp_rank_00/", "w"), ("./", "w:gz")])
def test_every_prompt_of_a_nemo_file_becomes_a_row_under_its_own_template(
    bank: Bank, tmp_path: Path, state: Callable[[], object], prefix: str, mode: str
) -> None:
    path = nemo(tmp_path / "tasks.nemo", saved(state()), prefix=prefix, mode=mode)
    mood, squad = (row for row, _ in import_tasks(bank, path, lang="sv"))
    assert [(row.scope.taskname, row.scope.lang, row.virtual_tokens) for row in (mood, squad)] == [
        ("mood", "sv", 5),
        ("squad", "sv", 2),
    ]
    stored_as = (lambda rows: rows.bfloat16().float()) if state is half else (lambda rows: rows)
    assert torch.equal(rows_of(mood), stored_as(MOOD))
    assert torch.equal(rows_of(squad), stored_as(SQUAD))
    assert TEMPLATE in mood.card_json
    assert '"format": "nemo"' in mood.training_json


def test_an_imported_prompt_answers_as_the_same_numbers_put_in_by_hand(bank: Bank, tmp_path: Path) -> None:
    ((row, _), _) = import_tasks(bank, nemo(tmp_path / "tasks.nemo", saved(flat())))
    backbone = bank.backbone
    text = backbone.tokenizer(" bad tone:", add_special_tokens=False)["input_ids"]
    ids = torch.tensor([backbone.bos_id, *text])
    embedded = backbone.model.get_input_embeddings()(ids)
    by_hand = torch.cat([embedded[:1], MOOD[:3], embedded[1:], MOOD[3:]])[None]
    with torch.no_grad():
        logits = backbone.model(inputs_embeds=by_hand).logits[0, -1]
    assert torch.allclose(our_logits(bank, row, "bad"), logits, atol=1e-4)


def test_folders_and_checkpoints_are_read_and_a_card_can_bring_labels(bank: Bank, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    folder.mkdir()
    (folder / "model_config.yaml").write_text(CONFIG)
    (folder / "model_weights.ckpt").write_bytes(saved(nested()))
    assert len(import_tasks(bank, folder)) == len(import_tasks(bank, folder / "model_weights.ckpt")) == 2
    lonely = tmp_path / "epoch=3.ckpt"
    lonely.write_bytes(saved({"state_dict": {k: v for k, v in flat().items() if "mood" in k}, "epoch": 3}))
    with pytest.raises(InputError, match=r"comes without model_config\.yaml.*--card FILE"):
        import_tasks(bank, lonely)
    (tmp_path / "card.json").write_text(card_of(TEMPLATE, (3, 2)).canonical_json())
    ((row, _),) = import_tasks(bank, lonely, card=str(tmp_path / "card.json"))
    assert "positive" in row.card_json
    assert torch.equal(rows_of(row), MOOD)


def refused(bank: Bank, path: Path, says: str) -> None:
    before = len(bank.make().rows.list())
    with pytest.raises((InputError, TaskError), match=says):
        import_tasks(bank, path, form="nemo")
    assert len(bank.make().rows.list()) == before


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (lambda: {"prompt_table.mood.prompt_embeddings.weight": MOOD[:4]}, "4 virtual tokens, but its card 5"),
        (lambda: {"prompt_table.mood.prompt_embeddings.weight": MOOD * float("inf")}, "not finite"),
        (lambda: {"prompt_table.mood.prompt_embeddings.weight": MOOD * 0}, "was its training stopped before its end"),
        (lambda: {"prompt_table.mood.prompt_embeddings.weight": MOOD[:, :8].contiguous()}, "8 numbers"),
        (lambda: {"prompt_table.mood.prompt_embeddings.weight": MOOD[:, :8]}, "not in one piece"),
        (lambda: {"prompt_table.taxes.prompt_embeddings.weight": MOOD}, "no card named 'taxes'"),
        (lambda: {"embeddings.weight": MOOD}, "holds no prompt table"),
        (lambda: {}, "holds no prompt table"),
        (
            lambda: {"prompt_table.mood.prompt_embeddings.weight": torch.zeros(5, 32, dtype=torch.int64) + 1},
            "numbers are torch.int64",
        ),
    ],
)
def test_prompts_that_do_not_fit_are_refused_with_the_reason(
    bank: Bank, tmp_path: Path, state: Callable[[], object], says: str
) -> None:
    refused(bank, nemo(tmp_path / "tasks.nemo", saved(state())), says)


# What a file may do to its reader


class Call:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


def lookalike() -> object:
    """A call under a name that is nearly allowed."""
    return type("OrderedDict", (), {"__module__": "collections.abc", "__qualname__": "OrderedDict"})


def with_pickle(data: bytes, compress: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file:
        file.writestr("archive/data.pkl", data)
        for name, content in more.items():
            file.writestr(f"archive/data/{name.removeprefix('n')}", content)
    return out.getvalue()


MARK = "ran.txt"
NAMED = {
    "os.system": Call(os.system, f"touch {MARK}"),
    "eval": Call(eval, f"open({MARK!r}, 'w')"),
    "getattr": Call(getattr, "os", "system"),
    "torch.load": Call(torch.load, MARK),
    "torch.hub": Call(torch.hub.load, "a/b", "c"),
    "subprocess": Call(__import__("subprocess").Popen, ["touch", MARK]),
    "a tensor with hooks": Call(
        torch._utils._rebuild_tensor_v2, Call(os.system, f"touch {MARK}"), 0, (1,), (1,), False, {}
    ),
    "in a list in a dictionary": {"a": [{"b": (1, Call(os.system, f"touch {MARK}"))}]},
    "as a key": {("a", Call(os.system, f"touch {MARK}")): 1},
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"prompt_table.mood.prompt_embeddings.weight": NAMED[name]}
    data = with_pickle(pickle.dumps(state, protocol=protocol))
    refused(bank, nemo(tmp_path / "tasks.nemo", data), "its pickle names|in a way that is not known|instruction")
    assert not (tmp_path / MARK).exists()


PICKLES = {
    b"cposix\nsystem\n(S'x'\ntR.": "names posix.system",
    b"\x80\x02ccollections\nOrderedDict.x\n.": "names collections.OrderedDict.x",
    b"\x80\x02ctorch\nFloatStorage\n)R.": "calls .*FloatStorage",
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.": "calls",
    b"\x80\x02(ios\nsystem\n.": "instruction INST",
    b"\x80\x02(cos\nsystem\no.": "names os.system",
    b"\x80\x02ccollections\nOrderedDict\n)\x81.": "instruction NEWOBJ",
    b"\x80\x02\x82\x01.": "instruction EXT1",
    b"\x80\x02}ccollections\nOrderedDict\nb.": "holds no prompt table",
    b"\x80\x02ccollections\nOrderedDict\n}b.": "sets attributes of what is no dictionary",
    b"\x80\x02X\x01\x00\x00\x00xQ.": "refers to something that is no storage",
    b"\x80\x02Pstorage\n.": "instruction PERSID",
    b"\x80\x02r\xff\xff\xff\xff.": "is not read",
    b"\x80\x02]r\xff\xff\xff\xff.": "no prompt table",
    b"\x80\x02h\x05.": "is not read",
    b"\x80\x02(((((.": "takes more values than it has",
    b"\x80\x02}": "is not read",
    b"": "is not read",
    b"\x80\x02a.": "is not read",
    b"\x80\x02u.": "is not read",
    b"\x80\x02}X\x01\x00\x00\x00aK\x01s.": "holds no prompt table",
    b"\x80\x02}]K\x01s.": "a key that is neither text nor whole number: list",
    b"\x80\x02\x8c\x02os\x8c\x06system\x93.": "names os.system",
    b"\x80\x02}" + b"q\x00h\x00X\x01\x00\x00\x00ah\x00s.": "in over 8 others",
}


@pytest.mark.parametrize("data", PICKLES)
def test_every_crafted_pickle_is_refused_with_one_line(bank: Bank, tmp_path: Path, data: bytes) -> None:
    refused(bank, nemo(tmp_path / "tasks.nemo", with_pickle(data)), PICKLES[data])


def test_all_that_torch_can_save_of_tensors_is_read_as_torch_reads_it() -> None:
    tensors = {
        "float": torch.randn(3, 2),
        "double": torch.randn(2).double(),
        "half": torch.randn(2, 2).half(),
        "bfloat16": torch.randn(2, 1).bfloat16(),
        "long": torch.arange(3),
        "empty": torch.zeros(0, 4),
        "part": torch.randn(6)[2:4],
        "scalar": torch.tensor(1.5),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
    for options in ({}, {"pickle_protocol": 4}, {"pickle_protocol": 5}):
        found = read_tensors(saved({"a": {"b": tensors}}, **options), "a file", lambda _: True)
        assert found.keys() == {f"a.b.{name}" for name in tensors}
        for name, tensor in tensors.items():
            assert torch.equal(found[f"a.b.{name}"], tensor.detach()), name
            assert found[f"a.b.{name}"].dtype == tensor.dtype


@pytest.mark.parametrize("cut", [10, 100, 400, -30, -5])
def test_a_file_that_is_cut_short_is_refused(bank: Bank, tmp_path: Path, cut: int) -> None:
    data = saved(flat())
    refused(bank, nemo(tmp_path / "tasks.nemo", data[:cut]), "is not read")


def shared_tuples(depth: int) -> bytes:
    """A pickle of a few bytes whose value is a tuple of 2 ** depth numbers."""
    return b"\x80\x02K\x01" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(depth))


BOMBS = {
    "compressed": with_pickle(pickle.dumps({"a": "x" * 10_000_000}), zipfile.ZIP_DEFLATED),
    "long index": with_pickle(b"\x80\x02" + b"K\x010" * 6_000_000 + b"."),
    "tuples as key": with_pickle(b"\x80\x02}" + shared_tuples(60)[2:] + b"K\x01s."),
    "tuples called": with_pickle(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n" + shared_tuples(60)[2:] + b"R."),
    "tuples as a storage": with_pickle(shared_tuples(60) + b"Q."),
    "dictionaries": with_pickle(
        b"\x80\x02}q\x00"
        + b"".join(b"}q%c(K\x01h%cK\x02h%cK\x03h%cK\x04h%cu" % (n, n - 1, n - 1, n - 1, n - 1) for n in range(1, 40))
        + b"."
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_grow_without_end_is_refused_in_little_memory(bank: Bank, tmp_path: Path, name: str) -> None:
    path = nemo(tmp_path / "tasks.nemo", BOMBS[name])
    tracemalloc.start()
    try:
        refused(bank, path, "is not read")
        assert tracemalloc.get_traced_memory()[1] < 150_000_000
    finally:
        tracemalloc.stop()


def test_numbers_are_read_within_their_storage_only(bank: Bank, tmp_path: Path) -> None:
    data = saved(flat())
    for old, new, says in [(b"K\x00K\x02", b"K\x01K\x02", "not in one piece"), (b"K@t", b"KAt", "256 bytes, not 260")]:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        index = next(name for name in parts if name.endswith("data.pkl"))
        assert old in parts[index]
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            for name, content in parts.items():
                file.writestr(name, content.replace(old, new) if name == index else content)
        refused(bank, nemo(tmp_path / "tasks.nemo", out.getvalue()), says)


def linked(kind: bytes) -> Callable[[Path, bytes], None]:
    def make(path: Path, weights: bytes) -> None:
        with tarfile.open(path, "w") as file:
            link = tarfile.TarInfo("model_config.yaml")
            link.type, link.linkname = kind, "/etc/passwd"
            file.addfile(link)

    return make


ARCHIVES: dict[str, tuple[Callable[[Path, bytes], object], str]] = {
    "parent": (lambda path, _: archive(path, ("../model_config.yaml", b"x")), "leads out of the archive"),
    "inside": (lambda path, data: archive(path, ("a/../../b/model_weights.ckpt", data)), "leads out of the archive"),
    "absolute": (lambda path, data: archive(path, ("/etc/model_weights.ckpt", data)), "leads out of the archive"),
    "symbolic link": (linked(tarfile.SYMTYPE), "is a link"),
    "hard link": (linked(tarfile.LNKTYPE), "is a link"),
    "no weights": (lambda path, _: archive(path, ("model_config.yaml", CONFIG.encode())), "no model_weights.ckpt"),
    "no configuration": (
        lambda path, data: archive(path, ("model_weights.ckpt", data)),
        "comes without model_config.yaml",
    ),
    "device": (lambda path, _: path.write_bytes(b"no archive" * 100), "damaged or no .nemo file"),
    "cut": (
        lambda path, data: path.write_bytes(nemo(path, data).read_bytes()[:3000]),
        "damaged|holds no prompt table|not read",
    ),
    "cut gzip": (lambda path, data: path.write_bytes(nemo(path, data, mode="w:gz").read_bytes()[:900]), "damaged"),
    "yaml": (
        lambda path, data: nemo(path, data, config="task_templates: !!python/object/apply:os.system ['true']"),
        "a record is a JSON object, not a string",
    ),
    "aliases": (lambda path, data: nemo(path, data, config="a: &a [b]\ntask_templates: [*a]"), "."),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_is_not_as_nemo_writes_it_is_refused(bank: Bank, tmp_path: Path, name: str) -> None:
    make, says = ARCHIVES[name]
    make(tmp_path / "tasks.nemo", saved(flat()))
    refused(bank, tmp_path / "tasks.nemo", says)


def test_what_is_too_large_is_refused_before_it_is_read(
    bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tasks.nemo"
    path.write_bytes(gzip.compress(bytes(4_000_000)))
    monkeypatch.setattr(nemo_file, "LARGEST_UNPACKED", 1_000_000)
    refused(bank, path, "unpacked has 1,000,001 bytes or more")
    nemo(path, saved(flat()), config=CONFIG + "#" * 2**20)
    refused(bank, path, r"model_config.yaml has 1,\d+,\d+ bytes or more; a file with prompts has at most 1,048,576")
    shutil.rmtree(tmp_path / "folder", ignore_errors=True)
    with tarfile.open(path, "w") as file:
        info = tarfile.TarInfo("model_weights.ckpt")
        info.size = 2**40  # only said
        file.addfile(info, io.BytesIO(b"")) if False else file.fileobj.write(info.tobuf())  # type: ignore[union-attr]
    refused(bank, path, "has 1,099,511,627,776 bytes|damaged")


def test_rows_of_another_program_and_own_rows_share_versions(bank: Bank, tmp_path: Path) -> None:
    row = stored(bank, card_of(TEMPLATE, (3, 2), taskname="shared"))
    config = CONFIG.replace("taskname: mood", "taskname: shared")
    state = {"prompt_table.shared.prompt_embeddings.weight": MOOD}
    ((imported, is_live),) = import_tasks(bank, nemo(tmp_path / "tasks.nemo", saved(state), config))
    assert (row.version, imported.version, is_live) == (1, 2, False)
    assert bank.store.check() == []
