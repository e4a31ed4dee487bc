"""``promptbank mt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli import mt_sets
from promptbank.cli.command import Common, Json, command

app = typer.Typer(help="Translation: engines and models, labels, review.", no_args_is_help=True)
corpus = typer.Typer(help="The pairs of sentences they learn from.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")
mt_sets.register(app)

Pair = Annotated[str, typer.Option("--langpair", help="Source and target language.")]
Files = Annotated[
    list[str], typer.Option("--data", help="Pairs, TSV or JSONL, gzip too; FILE or source=FILE. Repeatable.")
]
HeldOut = Annotated[
    list[Path] | None, typer.Option("--held-out", help="Evaluation pairs; none of their sentences is kept. Repeatable.")
]
Sets = Annotated[list[Path] | None, typer.Option("--set", help="Pairs to score on, TSV or JSONL. Repeatable.")]


@command(corpus, "build")
def build(
    common: Common,
    data: Files,
    held_out: HeldOut = None,
    langpair: Pair = "en-sv",
    name: Annotated[str | None, typer.Option(help="Name below <home>/mt; the language pair if absent.")] = None,
    cap: Annotated[
        list[str] | None, typer.Option(help="source=N: most pairs of a source. Repeatable. Default: catalogs=30000.")
    ] = None,
    repeat: Annotated[
        list[str] | None, typer.Option(help="source=N: how often its pairs are seen. Repeatable. Default: tatoeba=2.")
    ] = None,
    title: Annotated[float, typer.Option(help="Share of sentences that also come as headlines.")] = 0.06,
    entity: Annotated[float, typer.Option(help="Share of pairs that also come with another name or number.")] = 0.3,
    marker: Annotated[float, typer.Option(help="Share of pairs that also come with spans in brackets.")] = 0.4,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    json: Json = False,
) -> None:
    """Read, sieve, cap and augment pairs into <home>/mt/<name>/corpus, with a manifest that counts them.

    Example: promptbank mt corpus build --data en-sv.tsv.gz --data massive=train.jsonl --held-out dev.tsv
    """
    from promptbank.cli import corpora

    shares = {"title": title, "entity": entity, "marker": marker}
    asked = corpora.CorpusAsked(langpair, data, held_out or [], cap, repeat, shares, seed)
    corpora.build(common.settings, asked, name, as_json=json)


@command(corpus, "filter")
def filter_(
    _common: Common,
    data: Files,
    held_out: HeldOut = None,
    langpair: Pair = "en-sv",
    dropped: Annotated[Path | None, typer.Option(help="Write the dropped pairs here, with their reasons.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the kept pairs here.")] = None,
    json: Json = False,
) -> None:
    """Say how many pairs of each source are dropped and why; build nothing.

    Example: promptbank mt corpus filter --data en-sv.tsv.gz --dropped dropped.jsonl
    """
    from promptbank.cli import corpora

    asked = corpora.CorpusAsked(langpair, data, held_out or [])
    corpora.sift(asked, out, dropped, as_json=json)


@command(corpus, "stats")
def stats(
    common: Common,
    name: Annotated[str, typer.Argument(help="Name below <home>/mt, or a folder.")] = "en-sv",
    json: Json = False,
) -> None:
    """Print what is known of a corpus: pairs by source and kind, dropped by reason.

    Example: promptbank mt corpus stats en-sv
    """
    from promptbank.cli import corpora

    corpora.corpus_stats(common.settings, name, as_json=json)


@command(app, "train")
def train(
    common: Common,
    arch: Annotated[str, typer.Option(help="backbone: the GPT that prompts use.")] = "backbone",
    method: Annotated[str, typer.Option(help="full: all layers; lora: a low-rank addition.")] = "full",
    rank: Annotated[int, typer.Option(min=1, help="Of lora.")] = 32,
    corpus: Annotated[str, typer.Option(help="Name below <home>/mt, or a folder.")] = "en-sv",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; <home>/mt/<langpair>-<method> if absent.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="A trained translator of the same method to go on from.")] = None,
    sets: Sets = None,
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 4000,
    tokens: Annotated[int, typer.Option(help="Padded tokens of a batch.")] = 1500,
    accumulate: Annotated[int, typer.Option(help="Batches of a step.")] = 1,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-4,
    warmup: Annotated[int, typer.Option(help="Steps of linear warm-up.")] = 100,
    schedule: Annotated[str, typer.Option(help="linear or cosine, down to zero at the last step.")] = "cosine",
    average: Annotated[int, typer.Option(help="Last evaluations whose weights are averaged.")] = 1,
    every: Annotated[int, typer.Option(help="Steps between evaluations.")] = 250,
    eval_rows: Annotated[int, typer.Option(help="Sentences of each set that are translated then.")] = 100,
    checkpoint_minutes: Annotated[float, typer.Option(help="Between checkpoints.")] = 15.0,
    sample: Annotated[int, typer.Option(help="Words drawn a batch beside those of the corpus; 0: all words.")] = 8192,
    dtype: Annotated[str, typer.Option(help="auto, bfloat16 or float32, of forward passes.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of the order of pairs.")] = 0,
) -> None:
    """Teach a copy of the backbone to translate; stop it at any time, the same command goes on with the same bits.

    The curve is in <out>/curve.jsonl, the translator in <out>/model. On SIGTERM or Ctrl-C the state is saved; the exit
    code is then 130.

    Example: promptbank mt train --arch backbone --method full --corpus en-sv --steps 4000 --threads 1
    """
    from promptbank.cli import translators
    from promptbank.mt.settings import MtSettings

    settings = MtSettings(
        steps=steps, tokens=tokens, accumulate=accumulate, lr=lr, warmup=warmup, schedule=schedule, average=average,
        every=every, eval_rows=eval_rows, checkpoint_seconds=60 * checkpoint_minutes, dtype=dtype, device=device,
        seed=seed, sample=sample,
    )  # fmt: skip
    asked = translators.TrainAsked(arch, method, rank, corpus, out, start, sets or [])
    translators.train(common.settings, asked, settings)


@command(app, "score")
def score(
    common: Common,
    sets: Annotated[list[Path], typer.Option("--set", help="Pairs to score on, TSV or JSONL. Repeatable.")],
    engine: Annotated[str, typer.Option(help="Name below <home>/mt, or a folder that `mt train` made.")] = "en-sv-full",
    beam: Annotated[int, typer.Option(min=1, help="Hypotheses kept for each sentence; 1 is greedy.")] = 1,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many of each set.")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    out: Annotated[Path | None, typer.Option(help="Folder for the translations, a line each.")] = None,
    json: Json = False,
) -> None:
    """Translate evaluation sets and print chrF2 and BLEU with their sacrebleu signatures.

    Example: promptbank mt score --engine en-sv-full --set flores-dev.en-sv.tsv
    """
    from promptbank.cli import translators

    asked = translators.ScoreAsked(engine, sets, beam, rows, dtype, out)
    translators.score(common.settings, asked, as_json=json)
