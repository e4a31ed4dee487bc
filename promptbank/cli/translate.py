"""``promptbank translate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import Command, Context, Data, Json

Src = Annotated[str, typer.Option("--src", help="Source language.")]
Tgt = Annotated[str, typer.Option("--tgt", help="Target language.")]
TaskName = Annotated[str | None, typer.Option(help="taskname of the rows. Default: what the rows or the samples say.")]
Lines = Annotated[Path | None, typer.Option(help="Translate plain text instead, a line each, to stdout; - is stdin.")]
Out = Annotated[Path | None, typer.Option(help="Folder of the translated files; translated/<tgt> if absent.")]
Card = Annotated[str | None, typer.Option(help="Card file of the source task, or a built-in variant.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="auto, a name of `mt engines`, a folder, a hub id, libretranslate:URL, deepl, google, task:NAME, "
        "recorded:FILE or copy.",
    ),
]
Beam = Annotated[
    int | None, typer.Option(min=1, help="Hypotheses kept for each text; 1 is greedy. Default: the engine's own.")
]
Fallback = Annotated[
    str,
    typer.Option(
        help="Engine for rows that the checks doubt; the least doubtful translation is kept. auto is the backbone's "
        "own greedy search where it has a beam, none is none."
    ),
]
Others = Annotated[
    list[str] | None, typer.Option("--compare", help="Further engine, only to compare with; repeatable.")
]
Back = Annotated[str | None, typer.Option(help="Engine of the way back; its result is compared with the source.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="Decisions about labels. Default: labels.<tgt>.toml of --out, then the shipped one."),
]
Names = Annotated[Path | None, typer.Option(help="File of names that stay as they are, a line each.")]
PolicyFile = Annotated[Path | None, typer.Option(help="TOML file: what each flag means.")]
Only = Annotated[str, typer.Option(help="Statuses of the rows that are written, commas between.")]
Align = Annotated[str, typer.Option(help="Corpus for word alignment, a name below <home>/mt; auto, or none.")]
References = Annotated[
    list[Path] | None,
    typer.Option(help="JSONL of people's translations, same ids, to score against; repeatable."),
]
Characters = Annotated[
    int | None, typer.Option(min=1, help="Most characters that are sent to a service on the net. Default: 500,000.")
]
Report = Annotated[
    Path | None, typer.Option(help="Folder of a second report, without any text of the rows, to be shared.")
]


app = typer.Typer()


@app.command("translate", cls=Command)
def translate(
    ctx: Context,
    src: Src = "en",
    tgt: Tgt = "sv",
    task: TaskName = None,
    data: Data = None,
    lines: Lines = None,
    out: Out = None,
    card: Card = None,
    engine: EngineName = "auto",
    beam: Beam = None,
    fallback: Fallback = "auto",
    others: Others = None,
    back: Back = None,
    labels: Labels = None,
    names: Names = None,
    policy: PolicyFile = None,
    only: Only = "ok,warn,review",
    align: Align = "auto",
    references: References = None,
    characters: Characters = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Translate labelled sets, with labels, slots, numbers and names intact; say which rows a person should look at.

    One file for each file, with the same name, order, ids and groups, and one for each split of a dataset. Beside them:
    provenance.jsonl, review.csv, report.md and report.html. A killed run goes on when the same command is given again;
    what was translated once is not translated again. Without --data the shipped samples are translated.

    Example: promptbank translate --src en --tgt sv
    """
    from promptbank.cli import translating

    asked = translating.TranslateAsked(
        src=src,
        tgt=tgt,
        engine=engine,
        beam=beam,
        fallback=fallback,
        others=tuple(others or ()),
        back=back,
        task=task,
        data=tuple(data or ()),
        card=card,
        labels=labels,
        names=names,
        policy=policy,
        only=only,
        align=align,
        references=tuple(references or ()),
        characters=characters or translating.CHARACTERS,
        report=report,
        out=out,
        as_json=json,
    )
    if lines is not None:
        translating.translate_lines(ctx.settings, asked, lines)
    else:
        translating.translate_sets(ctx.settings, asked)
