"""``promptbank translate``: labelled sets or plain text into another language."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Columns, Command, CommandContext, Data, Json
from promptbank.cli.output import print_json, print_table, say
from promptbank.errors import InputError

if TYPE_CHECKING:
    from promptbank.mt.translate_set import TranslatedSet
    from promptbank.mt.translation import TranslationRequest

PLAIN = ("src", "tgt", "engine", "beam", "characters", "lines")
"""Options that plain text takes too."""

Src = Annotated[str, typer.Option("--src", help="Source language.")]
Tgt = Annotated[str, typer.Option("--tgt", help="Target language.")]
TaskName = Annotated[
    str | None, typer.Option(help="taskname of the records. Default: what the records or the samples say.")
]
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
        help="Engine for records that the checks doubt; the least doubtful translation is kept. auto is the backbone's "
        "own greedy search where it has a beam, none is none."
    ),
]
Compare = Annotated[
    list[str] | None, typer.Option("--compare", help="Further engine, only to compare with; repeatable.")
]
Back = Annotated[str | None, typer.Option(help="Engine of the way back; its result is compared with the source.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="Decisions about labels. Default: labels.<tgt>.toml of --out, then the shipped one."),
]
Names = Annotated[Path | None, typer.Option(help="File of names that stay as they are, a line each.")]
PolicyFile = Annotated[Path | None, typer.Option(help="TOML file: what each flag means.")]
Only = Annotated[str, typer.Option(help="Statuses of the records that are written, commas between.")]
Align = Annotated[str, typer.Option(help="Corpus for word alignment, a name below <home>/mt; auto, or none.")]
References = Annotated[
    list[Path] | None,
    typer.Option(help="File of people's translations, same ids, to score against; repeatable."),
]
Characters = Annotated[
    int | None, typer.Option(min=1, help="Most characters that are sent to a service on the net. Default: 500,000.")
]
AllRows = Annotated[
    bool, typer.Option("--all-rows", help="Put all rows into review.csv, the worst first, not the flagged alone.")
]
Report = Annotated[
    Path | None, typer.Option(help="Folder of a second report, without any text of the records, to be shared.")
]


app = typer.Typer()


@app.command("translate", cls=Command)
def translate(
    ctx: CommandContext,
    src: Src = "en",
    tgt: Tgt = "sv",
    task: TaskName = None,
    data: Data = None,
    columns: Columns = None,
    lines: Lines = None,
    out: Out = None,
    card: Card = None,
    engine: EngineName = "auto",
    beam: Beam = None,
    fallback: Fallback = "auto",
    compare: Compare = None,
    back: Back = None,
    labels: Labels = None,
    names: Names = None,
    policy: PolicyFile = None,
    only: Only = "ok,unchecked,warn,review",
    all_rows: AllRows = False,
    align: Align = "auto",
    references: References = None,
    characters: Characters = None,
    report: Report = None,
    json: Json = False,
) -> None:
    """Translate labelled sets, with labels, slots, numbers and names intact; say which records a person should look at.

    One file for each file, with the same name, order, ids and groups, and one for each split of a dataset. Beside them:
    provenance.jsonl, review.csv, report.md and report.html. A killed run goes on when the same command is given again;
    what was translated once is not translated again. Without --data the shipped samples are translated.

    Example: promptbank translate --src en --tgt sv
    """
    from promptbank.cli.progress import opened
    from promptbank.mt import translation as use_case
    from promptbank.mt.engines.provider import CHARACTERS

    request = use_case.TranslationRequest(
        src, tgt, engine, beam, characters or CHARACTERS, data or (), columns, out, task, card,
        fallback=fallback, compare=compare or (), back=back, labels=labels, names=names, policy=policy,
        only=_statuses(only), align=align, references=references or (), report=report, all_rows=all_rows,
    )  # fmt: skip
    if lines is not None:
        _translate_lines(ctx, request, lines)
        return
    with opened(ctx.settings) as bank:
        done, paths = use_case.translate(bank, request)
    _print(done, paths, request.folder, as_json=json)


def _statuses(only: str) -> list[str]:
    return [status.strip() for status in only.split(",") if status.strip()]


def _refuse_row_options(ctx: CommandContext) -> None:
    """Make sure that nothing was asked for that only records have."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params if name not in PLAIN}
    given = [
        f"--{name.replace('_', '-')}" for name, source in sources.items() if source and source.name == "COMMANDLINE"
    ]
    if given:
        raise InputError(f"--lines translates plain text and takes none of {', '.join(given)}; leave them out")


def _translate_lines(ctx: CommandContext, request: TranslationRequest, path: Path) -> None:
    """Translate plain text, a line each, to stdout; empty lines stay, and what the checks doubt is said on stderr."""
    _refuse_row_options(ctx)
    from promptbank.cli.progress import opened
    from promptbank.mt.translation import translate_texts
    from translate.checks import doubts
    from translate.records.layout import tidy_layout

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} cannot be read: {exc}; give a UTF-8 text file, or - for stdin") from exc
    lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n") if text else []
    with opened(ctx.settings) as bank:
        found = translate_texts(bank, request, [tidy_layout(line) for line in lines])
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.stdout.flush()
    for number, (source, text) in enumerate(zip(lines, found, strict=True), start=1):
        for flag in doubts(source, text, (request.src, request.tgt)) if source.strip() else ():
            say(f"line {number}: {flag.name}: {flag.evidence}")


def _print(done: TranslatedSet, paths: Sequence[Path], out: Path, *, as_json: bool) -> None:
    counts = done.counts()
    if as_json:
        print_json({"out": str(out), **counts, "files": [path.name for path in paths]})
        return
    print_table([counts], as_json=False)
    say(f"{counts['written']} of {counts['rows']} records written to {out}; look at review.csv and report.html there")
    for card in done.made_cards:
        task = f"{card.taskname}:{card.lang}"
        say(f"{task} is a new card: train it with --card {out / 'cards.jsonl'}, or keep it with `tasks add`")
