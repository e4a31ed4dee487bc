"""Rows as tokens of a copy of the backbone, so that programs which know only token ids can serve the tasks.

Each virtual token becomes a token ``<taskname:lang:i>`` whose input embedding is the row. Plain transformers, vLLM and,
after a conversion, llama.cpp then read a prompt as any text. Logits of all other tokens stay as they were, but the new
tokens get logits too, which means nothing: they must never be generated.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import AddedToken

from promptbank.bank.formats.new_folder import new_folder
from promptbank.bank.served import served_task
from promptbank.bank.session import Bank
from promptbank.engine.predictor import ServedTask
from promptbank.errors import InputError
from promptbank.model.backbone.pretrained import load_model, load_tokenizer
from promptbank.model.render import virtual_row
from store import Row
from tasks import Field, Text, VirtualBlock, counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["write_vocabulary"]


@dataclass(frozen=True, eq=False)
class _TaskTokens:
    """A task, its tokens in the order of its rows, and their ids."""

    name: str
    task: ServedTask
    tokens: list[str]
    ids: list[int]

    def of(self, rendered: Sequence[int]) -> list[int]:
        """Return a rendered prompt with the new ids in the places of its virtual tokens."""
        return [self.ids[virtual_row(one)] if one < 0 else one for one in rendered]

    @property
    def template(self) -> str:
        """The card's template as text, with the new tokens in it and no answer."""
        card, ends = self.task.renderer.card, [0]
        for count in card.virtual_token_splits:
            ends.append(ends[-1] + count)
        shown = []
        for part in card.segments[:-1]:
            match part:
                case Text(text=text):
                    shown.append(text)
                case Field(name=name):
                    shown.append(f"{{{name}}}")
                case VirtualBlock(index=index):
                    shown += self.tokens[ends[index] : ends[index + 1]]
        return "".join(shown).rstrip() if isinstance(card.segments[-2], Text) else "".join(shown)


def write_vocabulary(bank: Bank, rows: Sequence[Row], out: Path) -> None:
    """Write a copy of the backbone, in float32, with the rows of some tasks as tokens.

    Raises:
        InputError: a row is a deep prompt, or two are of one task and language.
        ConfigError: the folder is there and not empty, or cannot be written.
    """
    tasks = [served_task(row, row.version, bank.backbone) for row in rows]
    names = [f"{task.taskname}:{task.lang}" for task in tasks]
    for name, task in zip(names, tasks, strict=True):
        if task.table.layers is not None:
            raise InputError(
                f"{name} is a deep prompt, which acts between the layers too, and a token has only an input embedding; "
                f"`promptbank bank export {name}` keeps all of it, or train it with --kind rows"
            )
        if names.count(name) > 1:
            raise InputError(f"{name} is named twice; a token can stand for one version only")
    tokenizer, model = load_tokenizer(bank.backbone.path), load_model(bank.backbone.path, None)
    made = [_added(tokenizer, name, task) for name, task in zip(names, tasks, strict=True)]
    _embed_rows(model, made)
    ids = [one for task in made for one in task.ids]
    if model.generation_config is not None:
        model.generation_config.suppress_tokens = ids
    with new_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        told = {task.name: {"template": task.template, "ids": task.ids, "sha256": task.task.sha256} for task in made}
        (folder / "promptbank.json").write_text(json.dumps({"suppress": ids, "tasks": told}, indent=2))
        (folder / "README.md").write_text(_readme(bank.backbone.name, made, tokenizer), encoding="utf-8")


def _added(tokenizer: "PreTrainedTokenizerBase", name: str, task: ServedTask) -> _TaskTokens:
    tokens = [f"<{name}:{i}>" for i in range(task.table.virtual_tokens)]
    if known := sorted(set(tokens) & tokenizer.get_vocab().keys()):
        raise InputError(f"the backbone has a token {known[0]!r} already; take the one it was made of")
    # special: left out of decoded text, and no text can become one where split_special_tokens is set
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in tokens], special_tokens=True)
    return _TaskTokens(name, task, tokens, [int(tokenizer.get_vocab()[token]) for token in tokens])


@torch.no_grad()
def _embed_rows(model: "PreTrainedModel", tasks: Sequence[_TaskTokens]) -> None:
    """Make room in embedding and head, and write each row so that the embedding module, called, gives it."""
    before = model.get_input_embeddings().get_parameter("weight").shape[0]
    needed = max(max(task.ids) for task in tasks) + 1
    if needed > before:
        model.resize_token_embeddings(needed, mean_resizing=False)
    embedding = model.get_input_embeddings()
    weight = embedding.get_parameter("weight")
    scale = _scale(embedding, weight)
    for task in tasks:
        rows = task.task.table.input_rows.float()
        weight[task.ids] = rows / scale
        if not torch.allclose(embedding(torch.tensor(task.ids)), rows, atol=1e-5, rtol=1e-5):
            kind = type(embedding).__name__
            raise InputError(f"{task.name} cannot be a token: {kind} of the backbone does more than scale its weights")
    head = model.get_output_embeddings().get_parameter("weight")
    if head is not weight:  # a head of its own: no direction for tokens that nobody may generate
        head[[one for task in tasks for one in task.ids]] = 0


def _scale(embedding: torch.nn.Module, weight: torch.Tensor) -> float:
    """Return what the module multiplies its weights by (Gemma: the square root of H), measured on its largest row."""
    largest = int(weight.norm(dim=1).argmax())
    given = embedding(torch.tensor([largest]))[0].double()
    return float((given @ weight[largest].double()) / weight[largest].double().square().sum())


def _readme(backbone: str, tasks: Sequence[_TaskTokens], tokenizer: "PreTrainedTokenizerBase") -> str:
    listed = "\n".join(_told(task, tokenizer) for task in tasks)
    first, last = min(min(task.ids) for task in tasks), max(max(task.ids) for task in tasks)
    return f"""# {backbone} with {counted(len(tasks), "task", "tasks")} as tokens

A copy of the backbone in float32, written by `promptbank bank export --format vocabulary`. The virtual tokens of each
task are tokens of its own, which stand in the prompt where its template has them:

{listed}

**The new tokens, ids {first} to {last}, must never be generated.** Their logits mean nothing, and probabilities are
those of promptbank only without them. `suppress` in `promptbank.json` lists them all.

* transformers: `generate` obeys `suppress_tokens` in `generation_config.json`, which is set. For your own scores, set
  the logits of the new ids to minus infinity.
* vLLM: `"logit_bias": {{"{first}": -100, ...}}` in every request.
* llama.cpp, after `convert_hf_to_gguf.py`: `"logit_bias": [[{first}, false], ...]` in every request.

White space right before the answer belongs to the answer: leave it out at the end of the prompt. A text of a user may
hold the name of a token, such as `{tasks[0].tokens[0]}`, which would then be read as the token: encode texts with
`split_special_tokens=True` and send ids, or take such names out.
"""


def _told(task: _TaskTokens, tokenizer: "PreTrainedTokenizerBase") -> str:
    """Describe a task, and whether its prompt as one string gives the ids that promptbank renders."""
    sample = dict.fromkeys(task.task.renderer.card.fields, "one two")
    wanted = task.of(task.task.renderer.prompt(sample).ids)
    text = task.template
    for name, value in sample.items():
        text = text.replace(f"{{{name}}}", value)
    is_same = tokenizer(text)["input_ids"] == wanted
    how = "as one string" if is_same else f"**as ids, since the tokenizer splits the string otherwise**: {wanted}"
    return f"* `{task.name}@{task.task.version}`, {how}\n\n      {task.template}\n"
