"""CTranslate2 int8 against transformers' `generate`: the same Marian, texts, beam and threads.

Without `--model` the weights are random: such a model hardly ever ends a translation, so both run to the same limit,
which is twice the length of the text and then some; the characters that each made are in the report. They take turns,
so that a machine that drifts hits both alike.

Example: python -m benchmarks.translation_speed --texts 64 --rounds 3 --out docs/results/translation-speed.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import ctranslate2
import torch
import transformers

from promptbank.mt.engines.ct2 import Ct2Engine
from promptbank.mt.engines.marian import MarianEngine
from promptbank.mt.marian.conversion import convert_marian
from promptbank.mt.marian.model import build_marian, load_marian, parameters, save_marian
from promptbank.mt.marian.pieces import Pieces, train_pieces
from promptbank.mt.marian.sizes import MarianSizes
from tasks import builtin_card, read_examples, sample_path
from translate import Engine, Segment
from translate.engines.decoding import DecodingOptions

WANTED = 4.0
"""How many times faster CTranslate2 int8 is to be."""

PAIR = ("en", "sv")


def main() -> int:
    """Race, report, and return 1 when CTranslate2 is not as fast as wanted."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    before = os.getloadavg()
    texts = sample_texts(args.texts)
    decoding = DecodingOptions(beam=args.beam, batch_tokens=args.batch_tokens)
    with tempfile.TemporaryDirectory() as room:
        folder = args.model or random_model(Path(room, "model"), texts)
        convert_marian(folder, Path(room, "ct2"), texts[:10])
        theirs: Engine = MarianEngine(str(folder), PAIR, decoding=decoding)
        ours = Ct2Engine(Path(room, "ct2"), PAIR, decoding=decoding, threads=args.threads)
        report = race({"transformers float32": theirs, "CTranslate2 int8": ours}, texts, args.rounds)
        report |= {"parameters": parameters(load_marian(folder)), "wanted_ratio": WANTED}
    report["versions"]["ctranslate2"] = ctranslate2.__version__
    tell(report | {"decoding": str(decoding), "model": "trained" if args.model else "random weights"}, args, before)
    print(f"CTranslate2 is {report['ratio']:.1f} times as fast; wanted: {WANTED:g}")
    if report["ratio"] < WANTED:
        print(f"CTranslate2 is {report['ratio']:.1f} times as fast, wanted: {WANTED:g}", file=sys.stderr)
    return 0 if report["ratio"] >= WANTED else 1


def _arguments() -> argparse.Namespace:
    parser = race_parser(__doc__ or "", texts=128)
    parser.add_argument("--batch-tokens", type=int, help="source tokens at once; what suits each engine without")
    parser.add_argument("--model", type=Path, help="folder of a trained Marian; random weights without")
    return checked(parser)


def race_parser(description: str, *, texts: int) -> argparse.ArgumentParser:
    """Return the options of every race; ``texts`` is how many are translated unless asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=texts, help="to translate (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="each arm's turns (%(default)s)")
    parser.add_argument("--beam", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--load", default="not stated", help="what else the machine was doing, for the report")
    parser.add_argument("--out", type=Path, help="JSON file of the raw figures")
    return parser


def checked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the options; a report that could not be written is an error before the race, not after it."""
    args = parser.parse_args()
    if args.out and not args.out.parent.is_dir():
        parser.error(f"--out {args.out}: there is no folder {args.out.parent}; make it first")
    return args


def tell(report: dict[str, Any], args: argparse.Namespace, before: tuple[float, float, float]) -> None:
    """Print a race's table, and write its figures if asked; ``before`` is the load average then."""
    report |= {"threads": args.threads, "load": args.load}
    report |= {"load_average": {"before": before, "after": os.getloadavg()}}
    if args.out:
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))


def sample_texts(count: int) -> list[str]:
    """Sentences of the shipped sample, over and over, each with a number so that none is the same."""
    card = builtin_card("sentiment-task", "en")
    sample = sample_path(card, "train")
    if sample is None:
        raise SystemExit("this installation lacks the shipped sample of sentiment-task; install promptbank again")
    rows = [example.fields["sentence"] for example in read_examples([sample], card)]
    return [f"{rows[n % len(rows)]} {n}" for n in range(count)]


def random_model(folder: Path, texts: Sequence[str]) -> Path:
    """Save a Marian of the default sizes with random weights; its vocabulary is filled up with words nobody uses."""
    learnt, sizes = train_pieces(texts, 1_000), MarianSizes()
    known = [piece for piece in learnt.vocabulary if piece != "<pad>"]
    words = [*known, *(f"unused{n}" for n in range(len(known), sizes.vocabulary)), "<pad>"]
    pieces = Pieces(learnt.source, learnt.target, {word: index for index, word in enumerate(words)})
    save_marian(build_marian(sizes, pieces), pieces, PAIR, folder)
    return folder


def race(engines: Mapping[str, Engine], texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Translate the texts with two engines in turn.

    Args:
        engines: by name, the slower one first.
        texts: to translate.
        rounds: turns of each.

    Returns:
        Source words a second of each turn, characters made, and the ratio of the medians.
    """
    segments = [Segment(str(n), *PAIR, text) for n, text in enumerate(texts)]
    words = sum(len(text.split()) for text in texts)
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    made: dict[str, int] = {}
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            found = engine.translate(segments)
            speeds[name].append(words / (time.perf_counter() - start))
            made[name] = sum(len(one.text) for one in found)
    first, second = (statistics.median(values) for values in speeds.values())
    return {
        "texts": len(texts),
        "source_words": words,
        "words_per_second": speeds,
        "characters_made": made,
        "ratio": second / first,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "machine": platform.machine(),
    }


def table(report: dict[str, Any]) -> str:
    """Return the report for people."""
    lines = [
        f"{report['texts']} texts, {report['source_words']} words, {report['parameters'] / 1e6:.1f} M parameters "
        f"({report['model']}), {report['decoding']}, {report['threads']} thread(s); other load: {report['load']}",
        f"{'':<24}{'words/s: min':>14}{'median':>9}{'max':>9}{'characters made':>18}",
    ]
    for name, values in report["words_per_second"].items():
        spread = f"{min(values):>14.1f}{statistics.median(values):>9.1f}{max(values):>9.1f}"
        lines.append(f"{name:<24}{spread}{report['characters_made'][name]:>18}")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
