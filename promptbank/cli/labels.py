"""``promptbank mt labels`` and ``mt review``: what people decide about translations."""

from pathlib import Path
from typing import Annotated

import typer

from promptbank.bank.session import Bank
from promptbank.cli.command import CHECK_SAID_NO, Command, CommandContext, Json
from promptbank.cli.output import print_done, print_table, say
from promptbank.cli.translate import Beam, EngineName, Src, Tgt
from tasks import counted

app = typer.Typer(help="Decisions about labels and phrases, in labels.<lang>.toml.", no_args_is_help=True)
review = typer.Typer(help="Rows that a person should look at.", no_args_is_help=True)


@app.command("init", cls=Command)
def init(
    ctx: CommandContext,
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
    from promptbank.cli.progress import opened
    from promptbank.mt.translation import TranslationRequest, propose_labels

    with opened(ctx.settings) as bank:
        path, waiting = propose_labels(bank, TranslationRequest(src, tgt, engine, beam, labels=out), task or ())
    say(f'{path}: {waiting} entries wait for status = "approved"')


@app.command("check", cls=Command)
def check(
    _ctx: CommandContext, file: Annotated[Path, typer.Argument(help="labels.<lang>.toml")], json: Json = False
) -> None:
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
    rows = (
        {"section": ".".join(section), "entries": len(made), "auto": sum(d.status == "auto" for d in made.values())}
        for section, made in sorted(found.decisions.items())
    )
    print_table(rows, as_json=json)


@review.command("apply", cls=Command)
def apply(
    ctx: CommandContext,
    file: Annotated[Path, typer.Argument(help="review.csv of a translated folder, with decisions in it.")],
    src: Annotated[str | None, typer.Option(help="Source language, where the file does not say it.")] = None,
    tgt: Annotated[str | None, typer.Option(help="Target language, where the file does not say it.")] = None,
    json: Json = False,
) -> None:
    """Check the decisions of a review file and keep them in the bank, all or none.

    Decisions are ok, edit (the text must pass the checks of a translation), edit! (it is taken all the same), drop, and
    undo, which takes an earlier one back. They hold for every later run and every engine; `translate` again to have
    them in the files, with --all-rows to decide any row, decided ones too.

    Example: promptbank mt review apply translated/sv/review.csv
    """
    from promptbank.mt.memory import apply_overrides
    from promptbank.mt.review import decided_pair, read_decisions

    decided, items = read_decisions(file)
    pair = decided_pair(items, src, tgt)
    with Bank(ctx.settings) as bank:
        apply_overrides(bank.make(), *pair, decided)
    drops = sum(override.drop for override in decided.values())
    facts = {"src": pair[0], "tgt": pair[1], "applied": len(decided), "dropped": drops}
    kept = counted(len(decided), "decision", "decisions")
    told = f"{kept} kept for {'-'.join(pair)}, {drops} of them drops; translate again to use them"
    print_done(told, facts, as_json=json)


@review.command("list", cls=Command)
def list_(ctx: CommandContext, src: Src = "en", tgt: Tgt = "sv", json: Json = False) -> None:
    """List the decisions that are kept for a language pair.

    Example: promptbank mt review list --src en --tgt sv
    """
    from promptbank.mt.memory import kept_overrides
    from promptbank.mt.review import override_row

    with Bank(ctx.settings) as bank:
        kept = kept_overrides(bank.store, src, tgt)
    print_table(map(override_row, kept.values()), as_json=json)


@review.command("undo", cls=Command)
def undo(
    ctx: CommandContext,
    decision: Annotated[list[str], typer.Argument(help="Source hashes as `mt review list` shows them; several.")],
    src: Src = "en",
    tgt: Tgt = "sv",
    json: Json = False,
) -> None:
    """Take decisions back; the next `translate` has the engine's translations again.

    Example: promptbank mt review undo 3f2a9c1d04be --src en --tgt sv
    """
    from promptbank.mt.memory import apply_overrides, kept_overrides
    from promptbank.mt.review import withdrawn

    with Bank(ctx.settings) as bank:
        gone = withdrawn(kept_overrides(bank.store, src, tgt), decision)
        apply_overrides(bank.store, src, tgt, gone)
    back = counted(len(gone), "decision", "decisions")
    told = f"{back} for {src}-{tgt} taken back; translate again to have the engine's texts"
    print_done(told, {"src": src, "tgt": tgt, "undone": sorted(gone)}, as_json=json)
