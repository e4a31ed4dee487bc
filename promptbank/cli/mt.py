"""``promptbank mt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli import mt_sets
from promptbank.cli.command import Command, Context, Json

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


@corpus.command("build", cls=Command)
def build(
    ctx: Context,
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
    spoken: Annotated[
        float, typer.Option(help="Share of sentences that also come in lower case without punctuation.")
    ] = 0.0,
    entity: Annotated[float, typer.Option(help="Share of pairs that also come with another name or number.")] = 0.3,
    marker: Annotated[float, typer.Option(help="Share of pairs that also come with marks around spans.")] = 0.4,
    values: Annotated[
        float, typer.Option(help="Share of pairs with differing values that also come with marks around them.")
    ] = 0.4,
    aligned: Annotated[
        float, typer.Option(help="Share of pairs that also come with marks around aligned phrases (extra align).")
    ] = 0.0,
    clocks: Annotated[int, typer.Option(help="Pairs with other times made of one with a clock time in words.")] = 6,
    seed: Annotated[int, typer.Option(help="Of every draw.")] = 0,
    json: Json = False,
) -> None:
    """Read, sieve, cap and augment pairs into <home>/mt/<name>/corpus, with a manifest that counts them.

    Example: promptbank mt corpus build --data en-sv.tsv.gz --data massive=train.jsonl --held-out dev.tsv
    """
    from promptbank.cli import corpora

    augment = {
        "title": title, "spoken": spoken, "entity": entity, "marker": marker, "clocks": clocks,
        "values": values, "aligned": aligned,
    }  # fmt: skip
    asked = corpora.CorpusAsked(langpair, data, held_out or [], cap, repeat, augment, seed)
    corpora.build(ctx.settings, asked, name, as_json=json)


@corpus.command("filter", cls=Command)
def filter_(
    _ctx: Context,
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


@corpus.command("stats", cls=Command)
def stats(
    ctx: Context,
    name: Annotated[str, typer.Argument(help="Name below <home>/mt, or a folder.")] = "en-sv",
    json: Json = False,
) -> None:
    """Print what is known of a corpus: pairs by source and kind, dropped by reason.

    Example: promptbank mt corpus stats en-sv
    """
    from promptbank.cli import corpora

    corpora.corpus_stats(ctx.settings, name, as_json=json)


@app.command("train", cls=Command)
def train(
    ctx: Context,
    arch: Annotated[
        str, typer.Option(help="backbone: the GPT that prompts use; marian: a small model from scratch.")
    ] = "backbone",
    method: Annotated[str | None, typer.Option(help="Of backbone. full (default): all layers; lora: low rank.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of lora. Default: 32.")] = None,
    corpus: Annotated[str, typer.Option(help="Name below <home>/mt, or a folder.")] = "en-sv",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; <home>/mt/<langpair>-<method> if absent.")
    ] = None,
    start: Annotated[Path | None, typer.Option(help="A translator to go on from; lora takes lora only.")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write what a run under way has learnt as a translator here, and end.")
    ] = None,
    sets: Sets = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps. Default: 4000; marian 20000.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Padded tokens of a batch. Default: 1500; marian 3000.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches of a step. Default: 1.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate. Default: 2e-4; lora 8e-4; marian 1e-3.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Steps of linear warm-up. Default: 100; marian 1000.")] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="linear or cosine, down to zero, or constant. Default: cosine; marian inverse-sqrt.v1."),
    ] = None,
    average: Annotated[
        int | None, typer.Option(help="Last evaluations whose weights are averaged. Default: 1, the last alone.")
    ] = None,
    every: Annotated[int | None, typer.Option(help="Steps between evaluations. Default: 250; marian 500.")] = None,
    eval_rows: Annotated[
        int | None, typer.Option(help="Sentences of each set that are translated then. Default: 100.")
    ] = None,
    checkpoint_minutes: Annotated[float | None, typer.Option(help="Between checkpoints. Default: 15.")] = None,
    sample: Annotated[
        int | None, typer.Option(help="Words drawn a batch beside the corpus's; 0: all words. Default: 8192.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="auto, bfloat16 or float32, of forward passes. Default: auto.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Of the order of pairs; of marian's weights too.")] = 0,
) -> None:
    """Train a translator; stop it at any time, the same command goes on with the same bits.

    backbone: a private copy of the GPT learns it. marian: a small encoder-decoder learns it from scratch, and is
    converted for CTranslate2 where that gives the very same tokens. The curve is in <out>/curve.jsonl, the translator
    in <out>/model. On SIGTERM or Ctrl-C the state is saved; the exit code is then 130.

    Example: promptbank mt train --arch backbone --method full --corpus en-sv --steps 4000 --threads 1
    """
    from promptbank.cli import translators

    options = {
        "steps": steps, "tokens": tokens, "accumulate": accumulate, "lr": lr, "warmup": warmup, "schedule": schedule,
        "average": average, "every": every, "eval_rows": eval_rows, "checkpoint_minutes": checkpoint_minutes,
        "sample": sample, "dtype": dtype, "seed": seed, "device": device,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    asked = translators.TrainAsked(arch, method, rank, corpus, out, start, snapshot, sets or [], given)
    translators.train(ctx.settings, asked)


@app.command("pack", cls=Command)
def pack(
    ctx: Context,
    engine: Annotated[str, typer.Option(help="Name below <home>/mt, or a folder that `mt train` made.")] = "en-sv-full",
    out: Annotated[Path | None, typer.Option(help="Folder to make; <home>/mt/<engine>-packed/model if absent.")] = None,
    megabytes: Annotated[float, typer.Option(help="Most of all files together, in millions of bytes.")] = 20.0,
    coding: Annotated[str, typer.Option(help="sign.v1, int4.v1, int8.v1 or bf16.v1.")] = "sign.v1",
    rank: Annotated[
        int | None, typer.Option(min=1, help="Write a start for `mt train --method lora` of this rank instead.")
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="Hold it to the words of a corpus, a name below <home>/mt; else to the engine's."),
    ] = None,
    json: Json = False,
) -> None:
    """Pack a trained translator into some megabytes: of each layer's change what matters most a byte, in few bits.

    With --rank: the start of a low-rank training that repairs what truncation loses.

    Example: promptbank mt pack --engine en-sv-full --megabytes 20
    """
    from promptbank.cli import translators

    translators.pack(ctx.settings, engine, out, round(1e6 * megabytes), coding, rank, corpus, as_json=json)
