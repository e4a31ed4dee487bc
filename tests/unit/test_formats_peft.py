"""Adapter folders of peft: what peft itself computes with them is what promptbank computes, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from promptbank.bank.formats.registry import export_tasks, import_tasks
from promptbank.errors import ConfigError, InputError
from promptbank.model.prompt_table import PromptTable
from tests.conftest import Promptbank
from tests.formats import TEXTS, bank_of, our_logits, stored
from tests.tiny import KINDS, Kind
from tests.worlds import AFTER, BEFORE, card_of

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # in peft
CONSTANT = "The tone <|VIRTUAL_PROMPT_0|>of<|VIRTUAL_PROMPT_1|> {sentence} so: {label}"
EXPRESSIBLE = [(BEFORE, (4,), "{}"), (CONSTANT, (3, 2), " {} so:")]


@torch.no_grad()
def logits_of_peft(folder: Path, adapter: Path, text: str, *, special: bool) -> torch.Tensor:
    """What a user of peft gets: model, adapter and tokenizer as in its documentation."""
    model = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), str(adapter)).eval()
    ids = AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=special, return_tensors="pt")
    logits: torch.Tensor = model(input_ids=ids["input_ids"], attention_mask=ids["attention_mask"]).logits
    return logits[0, -1]


@pytest.mark.parametrize(("template", "splits", "rest"), EXPRESSIBLE)
@pytest.mark.parametrize("kind", KINDS)
def test_peft_computes_the_same_logits_with_an_exported_row_and_it_comes_back_as_it_was(
    kind: Kind, template: str, splits: tuple[int, ...], rest: str, tmp_path: Path
) -> None:
    with bank_of(kind, tmp_path) as bank:
        row = stored(bank, card_of(template, splits))
        _, adapter = export_tasks(bank, ["mood"], "peft", tmp_path / "adapter")
        ((back, is_live),) = import_tasks(bank, adapter)
        assert (back.version, is_live) == (2, back.sha256 == row.sha256)  # live where nothing was put before the rows
        for text in TEXTS:
            ours = our_logits(bank, row, text)
            theirs = logits_of_peft(bank.backbone.path, adapter, rest.format(text), special=False)
            assert torch.allclose(ours, theirs, atol=1e-4)
            assert torch.allclose(our_logits(bank, back, text), ours, atol=1e-4)


CONFIGS: dict[str, Callable[[], peft.PeftConfig]] = {
    "PROMPT_TUNING": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "P_TUNING": lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=8),
}


def foreign_adapter(name: str, backbone: Path, out: Path) -> Path:
    torch.manual_seed(5)
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(backbone), CONFIGS[name]())
    for parameter in model.prompt_encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    model.save_pretrained(str(out))
    return out


def write_card(folder: Path, template: str = BEFORE, virtual_tokens: int = 4) -> str:
    (folder / "card.json").write_text(json.dumps(card_of(template, (virtual_tokens,)).plain()))
    return str(folder / "card.json")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_that_peft_has_made_answers_here_as_in_peft(kind: Kind, name: str, tmp_path: Path) -> None:
    with bank_of(kind, tmp_path) as bank:
        adapter = foreign_adapter(name, bank.backbone.path, tmp_path / "adapter")
        ((row, is_live),) = import_tasks(bank, adapter, card=write_card(tmp_path), lang="sv")
        assert (row.scope.taskname, row.scope.lang, row.version, is_live) == ("mood", "sv", 1, True)
        for text in TEXTS:
            theirs = logits_of_peft(bank.backbone.path, adapter, text, special=True)
            assert torch.allclose(our_logits(bank, row, text), theirs, atol=1e-4)
        assert import_tasks(bank, adapter, card=write_card(tmp_path), lang="sv")[0][0].version == 1  # not added again


def test_what_peft_cannot_express_is_refused_with_the_reason_and_writes_nothing(tmp_path: Path) -> None:
    with bank_of("llama", tmp_path) as bank:
        row = stored(bank, card_of(AFTER))
        with pytest.raises(InputError, match=r"the field 'sentence' stands before them.*--format vocabulary"):
            export_tasks(bank, ["mood"], "peft", tmp_path / "adapter")
        shape = (1, *PromptTable.from_bytes(row.kind, row.layout, row.data).input_rows.shape)
        rows = PromptTable.from_bytes(row.kind, row.layout, row.data).input_rows
        deep = PromptTable({"virtual_tokens": rows, "layer_vectors": torch.ones(shape)}, "deep.v1")
        new = replace(row, kind="deep.v1", layout=deep.layout, data=deep.to_bytes(), sha256=deep.sha256)
        version = bank.store.rows.freeze(new).version
        for form in ("peft", "vocabulary"):
            with pytest.raises(InputError, match=r"is a deep prompt.*bank export mood:en.*--kind rows"):
                export_tasks(bank, [f"mood@{version}"], form, tmp_path / "adapter")
        with pytest.raises(InputError, match="2 tasks are named, and this format holds one"):
            export_tasks(bank, ["mood", "mood@1"], "peft", tmp_path / "adapter")
        (tmp_path / "adapter").mkdir()
        (tmp_path / "adapter" / "mine").touch()
        stored(bank, card_of(BEFORE, taskname="tone"))
        with pytest.raises(ConfigError, match="is there already"):
            export_tasks(bank, ["tone"], "peft", tmp_path / "adapter")
        assert [path.name for path in (tmp_path / "adapter").iterdir()] == ["mine"]
        assert not list(tmp_path.glob("*.tmp"))


def changed_config(adapter: Path, **changes: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_wrong_with_an_adapter_is_told(tmp_path: Path) -> None:
    with bank_of("llama", tmp_path) as bank:
        adapter = foreign_adapter("PROMPT_TUNING", bank.backbone.path, tmp_path / "adapter")
        weights = adapter / "adapter_model.safetensors"
        good = load_file(weights)["prompt_embeddings"]

        def refused(says: str, template: str = BEFORE, virtual_tokens: int = 4) -> None:
            with pytest.raises(InputError, match=says):
                import_tasks(bank, adapter, card=write_card(tmp_path, template, virtual_tokens))

        with pytest.raises(InputError, match="does not say what its task is; give its card with --card"):
            import_tasks(bank, adapter)
        refused("has 4 virtual tokens, but the card of mood has 7", virtual_tokens=7)
        refused("must begin with <.VIRTUAL_PROMPT_0.>", AFTER)
        for tensors, says in [
            ({"prompt_embeddings": good * float("nan")}, "not finite"),
            ({"prompt_embeddings": good[:, :16].contiguous()}, "16 numbers, but those of its backbone 32"),
            ({"prompt_embeddings": good[0]}, "no matrix 'prompt_embeddings'"),
            ({"prompt_embeddings": torch.cat([good, good])}, "has 8 virtual tokens.*says 4.*encoder-decoder"),
            ({"other": good}, "no matrix 'prompt_embeddings' of virtual tokens, but other"),
        ]:
            save_file(tensors, weights)
            refused(says)
        weights.write_bytes(b"nonsense")
        refused("damaged or no safetensors file")
        weights.unlink()
        refused("has no adapter_model.safetensors")
        changed_config(adapter, peft_type="LORA")
        refused("adapter of the type 'LORA'; only prompts can be rows")
        (adapter / "adapter_config.json").write_text("[")
        refused("cannot be read")
        assert bank.make().rows.list() == []


def test_an_old_adapter_in_a_pickle_is_read_without_unpickling_it(tmp_path: Path) -> None:
    with bank_of("gpt2", tmp_path) as bank:
        adapter = foreign_adapter("PROMPT_TUNING", bank.backbone.path, tmp_path / "adapter")
        weights = adapter / "adapter_model.safetensors"
        torch.save(dict(load_file(weights)), adapter / "adapter_model.bin")
        rows = load_file(weights)["prompt_embeddings"]
        weights.unlink()
        ((row, _),) = import_tasks(bank, adapter, card=write_card(tmp_path))
        assert torch.equal(PromptTable.from_bytes(row.kind, row.layout, row.data).input_rows, rows)


def test_the_command_line_exports_and_imports(learnt: Promptbank, tmp_path: Path) -> None:
    told = learnt("bank", "export", "sentiment-task", "--format", "peft", "--out", "a")
    assert "stands before them" in told.stderr
    assert told.exit_code == 1
    assert (
        "--format is 'gguf'; possible: safetensors, peft, vocabulary"
        in learnt("bank", "export", "sentiment-task", "--format", "gguf").stderr
    )
    assert (
        "--format is 'x'; possible: auto, safetensors, peft, nemo"
        in learnt("bank", "import", "a", "--format", "x").stderr
    )
    told = learnt("bank", "export", "sentiment-task", "--format", "vocabulary", "--json")
    assert json.loads(told.stdout)["path"] == "sentiment-task.en.v1.model"
    assert (tmp_path / "sentiment-task.en.v1.model" / "README.md").is_file()
    learnt("bank", "export", "sentiment-task", "--out", "row.safetensors")
    told = learnt("bank", "import", "row.safetensors", "--card", "card.json")
    assert "brings its own card and language" in told.stderr
