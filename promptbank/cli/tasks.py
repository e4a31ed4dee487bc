"""``promptbank tasks``: task cards, and the records that go with them."""

from pathlib import Path
from typing import Annotated

import typer

from promptbank.bank.session import Bank
from promptbank.cli.command import CHECK_SAID_NO, Columns, Command, CommandContext, Data, Json, Lang, Task
from promptbank.cli.output import print_json, print_lines, print_table, say

app = typer.Typer(help="Task cards.", no_args_is_help=True)

Cards = Annotated[list[Path], typer.Argument(help="JSONL file(s) of cards.")]
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


@app.command("check", cls=Command)
def check(_ctx: CommandContext, cards: Cards) -> None:
    """Check cards without storing them; exit code 3 when one is faulty.

    Example: promptbank tasks check card.jsonl
    """
    import tasks as room

    faulty = False
    for path in cards:
        try:
            found = room.read_cards(path)
        except room.CardError as exc:
            faulty = True
            for fault in exc.faults:
                say(f"{path}: {fault}")
        else:
            say(f"{path}: {len(found)} sound card(s): {', '.join(f'{c.taskname}:{c.lang}' for c in found)}")
    if faulty:
        raise typer.Exit(CHECK_SAID_NO)


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
) -> None:
    """Turn other people's data into JSONL records with id and group.

    Example: promptbank tasks convert fiqa headlines.json posts.json --out fiqa.jsonl
    """
    import tasks as room

    if format_ not in room.CONVERTERS:
        raise typer.BadParameter(f"unknown format {format_!r}; known: {', '.join(room.CONVERTERS)}")
    converted = room.CONVERTERS[format_](files)
    print_lines(converted.records, out)
    say(f"{out or 'stdout'}: {'; '.join(converted.notes)}")
