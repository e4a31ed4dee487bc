"""``promptbank mt``: translation engines, how good they are, and training one of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from promptbank.bank.session import Bank
from promptbank.cli import corpus as corpora
from promptbank.cli import labels
from promptbank.cli.command import Command, CommandContext, Json
from promptbank.cli.output import print_json, print_table, say
from promptbank.cli.translate import Beam, Src, Tgt

app = typer.Typer(help="Translation: engines and models, labels, review.", no_args_is_help=True)
app.add_typer(corpora.app, name="corpus")
app.add_typer(labels.app, name="labels")
app.add_typer(labels.review, name="review")

STOPPED = 130
"""Exit code of a training that was told to stop, as after Ctrl-C."""

Sets = Annotated[list[Path] | None, typer.Option("--set", help="Pairs to score on, TSV or JSONL. Repeatable.")]
Start = Annotated[
    str | None,
    typer.Option(
        help="Translator to go on from, of another language too: a folder, or a name such as en-sv; lora takes lora "
        "only."
    ),
]
Schedule = Annotated[
    str | None,
    typer.Option(help="linear or cosine, down to zero, or constant. Default: cosine; marian inverse-sqrt.v1."),
]
Average = Annotated[
    int | None, typer.Option(help="Last evaluations whose weights are averaged. Default: 1, the last alone.")
]
EvalRows = Annotated[int | None, typer.Option(help="Sentences of each set that are translated then. Default: 100.")]


@app.command("engines", cls=Command)
def engines(ctx: CommandContext, src: Src = "en", tgt: Tgt = "sv", json: Json = False) -> None:
    """List the engines that this machine has for a pair; the first available one is what --engine auto takes.

    Example: promptbank mt engines --src en --tgt sv
    """
    from promptbank.mt.engines.provider import EngineRequest
    from promptbank.mt.engines.providers import offers

    found = offers(EngineRequest(src, tgt, None, ctx.settings))
    auto = next((offer for offer in found if offer.available), None)
    rows = (
        {
            "engine": offer.engine,
            "kind": offer.kind,
            "available": "yes" if offer.available else "no",
            "auto": "*" if offer is auto else "",
            "why": offer.why,
        }
        for offer in found
    )
    print_table(rows, as_json=json)


@app.command("score", cls=Command)
def score(
    ctx: CommandContext,
    sets: Annotated[list[Path], typer.Option("--set", help="Pairs to score on, TSV or JSONL. Repeatable.")],
    src: Src = "en",
    tgt: Tgt = "sv",
    engine: Annotated[
        list[str] | None, typer.Option(help="As for translate; repeatable, compared with the first. Default: auto.")
    ] = None,
    beam: Beam = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many of each set.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the translations and a report.")] = None,
    json: Json = False,
) -> None:
    """Score engines on evaluation sets: chrF2 and BLEU with signatures, 95 % intervals, paired bootstrap.

    What an engine has translated once is not translated again.

    Example: promptbank mt score --engine apertium --engine copy --tgt gl --set flores-dev.en-gl.tsv
    """
    from promptbank.cli.progress import opened
    from promptbank.mt.score import score_engines
    from promptbank.mt.translation import TranslationRequest

    request = TranslationRequest(src, tgt, beam=beam)
    with opened(ctx.settings) as bank:
        scores = score_engines(bank, request, engine or ["auto"], sets, rows=rows, out=out)
    plain = [{key: round(v, 2) if isinstance(v, float) else v for key, v in vars(s).items()} for s in scores]
    columns = ("set", "engine", "metric", "rows", "score", "low", "high", "p", "signature")
    lines = ({"set": row.pop("set_name"), **row, "p": s.p} for row, s in zip(plain, scores, strict=True))
    print_table(lines, columns, as_json=json)


@app.command("compare-engines", cls=Command)
def compare_engines(
    ctx: CommandContext,
    data: Annotated[
        Path, typer.Option("--set", help="Sentences: pairs in any format of a corpus, or .txt with one a line.")
    ],
    src: Src = "en",
    tgt: Tgt = "sv",
    engine: Annotated[
        list[str] | None, typer.Option(help="As for translate; repeatable, two or more. Default: all that run here.")
    ] = None,
    beam: Beam = None,
    rows: Annotated[int, typer.Option(min=1, help="Sentences that are drawn.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for a report and sentences.jsonl.")] = None,
    json: Json = False,
) -> None:
    """Compare engines on random sentences by how alike their translations are; rank the sentences to look at.

    No references are needed. Where there are some, the report says how well agreement finds the worst translations.

    Example: promptbank mt compare-engines --engine apertium --engine copy --tgt gl --set flores-dev.en-gl.tsv
    """
    from promptbank.cli.progress import opened
    from promptbank.mt.engine_agreement import compare_engines as compare
    from promptbank.mt.translation import TranslationRequest

    request = TranslationRequest(src, tgt, beam=beam)
    with opened(ctx.settings) as bank:
        found = compare(bank, request, engine or (), data, count=rows, seed=seed, out=out)
    lines = (
        {
            "engine": one.engine,
            "agreement": round(one.alike, 2),
            "flagged": one.flagged.count,
            "sentences": one.flagged.of,
            "chrf": one.chrf and round(one.chrf, 2),
            "correlation": one.correlation and round(one.correlation, 2),
        }
        for one in found.engines
    )
    print_table(lines, as_json=json)


@app.command("status", cls=Command)
def status(
    ctx: CommandContext,
    out: Annotated[Path | None, typer.Argument(help="Folder of a translation that is under way.")] = None,
    json: Json = False,
) -> None:
    """Say how far a translation is, or what the memory holds.

    Example: promptbank mt status translated/sv
    """
    from promptbank.mt.status import read_status

    if out is not None:
        print_json(read_status(out))
        return
    with Bank(ctx.settings) as bank:
        print_table(map(vars, bank.store.segments.engines()), as_json=json)


@app.command("train", cls=Command)
def train(
    ctx: CommandContext,
    arch: Annotated[
        str, typer.Option(help="backbone: the GPT that prompts use; marian: a small model from scratch.")
    ] = "backbone",
    method: Annotated[str | None, typer.Option(help="Of backbone. full (default): all layers; lora: low rank.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="Of lora. Default: 32.")] = None,
    corpus: Annotated[str, typer.Option(help="Name below <home>/mt, or a folder.")] = "en-sv",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; <home>/mt/<langpair>-<method> if absent.")
    ] = None,
    start: Start = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write what a run under way has learnt as a translator here, and end.")
    ] = None,
    sets: Sets = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps. Default: 4000; marian 20000.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Padded tokens of a batch. Default: 1500; marian 3000.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches of a step. Default: 1.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate. Default: 2e-4; lora 8e-4; marian 1e-3.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Steps of linear warm-up. Default: 100; marian 1000.")] = None,
    schedule: Schedule = None,
    average: Average = None,
    every: Annotated[int | None, typer.Option(help="Steps between evaluations. Default: 250; marian 500.")] = None,
    eval_rows: EvalRows = None,
    checkpoint_minutes: Annotated[float | None, typer.Option(help="Between checkpoints. Default: 15.")] = None,
    sample: Annotated[
        int | None, typer.Option(help="Tokens drawn a batch beside the corpus's; 0: all tokens. Default: 8192.")
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
    from promptbank.cli.progress import opened
    from promptbank.mt import training
    from promptbank.training.signals import stop_on_signal

    options = {
        "steps": steps, "tokens": tokens, "accumulate": accumulate, "lr": lr, "warmup": warmup, "schedule": schedule,
        "average": average, "every": every, "eval_rows": eval_rows, "checkpoint_minutes": checkpoint_minutes,
        "sample": sample, "dtype": dtype, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    request = training.TranslatorRequest(arch, corpus, method, rank, device, out, start, snapshot, sets or (), given)
    with stop_on_signal() as should_stop, opened(ctx.settings) as bank:
        folder = training.train(bank, request, should_stop)
    if folder is None:
        say("stopped, and saved; the same command goes on from here")
        raise typer.Exit(STOPPED)
    say(f"translator: {folder}")
