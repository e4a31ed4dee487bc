"""A whole training against stock PEFT P-tuning, epoch by epoch in turn.

Three contestants learn the same texts with the same number of virtual tokens, batch size, learning rate, bfloat16
weights and threads: stock PEFT (its LSTM encoder, its own forward with labels), promptbank with the same template
(virtual tokens first), and promptbank with the virtual tokens after the text, whose one pass over the texts is counted.
They take turns, an epoch each, so that a machine that drifts hits all alike. None scores a dev set.

Example: python -m benchmarks.training_speed --rows 64 --epochs 8 --threads 1 --out docs/results/training-speed.json
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import peft
import torch
import transformers
from torch import Tensor

from promptbank.backbone import Backbone, load_backbone
from promptbank.config import load_settings
from promptbank.encoder import build_encoder
from promptbank.forward import LanguageModel
from promptbank.render import Policy, Renderer, encode_plain
from promptbank.train.loop import training_copy
from promptbank.train.prefix import PrefixCache
from promptbank.train.rows import TrainRow, render_rows, row_losses
from promptbank.train.start import embedding_scale, start_ids, starting_rows
from tasks import Example, builtin_card, parse_card, read_examples, sample_path

TEMPLATES = {
    "promptbank, same template": "<|VIRTUAL_PROMPT_0|>{sentence} {label}",
    "promptbank, virtual tokens after the text": "{sentence}<|VIRTUAL_PROMPT_0|> {label}",
}
PEFT_NAME = "PEFT P-tuning"
LEARNING_RATE = 1e-3
TEXT_TOKENS = 48


@dataclass
class Contestant:
    """One way to train.

    Attributes:
        name: for the table.
        step: learns one batch of row numbers and returns its loss.
        prepare: what is done once before the first epoch; None when there is nothing.
        prepare_seconds: what that took.
        epoch_seconds: of each epoch.
        losses: mean of each epoch.
    """

    name: str
    step: Callable[[list[int]], float]
    prepare: Callable[[], None] | None = None
    prepare_seconds: float = 0.0
    epoch_seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def run_epoch(self, batches: Sequence[list[int]]) -> None:
        """Learn every batch once, and note time and loss."""
        if self.prepare is not None and not self.epoch_seconds:
            begun = time.perf_counter()
            self.prepare()
            self.prepare_seconds = time.perf_counter() - begun
        begun = time.perf_counter()
        losses = [self.step(batch) for batch in batches]
        self.epoch_seconds.append(time.perf_counter() - begun)
        self.losses.append(statistics.fmean(losses))

    @property
    def total(self) -> float:
        """Seconds of the whole training."""
        return self.prepare_seconds + sum(self.epoch_seconds)


def main() -> None:
    """Race and report."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    settings, _ = load_settings({"home": args.home, "backbone": args.backbone}, os.environ)
    backbone = load_backbone(settings.backbone, home=settings.home)
    report = race(backbone, rows=args.rows, epochs=args.epochs, batch=args.batch, virtual_tokens=args.virtual_tokens)
    report |= {"threads": args.threads, "load": args.load, "load_average": os.getloadavg()}
    _print_table(report)
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--virtual-tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--home")
    parser.add_argument("--backbone")
    parser.add_argument("--load", default="nothing else", help="what else the machine was doing, for the report")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def race(backbone: Backbone, *, rows: int, epochs: int, batch: int, virtual_tokens: int) -> dict[str, Any]:
    """Train all contestants, an epoch each in turn.

    Args:
        backbone: float32; all train against bfloat16 copies of it.
        rows: texts of about 48 tokens.
        epochs: of the whole training.
        batch: rows a step.
        virtual_tokens: V.

    Returns:
        Versions, sizes, and for each contestant its seconds and losses.
    """
    examples = _examples(backbone, rows)
    batches = [list(range(at, min(at + batch, rows))) for at in range(0, rows, batch)]
    lm = LanguageModel(backbone.model)
    with tempfile.TemporaryDirectory() as folder:
        contestants = [_peft(backbone, examples, virtual_tokens)]
        for name, template in TEMPLATES.items():
            contestants.append(_ours(name, template, backbone, lm, examples, virtual_tokens, Path(folder)))
        for _ in range(epochs):
            for contestant in contestants:
                contestant.run_epoch(batches)
    return {
        "backbone": backbone.name,
        "rows": rows,
        "epochs": epochs,
        "batch": batch,
        "virtual_tokens": virtual_tokens,
        "weights": "bfloat16 in all; encoders and optimizers float32",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
        "machine": platform.machine(),
        "contestants": [vars(c) | {"total": c.total, "step": None, "prepare": None} for c in contestants],
    }


def _examples(backbone: Backbone, rows: int) -> list[Example]:
    """Sentences of the shipped sample, put together to texts of about 48 tokens."""
    sample = sample_path(builtin_card("sentiment-task", "en"), "train")
    if sample is None:
        raise SystemExit("this installation lacks the shipped sample")
    source = read_examples([sample], builtin_card("sentiment-task", "en"))
    made = []
    for n in range(rows):
        words = " ".join(source[(n + k) % len(source)].fields["sentence"] for k in range(8))
        ids = encode_plain(backbone.tokenizer, words)[:TEXT_TOKENS]
        text = backbone.tokenizer.decode(ids)
        made.append(
            Example(
                id=str(n),
                group=str(n),
                taskname="race",
                lang="en",
                fields={"sentence": text},
                answer=source[n % len(source)].answer,
            )
        )
    return made


def _peft(backbone: Backbone, examples: Sequence[Example], virtual_tokens: int) -> Contestant:
    """Stock P-tuning: left padding, labels at the answer only, logits and loss by the model itself."""
    policy = Policy.of(backbone.tokenizer)
    begin = [] if policy.bos_id is None else [policy.bos_id]
    rows = []
    for example in examples:
        prompt = [*begin, *encode_plain(backbone.tokenizer, example.fields["sentence"])]
        answer = [*encode_plain(backbone.tokenizer, f" {example.answer}"), policy.eos_id]
        rows.append((prompt, answer))
    config = peft.PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=virtual_tokens,
        encoder_reparameterization_type="LSTM",
        encoder_hidden_size=backbone.hidden_size // 2,
    )
    torch.manual_seed(0)
    model = peft.get_peft_model(copy.deepcopy(backbone.model).to(torch.bfloat16), config)
    model.train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=LEARNING_RATE)

    def step(batch: list[int]) -> float:
        loss = model(**_padded([rows[i] for i in batch])).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        return float(loss.detach())

    return Contestant(PEFT_NAME, step)


def _padded(rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, Tensor]:
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids, mask, labels = (torch.full((len(rows), width), fill, dtype=torch.long) for fill in (0, 0, -100))
    for b, (prompt, answer) in enumerate(rows):
        size = len(prompt) + len(answer)
        ids[b, width - size :] = torch.tensor(prompt + answer)
        mask[b, width - size :] = 1
        labels[b, width - len(answer) :] = torch.tensor(answer)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _ours(
    name: str,
    template: str,
    backbone: Backbone,
    lm: LanguageModel,
    examples: Sequence[Example],
    virtual_tokens: int,
    folder: Path,
) -> Contestant:
    """The steps of promptbank's training loop, without its dev scores and resume files."""
    card = parse_card(
        {
            "taskname": "race",
            "prompt_template": template,
            "total_virtual_tokens": virtual_tokens,
            "virtual_token_splits": [virtual_tokens],
            "label_space": {"positive": ["positive"], "negative": ["negative"]},
        }
    )
    renderer = Renderer(card, backbone.tokenizer, Policy.of(backbone.tokenizer), backbone.window)
    rows = render_rows(renderer, examples)
    start = starting_rows(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
    encoder = build_encoder("lstm.v1", start, embedding_scale(lm), seed=0)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=LEARNING_RATE)
    trained = training_copy(lm, "bfloat16")
    held: list[PrefixCache] = []

    def prepare() -> None:
        held.append(PrefixCache(trained, [row.ids[: row.constant] for row in rows], budget=2**31, spill=folder))

    def step(batch: list[int]) -> float:
        chosen: list[TrainRow] = [rows[i] for i in batch]
        prefixes = [held[0][i] for i in batch] if held else None
        loss = row_losses(trained, encoder(), chosen, prefixes, answer_only=True).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    return Contestant(name, step, prepare if rows[0].constant > 1 else None)


def _print_table(report: dict[str, Any]) -> None:
    peft_total = report["contestants"][0]["total"]
    print(f"{report['rows']} rows x {report['epochs']} epochs, batch {report['batch']}, V={report['virtual_tokens']}")
    print(f"{'':<44}{'s/epoch min':>12}{'median':>9}{'max':>9}{'once':>8}{'total':>9}{'PEFT/this':>11}{'loss':>16}")
    for c in report["contestants"]:
        seconds = c["epoch_seconds"]
        print(
            f"{c['name']:<44}{min(seconds):>12.2f}{statistics.median(seconds):>9.2f}{max(seconds):>9.2f}"
            f"{c['prepare_seconds']:>8.2f}{c['total']:>9.2f}{peft_total / c['total']:>11.2f}"
            f"{c['losses'][0]:>9.3f} ->{c['losses'][-1]:>6.3f}"
        )


if __name__ == "__main__":
    main()
