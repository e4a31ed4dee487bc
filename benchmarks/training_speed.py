"""A whole training against stock PEFT P-tuning, epoch by epoch in turn.

Three contestants learn the same texts with the same number of virtual tokens, batch size, learning rate, bfloat16
weights and threads: stock PEFT (its LSTM encoder, its own forward with labels), promptbank with the same template
(virtual tokens first), and promptbank with the virtual tokens after the text, whose one pass over the texts is counted.
They take turns, an epoch each, so that a machine that drifts hits all alike. None scores a dev set.

Example: python -m benchmarks.training_speed --rows 64 --epochs 8 --threads 1 --out docs/results/training-speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import peft
import torch
import transformers

from benchmarks.contestants import Contestant, promptbank_steps, stock_peft
from promptbank.config import load_settings
from promptbank.model.backbone import Backbone, load_backbone
from promptbank.model.forward import LanguageModel
from promptbank.model.render import encode_plain
from tasks import Example, builtin_card, read_examples, sample_path

PEFT_NAME = "PEFT P-tuning"
TEMPLATES = {
    "promptbank, same template": ("<|VIRTUAL_PROMPT_0|>{sentence} {label}", 2.3),
    "promptbank, virtual tokens after the text": ("{sentence}<|VIRTUAL_PROMPT_0|> {label}", 4.5),
}
"""Template, and how many times faster than PEFT the whole training is to be on the real backbone."""
TEXT_TOKENS = 48


def main() -> int:
    """Race, report, and return 1 when a contestant did not learn."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    settings, _ = load_settings({"home": args.home, "backbone": args.backbone}, os.environ)
    backbone = load_backbone(settings.backbone, home=settings.home)
    before = os.getloadavg()
    report = race(backbone, rows=args.rows, epochs=args.epochs, batch=args.batch, virtual_tokens=args.virtual_tokens)
    report |= {"load": args.load, "load_average": {"before": before, "after": os.getloadavg()}}
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    for fault in faults(report):
        print(fault, file=sys.stderr)
    return 1 if faults(report) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=_positive, default=64, help="texts to learn (%(default)s)")
    parser.add_argument("--epochs", type=_positive, default=8, help="of the whole training (%(default)s)")
    parser.add_argument("--batch", type=_positive, default=16, help="rows a step (%(default)s)")
    parser.add_argument("--virtual-tokens", type=_positive, default=16, help="(%(default)s)")
    parser.add_argument("--threads", type=_positive, default=1, help="of torch (%(default)s)")
    parser.add_argument("--home", help="home of the backbone")
    parser.add_argument("--backbone", help="name or path")
    parser.add_argument("--load", default="not stated", help="what else the machine was doing, for the report")
    parser.add_argument("--out", type=Path, help="JSON file of the raw figures")
    args = parser.parse_args()
    if args.out and not args.out.parent.is_dir():
        parser.error(f"--out {args.out}: there is no folder {args.out.parent}; make it first")
    return args


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def race(backbone: Backbone, *, rows: int, epochs: int, batch: int, virtual_tokens: int) -> dict[str, Any]:
    """Train all contestants, an epoch each in turn.

    Args:
        backbone: float32; all train against bfloat16 copies of it.
        rows: texts of about 48 tokens.
        epochs: of the whole training.
        batch: rows a step.
        virtual_tokens: V.

    Returns:
        Versions, sizes, and for each contestant its seconds, losses and ratios to PEFT.
    """
    examples = _examples(backbone, rows)
    batches = [list(range(at, min(at + batch, rows))) for at in range(0, rows, batch)]
    lm = LanguageModel(backbone.model)
    contestants = [stock_peft(PEFT_NAME, backbone, examples, virtual_tokens)]
    with tempfile.TemporaryDirectory() as folder:
        for name, (template, _) in TEMPLATES.items():
            contestants.append(
                promptbank_steps(
                    name,
                    backbone,
                    lm,
                    examples,
                    template=template,
                    virtual_tokens=virtual_tokens,
                    folder=Path(folder, str(len(contestants))),
                )
            )
        for _ in range(epochs):
            for contestant in contestants:
                contestant.run_epoch(batches)
    lengths = [len(encode_plain(backbone.tokenizer, e.fields["sentence"])) for e in examples]
    return {
        "backbone": backbone.name,
        "rows": rows,
        "epochs": epochs,
        "batch": batch,
        "virtual_tokens": virtual_tokens,
        "text_tokens": _spread(lengths),
        "threads": torch.get_num_threads(),
        "weights": "bfloat16 in all; encoders and optimizers float32",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
        "machine": platform.machine(),
        "contestants": [_figures(c, contestants[0], rows) for c in contestants],
    }


def _examples(backbone: Backbone, rows: int) -> list[Example]:
    """Sentences of the shipped sample, put together to texts of about 48 tokens."""
    card = builtin_card("sentiment-task", "en")
    sample = sample_path(card, "train")
    if sample is None:
        raise SystemExit("this installation lacks the shipped sample of sentiment-task; install promptbank again")
    source = read_examples([sample], card)
    return [_example(backbone, source, n) for n in range(rows)]


def _example(backbone: Backbone, source: Sequence[Example], n: int) -> Example:
    words = " ".join(source[(n + k) % len(source)].fields["sentence"] for k in range(8))
    text = backbone.tokenizer.decode(encode_plain(backbone.tokenizer, words)[:TEXT_TOKENS])
    answer = source[n % len(source)].answer
    fields = {"sentence": str(text)}  # decode gives a list only for a batch
    return Example(id=str(n), group=str(n), taskname="race", lang="en", fields=fields, answer=answer)


def _figures(contestant: Contestant, stock: Contestant, rows: int) -> dict[str, Any]:
    """One contestant's part of the report; epoch ratios compare epochs that ran side by side."""
    seconds = contestant.epoch_seconds
    return {
        "name": contestant.name,
        "prepare_seconds": contestant.prepare_seconds,
        "epoch_seconds": seconds,
        "cpu_seconds": contestant.cpu_seconds,
        "losses": contestant.losses,
        "total_seconds": contestant.total,
        "ms_an_example": 1000 * contestant.total / (rows * len(seconds)),
        "epoch_ratios": [theirs / ours for theirs, ours in zip(stock.epoch_seconds, seconds, strict=True)],
        "total_ratio": stock.total / contestant.total,
        "wanted_ratio": TEMPLATES[contestant.name][1] if contestant.name in TEMPLATES else None,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def faults(report: dict[str, Any]) -> list[str]:
    """Return a sentence for each contestant whose loss did not fall; its speed would mean nothing."""
    return [
        f"{c['name']} did not learn: mean loss {c['losses'][0]:.3f} in epoch 1, {c['losses'][-1]:.3f} in the last"
        for c in report["contestants"]
        if len(c["losses"]) > 1 and not c["losses"][-1] < c["losses"][0]
    ]


def table(report: dict[str, Any]) -> str:
    """Return the report for people: a line a contestant, and what the machine was doing."""
    lines = [
        f"{report['rows']} rows x {report['epochs']} epochs, batch {report['batch']}, V={report['virtual_tokens']}, "
        f"{report['threads']} thread(s), {report['weights']}; other load: {report.get('load', 'not stated')}",
        f"{'':<42}{'s/epoch, min median max':>25}{'once':>7}{'total':>8}{'ms/ex.':>8}"
        f"{'PEFT/this':>11}{'wanted':>8}{'by epoch':>19}{'loss':>18}",
        *(_line(c) for c in report["contestants"]),
    ]
    return "\n".join(lines)


def _line(c: dict[str, Any]) -> str:
    seconds, ratios = _spread(c["epoch_seconds"]), _spread(c["epoch_ratios"])
    wanted = "-" if c["wanted_ratio"] is None else f"{c['wanted_ratio']:.1f}"
    return (
        f"{c['name']:<42}{_three(seconds):>25}{c['prepare_seconds']:>7.2f}{c['total_seconds']:>8.1f}"
        f"{c['ms_an_example']:>8.0f}{c['total_ratio']:>11.2f}{wanted:>8}{_three(ratios):>19}"
        f"{c['losses'][0]:>9.3f} ->{c['losses'][-1]:>6.3f}"
    )


def _three(spread: dict[str, float]) -> str:
    return " ".join(f"{value:.2f}" for value in spread.values())


if __name__ == "__main__":
    raise SystemExit(main())
