"""Prompts as adapter folders of peft (https://github.com/huggingface/peft), PROMPT_TUNING and P_TUNING, both ways.

peft feeds its virtual tokens first and then what the tokenizer makes of the text, begin token included. A card can be
told so if no field of the record stands before its last virtual token: all that stands up to there, the begin token
and constant text too, is the same for every record, and becomes rows of the adapter. What follows is given to peft as
text, without special tokens. The other way round, the begin token that a tokenizer puts before the text becomes one
more row behind the adapter's own.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from promptbank.bank.cards import chosen_card
from promptbank.bank.formats.foreign import ForeignPrompt, in_language
from promptbank.bank.formats.new_folder import new_folder
from promptbank.bank.formats.torch_file import read_tensors
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.files import read_json, sha256_of
from promptbank.model.backbone import Backbone
from promptbank.model.inject import embed, pack
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import TokenPolicy
from store import Row
from tasks import Field, TaskCard, VirtualBlock, parse_card
from tasks.template import places

__all__ = ["ADAPTER_CONFIG", "prompt_of_adapter", "write_adapter"]

ADAPTER_CONFIG, OWN_FILE = "adapter_config.json", "promptbank.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
EMBEDDINGS = "prompt_embeddings"
KINDS = ("PROMPT_TUNING", "P_TUNING")
FIRST = "<|VIRTUAL_PROMPT_0|>"
LARGEST = 128 * 2**20


def write_adapter(bank: Bank, row: Row, out: Path) -> None:
    """Write a row as an adapter folder that peft loads.

    Raises:
        InputError: it is a deep prompt, or a field of the record stands before a virtual token.
        ConfigError: the folder is there and not empty, or cannot be written.
    """
    name = f"{row.scope.taskname}:{row.scope.lang}@{row.version}"
    task = served_task(row, row.version, bank.backbone)
    card, policy = task.renderer.card, task.renderer.policy
    _check_expressible(name, card, task.table)
    ids = task.renderer.prompt(dict.fromkeys(card.fields, "")).ids
    leading = ids[: max(place for place, token in enumerate(ids) if token < 0) + 1]
    with torch.no_grad():
        rows = embed(bank.lm.embedding, pack([leading], [task.table]))[0].contiguous()
    own = {"card": _card_of_rows(card, len(rows)).plain(), "policy": replace(policy, bos_id=None).as_dict()}
    with new_folder(out) as folder:
        (folder / ADAPTER_CONFIG).write_text(json.dumps(_config(bank.backbone, rows), indent=2))
        (folder / WEIGHTS[0]).write_bytes(save({EMBEDDINGS: rows}, metadata={"format": "pt"}))
        (folder / OWN_FILE).write_text(json.dumps(own | {"row": {"name": name, "sha256": row.sha256}}, indent=2))
        (folder / "README.md").write_text(_readme(name, bank.backbone, _rest(card)))


def prompt_of_adapter(bank: Bank, folder: Path, card: str | None, lang: str | None) -> ForeignPrompt:
    """Read an adapter folder.

    Args:
        bank: its backbone is the one that the adapter was made for.
        folder: with ``adapter_config.json`` and the weights.
        card: file or built-in variant with the task's card; None takes the one that `write_adapter` left.
        lang: of the task; None for the card's own.

    Raises:
        InputError: it is of another kind, damaged, or does not fit the card.
        TaskError: the card is faulty.
    """
    config = _read_config(folder / ADAPTER_CONFIG)
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(f"{folder} has no {WEIGHTS[0]}; was it saved with save_pretrained?")
    rows = _read_rows(weights, config)
    told = {"format": "peft", "file": folder.name, "sha256": sha256_of(weights), "peft_type": config["peft_type"]}
    told |= {"base_model": str(config.get("base_model_name_or_path"))}
    own = folder / OWN_FILE
    if card is None and own.is_file():
        raw = _read_config(own, ("card", "policy"))
        made = in_language(parse_card(_object(raw["card"], own), source=str(own)), lang)
        return ForeignPrompt(made, rows, _policy(_object(raw["policy"], own), own), told)
    if card is None:
        raise InputError(f"{folder} does not say what its task is; give its card with --card FILE")
    return _with_begin_token(bank, in_language(chosen_card(bank.store_if_there(), None, None, card), lang), rows, told)


def _with_begin_token(bank: Bank, card: TaskCard, rows: torch.Tensor, told: dict[str, object]) -> ForeignPrompt:
    """Put the begin token's embedding behind the rows, where peft's tokenizer puts the token."""
    if not card.prompt_template.startswith(FIRST) or len(card.virtual_token_splits) > 1:
        raise InputError(
            f"peft feeds all virtual tokens before the text, so the template of {card.taskname} must begin with "
            f"{FIRST} and have no other; it is {card.prompt_template!r}"
        )
    if card.total_virtual_tokens != len(rows):
        raise InputError(
            f"{told['file']} has {len(rows)} virtual tokens, but the card of {card.taskname} has "
            f"{card.total_virtual_tokens}; set total_virtual_tokens and virtual_token_splits in it to {len(rows)}"
        )
    policy = TokenPolicy.of(bank.backbone.tokenizer)
    if policy.bos_id is None or rows.shape[1] != bank.backbone.hidden_size:  # which `keep_prompts` refuses
        return ForeignPrompt(card, rows, policy, told)
    with torch.no_grad():
        begin = bank.lm.embedding(torch.tensor([policy.bos_id])).float()
    rows = torch.cat([rows.float(), begin])
    told |= {"begin_token": "last row"}
    return ForeignPrompt(_resized(card, len(rows)), rows, replace(policy, bos_id=None), told)


def _check_expressible(name: str, card: TaskCard, table: PromptTable) -> None:
    if table.layers is not None:
        raise InputError(
            f"{name} is a deep prompt, which acts between the layers too, and peft's prompts act on the input alone; "
            f"`promptbank bank export {name}` keeps all of it, or train it with --kind rows"
        )
    last = max(place for place, part in enumerate(card.segments) if isinstance(part, VirtualBlock))
    before = [part.name for part in card.segments[:last] if isinstance(part, Field)]
    if before:
        raise InputError(
            f"peft feeds virtual tokens before the text, but in {name} the field {before[0]!r} stands before them "
            f"({card.prompt_template!r}); `--format vocabulary` can express it, or train with a template that begins "
            f"with {FIRST}"
        )


def _rest(card: TaskCard) -> str:
    """Return the template after its last virtual block."""
    block, places_of = max(
        ((part, at) for part, at in places(card.prompt_template).items() if isinstance(part, VirtualBlock)),
        key=lambda pair: pair[1],
    )
    return card.prompt_template[places_of[0] + len(f"<|VIRTUAL_PROMPT_{block.index}|>") :]


def _card_of_rows(card: TaskCard, count: int) -> TaskCard:
    return _resized(card.model_copy(update={"prompt_template": f"{FIRST}{_rest(card)}"}), count)


def _resized(card: TaskCard, count: int) -> TaskCard:
    sizes = {"total_virtual_tokens": count, "virtual_token_splits": [count]}
    return parse_card(card.plain() | sizes, source=card.taskname)


def _config(backbone: Backbone, rows: torch.Tensor) -> dict[str, object]:
    config = backbone.model.config.get_text_config()
    return {
        "peft_type": "PROMPT_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": backbone.name,
        "inference_mode": True,
        "num_virtual_tokens": len(rows),
        "token_dim": rows.shape[1],
        "num_transformer_submodules": 1,
        "num_attention_heads": config.num_attention_heads,
        "num_layers": config.num_hidden_layers,
        "prompt_tuning_init": "RANDOM",
    }


def _read_config(path: Path, needed: tuple[str, ...] = ("peft_type",)) -> dict[str, object]:
    try:
        config = read_json(path)
    except (OSError, ValueError) as exc:
        raise InputError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(config, dict) or not config.keys() >= set(needed):
        raise InputError(f"{path} is no JSON object with {' and '.join(needed)}")
    kind = config.get("peft_type", KINDS[0])
    if kind not in KINDS:
        raise InputError(
            f"{path.parent} is a peft adapter of the type {kind!r:.40}; only prompts can be rows: {', '.join(KINDS)}"
        )
    return config


def _object(raw: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise InputError(f"{path}: its card and its policy must be JSON objects")
    return raw


def _policy(raw: Mapping[str, Any], path: Path) -> TokenPolicy:
    try:
        return TokenPolicy(**raw)
    except TypeError as exc:
        raise InputError(f"{path}: its policy is none that this promptbank knows ({exc})") from exc


def _read_rows(path: Path, config: dict[str, object]) -> torch.Tensor:
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} has {path.stat().st_size:,} bytes; a prompt has at most {LARGEST:,}")
    data = path.read_bytes()
    try:
        read = read_tensors(data, str(path), EMBEDDINGS.__eq__) if path.suffix == ".bin" else load(data)
    except (SafetensorError, ValueError) as exc:
        raise InputError(f"{path} is damaged or no safetensors file: {exc}") from exc
    rows, count = read.get(EMBEDDINGS), config.get("num_virtual_tokens")
    if rows is None or rows.dim() != 2:
        raise InputError(f"{path} holds no matrix {EMBEDDINGS!r} of virtual tokens, but {', '.join(read) or 'nothing'}")
    if len(rows) != count:
        raise InputError(
            f"{path} has {len(rows)} virtual tokens, and its {ADAPTER_CONFIG} says {count!r:.40}; prompts of "
            "encoder-decoder models, which have twice as many, are not read"
        )
    return rows


def _readme(name: str, backbone: Backbone, rest: str) -> str:
    return f"""# {name} for peft

A prompt of promptbank for the backbone `{backbone.name}` (fingerprint `{backbone.fingerprint}`). What stands before its
last virtual token in the template, the begin token included, is part of the adapter.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BACKBONE), THIS_FOLDER)
tokenizer = AutoTokenizer.from_pretrained(BACKBONE)
ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_tensors="pt")
logits = model(**ids).logits
```

* `text` is {rest!r} with the fields of a record put in, up to the answer.
* White space right before the answer belongs to the answer: leave it out at the end of the text.
* Give one text at a time, or pad on the right: with padding on the left peft puts the pads between prompt and text, and
  the answers differ (peft #1093).
* `promptbank.json` holds the card, so that `promptbank bank import THIS_FOLDER` needs nothing else.
"""
