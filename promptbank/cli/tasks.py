"""``promptbank tasks``: task cards, and the records that go with them."""

from __future__ import annotations

import json as js
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.bank.session import Bank
from promptbank.cli.command import CHECK_SAID_NO, Columns, Command, CommandContext, Data, Json, Lang, Task
from promptbank.cli.output import print_json, print_lines, print_table, say
from promptbank.errors import InputError

if TYPE_CHECKING:
    from tasks import Conversion, TaskCard

app = typer.Typer(help="Task cards.", no_args_is_help=True)

Cards = Annotated[list[Path], typer.Argument(help="Files of cards, JSON or YAML.")]
Rows = Annotated[Path | None, typer.Option(help="JSONL file to write; stdout if absent.")]


@app.command("list", cls=Command)
def list_(ctx: CommandContext, json: Json = False) -> None:
    """List the built-in cards and those added to the bank.

    Example: promptbank tasks list
    """
    from promptbank.bank.cards import cards_by_origin

    with Bank(ctx.settings) as bank:
        cards = cards_by_origin(bank.store_if_there())
    rows = (
        {
            "taskname": card.taskname,
            "lang": card.lang,
            "origin": origin,
            "answers": "open" if card.label_space is None else list(card.label_space),
            "virtual_tokens": card.total_virtual_tokens,
            "template": card.template_sha256[:12],
        }
        for card, origin in cards
    )
    print_table(rows, as_json=json)


@app.command("show", cls=Command)
def show(
    ctx: CommandContext,
    task: Annotated[str, typer.Argument(help="taskname[:lang]")],
    card: Annotated[str | None, typer.Option(help="Card file, or a built-in variant such as article.")] = None,
    lang: Lang = None,
) -> None:
    """Print a card as its JSON line.

    Example: promptbank tasks show sentiment-task
    """
    from promptbank.bank.cards import chosen_card

    with Bank(ctx.settings) as bank:
        print_json(chosen_card(bank.store_if_there(), task, lang, card).plain())


@app.command("init", cls=Command)
def init(
    _ctx: CommandContext,
    data: Annotated[str, typer.Option("--data", help="File of records, datasets folder or hub id.")],
    text: Annotated[str, typer.Option("--text", help="Column with the text.")],
    label: Annotated[str, typer.Option("--label", help="Column with the label or answer.")],
    name: Annotated[str | None, typer.Option("--name", help="taskname. Default: made of the name of the data.")] = None,
    lang: Lang = None,
    out: Annotated[Path | None, typer.Option(help="Card file to write; stdout if absent.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a card file that is there.")] = False,
) -> None:
    """Draft a card from data, and say what was guessed; correct it by hand, then train with --card.

    Example: promptbank tasks init --data train.csv --text utterance --label intent --out card.json
    """
    from promptbank.bank.dataset import identified_language
    from promptbank.files import write_text
    from tasks import draft_card, read_data, without_records

    if out is not None and out.exists() and not force:
        raise InputError(f"{out} is there already, perhaps with your corrections; name another file, or pass --force")
    records = list(read_data(data, fields=(text, label)))
    if not records:
        raise InputError(without_records(data))
    draft = draft_card(records, text=text, label=label, name=name or data, lang=lang, identify=identified_language)
    written = _pretty(draft.card)
    typer.echo(written, nl=False) if out is None else write_text(out, written)
    for guess in draft.guesses:
        say(guess)
    card = out or "CARD"
    say(f"next: promptbank tasks check {card} --data {data}; promptbank train --card {card} --data {data}")


def _pretty(card: TaskCard) -> str:
    return js.dumps(card.plain(), ensure_ascii=False, indent=2) + "\n"


@app.command("check", cls=Command)
def check(_ctx: CommandContext, cards: Cards, data: Data = None, columns: Columns = None, json: Json = False) -> None:
    """Check cards without storing them, and with --data the examples that go with them, as a whole.

    What is doubtful of a set is said, with its places. The exit code is 3 when a card is faulty, or when nothing can be
    learnt from the data.

    Example: promptbank tasks check card.jsonl --data train.csv
    """
    import tasks as room

    sound: list[TaskCard] = []
    faulty = False
    for path in cards:
        try:
            found = room.read_cards(path)
        except room.CardError as exc:
            faulty = True
            for fault in exc.faults:
                say(f"{path}: {fault}")
        else:
            sound += found
            names = ", ".join(f"{c.taskname}:{c.lang}" for c in found)
            say(f"{path}: {room.counted(len(found), 'sound card', 'sound cards')}: {names}")
    if data and not faulty:
        faulty = not _check_data(sound, data, columns, as_json=json)
    if faulty:
        raise typer.Exit(CHECK_SAID_NO)


def _check_data(
    cards: Sequence[TaskCard], data: Sequence[str], columns: Mapping[str, str] | None, *, as_json: bool
) -> bool:
    """Report on the examples of each card; return whether something can be learnt from each set."""
    from promptbank.bank.cards import examples_of_each
    from promptbank.bank.dataset import look_at
    from promptbank.bank.display import Display
    from tasks import DataError, check_labels

    learnable = True
    for card, found in zip(cards, examples_of_each(cards, data, columns=columns), strict=True):
        say(f"{card.taskname}:{card.lang}: {found.note}")
        report = look_at(Display(say), card, {"train": found.examples})
        try:
            check_labels(found.examples, card)
        except DataError as exc:
            learnable = False
            say(f"{card.taskname}:{card.lang}: {exc}")
        if as_json:
            print_json({"taskname": card.taskname, "lang": card.lang, **report.as_dict()})
        elif report.labels:
            print_table(({"label": label, "examples": n} for label, n in report.labels.items()), as_json=False)
    return learnable


@app.command("add", cls=Command)
def add(ctx: CommandContext, cards: Cards, json: Json = False) -> None:
    """Check cards and store them in the bank, all or none.

    Example: promptbank tasks add card.jsonl
    """
    import tasks as room
    from promptbank.bank.cards import add_cards

    found = [card for path in cards for card in room.read_cards(path)]
    with Bank(ctx.settings) as bank:
        added = add_cards(bank.make(), found)
    for card, new in zip(found, added, strict=True):
        if json:
            print_json({"taskname": card.taskname, "lang": card.lang, "added": new, "sha256": card.sha256})
        say(f"{card.taskname}:{card.lang} " + ("added" if new else "was there already, the very same"))


@app.command("sample", cls=Command)
def sample(
    ctx: CommandContext,
    task: Task,
    data: Data = None,
    columns: Columns = None,
    lang: Lang = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Rows of each label.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of all records, instead.")] = None,
    allow_short: Annotated[bool, typer.Option(help="Take what there is where a label has fewer records.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    out: Rows = None,
) -> None:
    """Draw few rows: smaller samples are in larger ones, whatever the order of the file.

    Example: promptbank tasks sample --task sentiment-task --per-class 4 --seed 7 --out few.jsonl
    """
    from promptbank.bank.cards import chosen_card, examples_of
    from tasks.sampling import few_per_label, first_share

    if (per_class is None) == (fraction is None):
        raise typer.BadParameter("give either --per-class or --fraction")
    with Bank(ctx.settings) as bank:
        card = chosen_card(bank.store_if_there(), task, lang, None)
    found = examples_of(card, data, part="train", columns=columns)
    if per_class is not None:
        chosen = few_per_label(found.examples, per_class, seed=seed, allow_short=allow_short)
    else:
        chosen = first_share(found.examples, fraction or 0.0, seed=seed)
    records = (
        {"taskname": e.taskname, "lang": e.lang, **e.fields, card.answer_field: e.answer, "id": e.id, "group": e.group}
        for e in chosen
    )
    print_lines(records, out)
    say(f"{len(chosen)} of {found.note}")


@app.command("convert", cls=Command)
def convert(
    _ctx: CommandContext,
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="Such as fiqa.")],
    files: Annotated[list[Path], typer.Argument(help="Files in that format.")],
    out: Rows = None,
    parts: Annotated[
        Path | None,
        typer.Option("--parts", help="Folder instead: a file for each part, and card.json where the set has its own."),
    ] = None,
) -> None:
    """Turn other people's data into JSONL records with id and group; docs/data.md lists the formats.

    Example: promptbank tasks convert massive en-US.jsonl sv-SE.jsonl --parts massive
    """
    import tasks as room

    if format_ not in room.CONVERTERS:
        raise typer.BadParameter(f"unknown format {format_!r}; known: {', '.join(room.CONVERTERS)}")
    if out is not None and parts is not None:
        raise typer.BadParameter("give --out or --parts, one file or a folder")
    converted = room.CONVERTERS[format_](files)
    if parts is not None:
        _write_parts(converted, parts)
    else:
        print_lines(converted.records, out)
        if converted.card is not None:
            say("the records have a card of their own; give --parts FOLDER to have it written beside them")
    say(f"{parts or out or 'stdout'}: {'; '.join(converted.notes)}")


def _write_parts(converted: Conversion, folder: Path) -> None:
    """Write a file for each part, and the card where the records have one of their own."""
    from promptbank.files import make_folder, write_text

    make_folder(folder)
    for name, records in converted.parts().items():
        print_lines(records, folder / f"{name or 'all'}.jsonl")
    if converted.card is not None:
        write_text(folder / "card.json", _pretty(converted.card))
