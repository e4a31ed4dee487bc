"""Who races in `benchmarks.training_speed`: stock PEFT P-tuning, and promptbank's own training steps.

All learn the same rows against bfloat16 copies of one backbone; encoders and optimizers are float32. None scores a dev
set, none changes the learning rate on the way, and all see the same batches in the same order.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
from torch import Tensor

from promptbank.model.backbone import Backbone
from promptbank.model.encoder import build_encoder
from promptbank.model.forward import LanguageModel
from promptbank.model.render import Renderer, TokenPolicy, encode_plain
from promptbank.training.examples import example_losses, render_examples
from promptbank.training.kv_cache import PrefixCache, worth_caching
from promptbank.training.precision import training_copy
from promptbank.training.start import embedding_scale, start_ids, starting_table
from tasks import Example, parse_card

LEARNING_RATE = 1e-3
CLIP = 1.0
CACHE_BYTES = 2**31


@dataclass
class Contestant:
    """One way to train.

    Attributes:
        name: for the table.
        step: learns one batch of row numbers and returns its loss, in nats a token.
        prepare: what is done once before the first epoch; None when there is nothing.
        prepare_seconds: what that took.
        epoch_seconds: wall seconds of each epoch.
        cpu_seconds: processor seconds of each epoch, over all threads; on one thread, what they fall short of the
            wall is what other processes took.
        losses: mean of each epoch.
    """

    name: str
    step: Callable[[list[int]], float]
    prepare: Callable[[], None] | None = None
    prepare_seconds: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def run_epoch(self, batches: Sequence[list[int]]) -> None:
        """Learn every batch once, and note times and loss."""
        if self.prepare is not None and not self.epoch_seconds:
            begun = time.perf_counter()
            self.prepare()
            self.prepare_seconds = time.perf_counter() - begun
        begun, cpu = time.perf_counter(), time.process_time()
        losses = [self.step(batch) for batch in batches]
        self.epoch_seconds.append(time.perf_counter() - begun)
        self.cpu_seconds.append(time.process_time() - cpu)
        self.losses.append(statistics.fmean(losses))

    @property
    def total(self) -> float:
        """Wall seconds of the whole training, what is done once included."""
        return self.prepare_seconds + sum(self.epoch_seconds)


def stock_peft(name: str, backbone: Backbone, examples: Sequence[Example], virtual_tokens: int) -> Contestant:
    """Stock P-tuning: left padding, labels at the answer only, logits and loss by the model's own forward."""
    rows = _peft_rows(backbone, examples)
    config = peft.PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=virtual_tokens,
        encoder_reparameterization_type="LSTM",
        encoder_hidden_size=backbone.hidden_size // 2,
    )
    torch.manual_seed(0)
    base = copy.deepcopy(backbone.model)
    base.to(dtype=torch.bfloat16)  # type: ignore[call-arg]
    model = peft.get_peft_model(base, config)
    model.train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    learn = _learner(learnt)
    return Contestant(name, lambda batch: learn(model(**padded([rows[i] for i in batch])).loss))


def _peft_rows(backbone: Backbone, examples: Sequence[Example]) -> list[tuple[list[int], list[int]]]:
    """Ids of prompt and answer, with the begin and end tokens that promptbank's rows have."""
    policy = TokenPolicy.of(backbone.tokenizer)
    begin = [] if policy.bos_id is None else [policy.bos_id]
    return [
        (
            [*begin, *encode_plain(backbone.tokenizer, example.fields["sentence"])],
            [*encode_plain(backbone.tokenizer, f" {example.answer}"), policy.eos_id],
        )
        for example in examples
    ]


def padded(rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, Tensor]:
    """Return ``input_ids``, ``attention_mask`` and ``labels`` (-100 except at answers), each (B, T), padded left."""
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids, mask, labels = (torch.full((len(rows), width), fill, dtype=torch.long) for fill in (0, 0, -100))
    for b, (prompt, answer) in enumerate(rows):
        size = len(prompt) + len(answer)
        ids[b, width - size :] = torch.tensor(prompt + answer)
        mask[b, width - size :] = 1
        labels[b, width - len(answer) :] = torch.tensor(answer)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def promptbank_steps(
    name: str,
    backbone: Backbone,
    lm: LanguageModel,
    examples: Sequence[Example],
    *,
    template: str,
    virtual_tokens: int,
    folder: Path,
) -> Contestant:
    """The steps of promptbank's training loop, without its dev scores and checkpoints.

    Args:
        name: for the table.
        backbone: gives the tokenizer.
        lm: its float32 model.
        examples: with the field ``sentence`` and an answer.
        template: with one virtual-token marker.
        virtual_tokens: V.
        folder: for keys and values over the byte budget.
    """
    renderer = Renderer(
        parse_card(_raw_card(template, virtual_tokens)),
        backbone.tokenizer,
        TokenPolicy.of(backbone.tokenizer),
        backbone.window,
    )
    rows = render_examples(renderer, examples)
    beginnings = [row.beginning for row in rows]
    start = starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
    encoder = build_encoder("lstm.v1", start, embedding_scale(lm), seed=0)
    learn = _learner(list(encoder.parameters()))
    trained = training_copy(lm, "bfloat16")
    held: list[PrefixCache] = []

    def prepare() -> None:
        held.append(PrefixCache(trained, beginnings, budget=CACHE_BYTES, spill=folder))

    def step(batch: list[int]) -> float:
        prefixes = [held[0][beginnings[i]] for i in batch] if held else None
        return learn(example_losses(trained, [encoder()] * len(batch), [rows[i] for i in batch], prefixes).mean())

    return Contestant(name, step, prepare if worth_caching(beginnings) else None)


def _raw_card(template: str, virtual_tokens: int) -> dict[str, Any]:
    return {
        "taskname": "race",
        "prompt_template": template,
        "total_virtual_tokens": virtual_tokens,
        "virtual_token_splits": [virtual_tokens],
        "label_space": {"positive": ["positive"], "negative": ["negative"]},
    }


def _learner(parameters: list[torch.nn.Parameter]) -> Callable[[Tensor], float]:
    """The same optimizer step for all: AdamW, gradients clipped."""
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE)

    def learn(loss: Tensor) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        return float(loss.detach())

    return learn
