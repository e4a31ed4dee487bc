"""``promptbank mt corpus``: the pairs of sentences that translators learn from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from promptbank.cli.command import Command, CommandContext, Json
from promptbank.cli.output import print_json, print_table, say

app = typer.Typer(help="The pairs of sentences they learn from.", no_args_is_help=True)

LangPair = Annotated[str, typer.Option("--langpair", help="Source and target language.")]
Files = Annotated[
    list[str],
    typer.Option(
        "--data",
        help="Pairs: TSV, JSONL, Parquet, CSV, Moses files or a zip of them, TMX, or a folder of gettext catalogs; "
        "FILE or source=FILE. Repeatable.",
    ),
]
HeldOut = Annotated[
    list[Path] | None, typer.Option("--held-out", help="Evaluation pairs; none of their sentences is kept. Repeatable.")
]


@app.command("build", cls=Command)
def build(
    ctx: CommandContext,
    data: Files,
    held_out: HeldOut = None,
    langpair: LangPair = "en-sv",
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
    from promptbank.mt import corpora

    augment = {
        "title": title, "spoken": spoken, "entity": entity, "marker": marker, "clocks": clocks,
        "values": values, "aligned": aligned,
    }  # fmt: skip
    request = corpora.CorpusRequest(langpair, data, held_out or (), cap, repeat, augment, seed)
    manifest, folder = corpora.build(ctx.settings.home, request, name)
    _print_manifest(manifest, as_json=json)
    say(f"corpus: {folder}")


@app.command("fetch", cls=Command)
def fetch(
    ctx: CommandContext,
    langpair: LangPair = "en-sv",
    catalogs: Annotated[
        bool, typer.Option("--catalogs", help="Translations of programs, from Debian's packages.")
    ] = False,
    packages: Annotated[
        str | None, typer.Option(help="Names with commas between; a built-in list of about 40 if absent.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Download without asking.")] = False,
    json: Json = False,
) -> None:
    """Fetch translations into <home>/mt/<langpair>/catalogs, for `corpus build --data`; says the size and asks first.

    Packages are downloaded by apt-get, one at a time; only catalogs of the language are taken out. Versions and
    licences are in packages.json there. The same command goes on where it was stopped.

    Example: promptbank mt corpus fetch --catalogs --langpair en-is --packages iso-codes,gnome-mines
    """
    from promptbank.mt import corpora

    if not catalogs:
        raise typer.BadParameter("say what to fetch: --catalogs")

    def agree(what: str, size: int) -> None:
        say(what)
        if size and not yes:
            typer.confirm("Download? (--yes answers this)", abort=True, err=True)

    names = packages.split(",") if packages else None
    fetched, folder = corpora.fetch_catalogs(ctx.settings.home, langpair, names, agree, say)
    rows = ({**vars(package), "licences": ", ".join(package.licences)} for package in fetched)
    print_table(rows, ("package", "version", "catalogs", "licences", "copyright"), as_json=json)
    say(f"catalogs: {folder}")


@app.command("filter", cls=Command)
def filter_(
    _ctx: CommandContext,
    data: Files,
    held_out: HeldOut = None,
    langpair: LangPair = "en-sv",
    dropped: Annotated[Path | None, typer.Option(help="Write the dropped pairs here, with their reasons.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the kept pairs here.")] = None,
    json: Json = False,
) -> None:
    """Say how many pairs of each source are dropped and why; build nothing.

    Example: promptbank mt corpus filter --data en-sv.tsv.gz --dropped dropped.jsonl
    """
    from promptbank.mt import corpora

    request = corpora.CorpusRequest(langpair, data, held_out or ())
    print_table(corpora.count_kept(request, out, dropped), as_json=json)


@app.command("stats", cls=Command)
def stats(
    ctx: CommandContext,
    name: Annotated[str, typer.Argument(help="Name below <home>/mt, or a folder.")] = "en-sv",
    json: Json = False,
) -> None:
    """Print what is known of a corpus: pairs by source and kind, dropped by reason.

    Example: promptbank mt corpus stats en-sv
    """
    from promptbank.mt.corpora import corpus_folder
    from translate.corpus.folder import read_manifest

    _print_manifest(read_manifest(corpus_folder(ctx.settings.home, name)), as_json=json)


def _print_manifest(manifest: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    dropped, kept = manifest["dropped"], manifest["train_by_source_and_kind"]
    sources = manifest["read"].items()
    rows = [{"source": name, "read": count, **dropped.get(name, {}), **kept.get(name, {})} for name, count in sources]
    print_table(rows, as_json=False)
    say(f"{manifest['langpair']}: {manifest['pairs']['train']} pairs to learn, {manifest['pairs']['dev']} for dev")
