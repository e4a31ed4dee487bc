"""``promptbank tasks``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import CHECK_SAID_NO, Common, Data, Json, Lang, command
from promptbank.cli.output import print_json, print_table, say, write_text
from promptbank.config import Settings, make_home

if TYPE_CHECKING:
    from tasks import TaskCard

app = typer.Typer(help="Task cards.", no_args_is_help=True)

Cards = Annotated[list[Path], typer.Argument(help="JSONL file(s) of cards.")]


@command(app, "list")
def list_(common: Common, json: Json = False) -> None:
    """List the built-in cards and those added to the bank.

    Example: promptbank tasks list
    """
    import tasks as room

    own = _own_cards(common.settings)
    cards = [(card, "built-in") for card in room.builtin_cards()]
    cards += [(card, f"variant {name}") for name in room.variant_names() for card in room.builtin_cards(name)]
    cards += [(card, "bank") for card in own]
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
    print_table(rows, ("taskname", "lang", "origin", "answers", "virtual_tokens", "template"), as_json=json)


def _own_cards(settings: Settings) -> list[TaskCard]:
    import json as js

    import store
    import tasks as room

    make_home(settings.home)
    with store.open_store(settings.db) as opened:
        return [room.parse_card(js.loads(s.card_json), source=s.taskname) for s in opened.cards.list()]


@command(app, "show")
def show(
    common: Common,
    task: Annotated[str, typer.Argument(help="taskname[:lang]")],
    card: Annotated[str | None, typer.Option(help="Card file, or a built-in variant such as article.")] = None,
    lang: Lang = None,
) -> None:
    """Print a card as its JSON line.

    Example: promptbank tasks show sentiment-task
    """
    import store
    from promptbank.bank.cards import chosen_card

    make_home(common.settings.home)
    with store.open_store(common.settings.db) as opened:
        print_json(chosen_card(opened, task, lang, card).plain())


@command(app, "check")
def check(common: Common, cards: Cards) -> None:  # noqa: ARG001 - the options are shared
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
            continue
        say(f"{path}: {len(found)} sound card(s): {', '.join(f'{c.taskname}:{c.lang}' for c in found)}")
    if faulty:
        raise typer.Exit(CHECK_SAID_NO)


@command(app, "add")
def add(common: Common, cards: Cards, json: Json = False) -> None:
    """Check cards and store them in the bank, all or none.

    Example: promptbank tasks add card.jsonl
    """
    import store
    import tasks as room
    from promptbank.bank.cards import add_cards

    found = [card for path in cards for card in room.read_cards(path)]
    make_home(common.settings.home)
    with store.open_store(common.settings.db) as opened:
        added = add_cards(opened, found)
    for card, new in zip(found, added, strict=True):
        if json:
            print_json({"taskname": card.taskname, "lang": card.lang, "added": new, "sha256": card.sha256})
        say(f"{card.taskname}:{card.lang} " + ("added" if new else "was there already, the very same"))


@command(app, "sample")
def sample(
    common: Common,
    task: Annotated[str, typer.Option("--task", help="taskname[:lang] of a card.")],
    data: Data = None,
    lang: Lang = None,
    per_class: Annotated[int | None, typer.Option(min=1, help="Rows of each label.")] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of all rows, instead.")] = None,
    allow_short: Annotated[bool, typer.Option(help="Take what there is where a label has fewer rows.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the sample.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSONL file to write; stdout if absent.")] = None,
) -> None:
    """Draw few rows: smaller samples are in larger ones, whatever the order of the file.

    Example: promptbank tasks sample --task sentiment-task --per-class 4 --seed 7 --out few.jsonl
    """
    import json as js

    from promptbank.bank.cards import chosen_card, examples_of
    from promptbank.cli.session import opened_store
    from tasks.sampling import few_per_label, first_share

    if (per_class is None) == (fraction is None):
        raise typer.BadParameter("give either --per-class or --fraction")
    with opened_store(common.settings) as store:
        card = chosen_card(store, task, lang, None)
    found = examples_of(card, data, part="train")
    if per_class is not None:
        chosen = few_per_label(found.examples, per_class, seed=seed, allow_short=allow_short)
    else:
        chosen = first_share(found.examples, fraction or 0.0, seed=seed)
    records = (
        {"taskname": e.taskname, "lang": e.lang, **e.fields, card.answer_field: e.answer, "id": e.id, "group": e.group}
        for e in chosen
    )
    text = "".join(js.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    say(f"{len(chosen)} of {found.note}")


@command(app, "convert")
def convert(
    common: Common,  # noqa: ARG001 - the options are shared
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="Such as fiqa.")],
    files: Annotated[list[Path], typer.Argument(help="Files in that format.")],
    out: Annotated[Path | None, typer.Option(help="JSONL file to write; stdout if absent.")] = None,
) -> None:
    """Turn other people's data into JSONL records with id and group.

    Example: promptbank tasks convert fiqa headlines.json posts.json --out fiqa.jsonl
    """
    import json as js

    import tasks as room

    if format_ not in room.CONVERTERS:
        raise typer.BadParameter(f"unknown format {format_!r}; known: {', '.join(room.CONVERTERS)}")
    converted = room.CONVERTERS[format_](files)
    text = "".join(js.dumps(record, ensure_ascii=False) + "\n" for record in converted.records)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    say(f"{out or 'stdout'}: {'; '.join(converted.notes)}")
