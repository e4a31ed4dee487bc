"""``promptbank mt engines|score|labels|review|status``: what goes with ``promptbank translate``."""

from __future__ import annotations

import json as js
from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import CHECK_SAID_NO, Command, Context, Json
from promptbank.cli.output import print_json, print_table, say
from promptbank.cli.translate import Beam, EngineName, Src, Tgt
from promptbank.files import write_text

__all__ = ["register"]

labels = typer.Typer(help="Decisions about labels and phrases, in labels.<lang>.toml.", no_args_is_help=True)
review = typer.Typer(help="Rows that a person should look at.", no_args_is_help=True)

LabelFile = Annotated[Path, typer.Argument(help="labels.<lang>.toml")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("engines", cls=Command)(engines)
    app.command("score", cls=Command)(score)
    app.command("status", cls=Command)(status)
    app.add_typer(labels, name="labels")
    app.add_typer(review, name="review")


def engines(ctx: Context, src: Src = "en", tgt: Tgt = "sv", json: Json = False) -> None:
    """List the engines that this machine has for a pair; the first available one is what --engine auto takes.

    Example: promptbank mt engines --src en --tgt sv
    """
    from promptbank.mt.engines.provider import EngineRequest
    from promptbank.mt.engines.providers import offers

    found = offers(EngineRequest(src, tgt, None, ctx.settings))
    auto = next((offer for offer in found if offer.available), None)
    rows = [
        {
            "engine": offer.engine,
            "kind": offer.kind,
            "available": "yes" if offer.available else "no",
            "auto": "*" if offer is auto else "",
            "why": offer.why,
        }
        for offer in found
    ]
    print_table(rows, ("engine", "kind", "available", "auto", "why"), as_json=json)


def score(
    ctx: Context,
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
    from promptbank.cli import scoring
    from promptbank.cli.translating import TranslateAsked

    asked = TranslateAsked(src, tgt, "", beam)
    scoring.score(ctx.settings, asked, engine or ["auto"], sets, rows, out, as_json=json)


@labels.command("init", cls=Command)
def init(
    ctx: Context,
    src: Src = "en",
    tgt: Tgt = "sv",
    task: Annotated[list[str] | None, typer.Option("--task", help="taskname; repeatable. Default: all cards.")] = None,
    engine: EngineName = "auto",
    beam: Beam = None,
    out: Annotated[Path | None, typer.Option(help="File; what it decides stays. Default: labels.<tgt>.toml.")] = None,
) -> None:
    """Let an engine propose forms for labels and phrases; what is decided stays, what is new waits for approval.

    Example: promptbank mt labels init --tgt gl --task sentiment-task
    """
    from promptbank.bank.cards import chosen_card, known_cards
    from promptbank.cli.session import opened_store
    from promptbank.cli.translating import TranslateAsked, the_engine
    from promptbank.mt.labels import proposed
    from promptbank.mt.memory import BankMemory
    from translate.inventory.file import dump_inventory, load_inventory, shipped_inventory

    path = out or Path(f"labels.{tgt}.toml")
    known = load_inventory(path) if path.is_file() else shipped_inventory(src, tgt)
    with opened_store(ctx.settings) as store:
        every = [card for card in known_cards(store) if card.lang == src]
        cards = [chosen_card(store, name, src, None) for name in task] if task else every
        asked = TranslateAsked(src, tgt, engine, beam)
        made = proposed(cards, known, the_engine(ctx.settings, asked), BankMemory(store))
    write_text(path, dump_inventory(made))
    waiting = sum(d.status == "auto" for section in made.decisions.values() for d in section.values())
    say(f'{path}: {waiting} entries wait for status = "approved"')


@labels.command("check", cls=Command)
def check(_ctx: Context, file: LabelFile, json: Json = False) -> None:
    """Check a file of decisions: collisions, placeholders, ids; exit code 3 when something is wrong.

    Example: promptbank mt labels check labels.sv.toml
    """
    from translate import InventoryError
    from translate.inventory.file import load_inventory

    try:
        found = load_inventory(file)
    except InventoryError as exc:
        for fault in exc.faults:
            say(f"{file}: {fault}")
        raise typer.Exit(CHECK_SAID_NO) from exc
    rows = [
        {
            "section": ".".join(section),
            "entries": len(entries),
            "auto": sum(d.status == "auto" for d in entries.values()),
        }
        for section, entries in sorted(found.decisions.items())
    ]
    print_table(rows, ("section", "entries", "auto"), as_json=json)


@review.command("apply", cls=Command)
def apply(
    ctx: Context,
    file: Annotated[Path, typer.Argument(help="review.csv of a translated folder, with decisions in it.")],
    src: Annotated[str | None, typer.Option(help="Source language, where the file does not say it.")] = None,
    tgt: Annotated[str | None, typer.Option(help="Target language, where the file does not say it.")] = None,
    json: Json = False,
) -> None:
    """Check the decisions (ok, edit, drop) of a review file and keep them in the bank, all or none.

    They hold for every later run and every engine; `translate` again to have them in the files.

    Example: promptbank mt review apply translated/sv/review.csv
    """
    from promptbank.cli.session import opened_store
    from promptbank.mt.memory import apply_overrides
    from promptbank.mt.review import decided_pair, read_decisions

    decided, items = read_decisions(file)
    pair = decided_pair(items, src, tgt)
    with opened_store(ctx.settings) as store:
        apply_overrides(store, *pair, decided)
    counts = {"applied": len(decided), "dropped": sum(override.drop for override in decided.values())}
    if json:
        print_json({"src": pair[0], "tgt": pair[1], **counts})
    say(
        f"{counts['applied']} decision(s) kept for {'-'.join(pair)}, {counts['dropped']} of them drops; translate "
        "again to use them"
    )


def status(
    ctx: Context,
    out: Annotated[Path | None, typer.Argument(help="Folder of a translation that is under way.")] = None,
    json: Json = False,
) -> None:
    """Say how far a translation is, or what the memory holds.

    Example: promptbank mt status translated/sv
    """
    from promptbank.cli.session import opened_store
    from promptbank.cli.translating import STATUS
    from promptbank.errors import InputError

    if out is not None:
        try:
            print_json(js.loads((out / STATUS).read_text(encoding="utf-8")))
        except (OSError, ValueError) as exc:
            raise InputError(f"{out} has no readable {STATUS}; no translation was begun there") from exc
        return
    with opened_store(ctx.settings) as store:
        rows = [vars(one) for one in store.segments.engines()]
    print_table(rows, tuple(rows[0]) if rows else (), as_json=json)
