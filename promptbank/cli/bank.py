"""``promptbank bank``: what is in the bank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from promptbank.bank.session import Bank
from promptbank.cli.command import CHECK_SAID_NO, Command, CommandContext, Json
from promptbank.cli.output import print_done, print_facts, print_json, print_table, say

app = typer.Typer(help="The frozen rows.", no_args_is_help=True)

TaskName = Annotated[str, typer.Argument(help="taskname")]
Chosen = Annotated[str | None, typer.Argument(help="Language, such as sv; the choices so far if absent.")]
Off = Annotated[bool, typer.Option("--off", help="Take the choice back.")]
Spec = Annotated[str, typer.Argument(help="taskname[:lang][@version]")]
COLUMNS = ("task", "aliases", "dev", "kind", "bytes", "backbone", "frozen")
"""What fits a terminal of 80 columns; `bank show` and --json have the rest."""


@app.command("list", cls=Command)
def list_(
    ctx: CommandContext,
    everything: Annotated[bool, typer.Option("--all", help="All versions, not only the live ones.")] = False,
    json: Json = False,
) -> None:
    """List frozen tasks with their scores on dev examples (accuracy, or exact answers of open tasks).

    Example: promptbank bank list
    """
    from promptbank.bank.rows import list_rows, row_facts

    with Bank(ctx.settings) as bank:
        facts = [row_facts(bank, info) for info in list_rows(bank, everything=everything)]
    print_table(facts if json else map(_listed, facts), COLUMNS, as_json=json)


def _listed(facts: Mapping[str, Any]) -> dict[str, object]:
    """Return the cells of a row in a list."""
    task = f"{facts['taskname']}:{facts['lang']}@{facts['version']}"
    dev = None if facts["dev"] is None else f"{facts['dev']:.3f}"
    return {**facts, "task": task, "dev": dev, "frozen": facts["created_at"][:10]}


@app.command("show", cls=Command)
def show(ctx: CommandContext, spec: Spec, json: Json = False) -> None:
    """Print all that is known of a row: template, training, evaluations, moves of its alias.

    Example: promptbank bank show sentiment-task
    """
    from promptbank.bank.rows import describe_row

    with Bank(ctx.settings) as bank:
        print_facts(describe_row(bank, spec), as_json=json)


@app.command("verify", cls=Command)
def verify(
    ctx: CommandContext,
    logits: Annotated[
        bool, typer.Option("--logits", help="Also compute the probe logits again and compare bits.")
    ] = False,
    json: Json = False,
) -> None:
    """Check that every row and alias is what was frozen; exit code 3 when one is not.

    Example: promptbank bank verify
    """
    from promptbank.bank import rows
    from promptbank.cli.progress import opened
    from tasks import counted

    with opened(ctx.settings) as bank:
        found = rows.verify(bank, logits=logits)
    if json:
        print_json({"rows": found.rows, "skipped": found.skipped, "faults": list(found.faults)})
    for fault in found.faults:
        say(f"fault: {fault}")
    skipped = f", {found.skipped} skipped" if found.skipped else ""
    checked = counted(found.rows, "row checked", "rows checked")
    say(f"{checked}, {counted(len(found.faults), 'fault', 'faults')}{skipped}")
    if found.faults:
        raise typer.Exit(CHECK_SAID_NO)


@app.command("rollback", cls=Command)
def rollback(ctx: CommandContext, spec: Spec, json: Json = False) -> None:
    """Move a task's live alias to the version before, or to the named one.

    Example: promptbank bank rollback sentiment-task
    """
    from promptbank.bank import rows

    with Bank(ctx.settings) as bank:
        scope, before, after = rows.rollback(bank, spec)
    facts = {"taskname": scope.taskname, "lang": scope.lang, "from": before, "to": after}
    told = f"{scope.taskname}:{scope.lang} went back from version {before or 'none'} to {after}"
    print_done(told, facts, as_json=json)


@app.command("promote", cls=Command)
def promote(
    ctx: CommandContext,
    spec: Annotated[str, typer.Argument(help="taskname[:lang]@version")],
    json: Json = False,
) -> None:
    """Make a frozen version live, such as one that a training or an import left waiting.

    Example: promptbank bank promote sentiment-task@2
    """
    from promptbank.bank import rows

    with Bank(ctx.settings) as bank:
        scope, before, after = rows.promote(bank, spec)
    facts = {"taskname": scope.taskname, "lang": scope.lang, "from": before, "to": after}
    print_done(f"{scope.taskname}:{scope.lang}@{after} is live; before it {before or 'none'}", facts, as_json=json)


@app.command("default", cls=Command)
def default(ctx: CommandContext, task: TaskName, lang: Chosen = None, off: Off = False, json: Json = False) -> None:
    """Choose the language in which a task is meant where a request names none; the one frozen first until then.

    Example: promptbank bank default sentiment-task sv
    """
    _choose(ctx, task, "default", lang, take_back=off, as_json=json)


@app.command("fallback", cls=Command)
def fallback(ctx: CommandContext, task: TaskName, lang: Chosen = None, off: Off = False, json: Json = False) -> None:
    """Let a language answer where a request names one in which the task has no live row; none does until then.

    Such an answer says so: lang is the row's, asked_lang the one that was asked for.

    Example: promptbank bank fallback sentiment-task en
    """
    _choose(ctx, task, "fallback", lang, take_back=off, as_json=json)


def _choose(ctx: CommandContext, task: str, role: str, lang: str | None, *, take_back: bool, as_json: bool) -> None:
    """Choose a language or take the choice back, and print all choices."""
    from promptbank.bank.rows import language_choices

    if lang is not None and take_back:
        raise typer.BadParameter("give a language, or --off to take the choice back")
    with Bank(ctx.settings) as bank:
        found = language_choices(bank, task, role, lang, take_back=take_back)
    print_table(map(vars, found), ("taskname", "role", "lang", "reason", "chosen_at"), as_json=as_json)


@app.command("export", cls=Command)
def export(
    ctx: CommandContext,
    specs: Annotated[list[str], typer.Argument(help="taskname[:lang][@version]; several for vocabulary.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="safetensors: a file for any bank; peft: an adapter folder; vocabulary: a copy of the backbone in "
            "which the virtual tokens are tokens.",
        ),
    ] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="File or folder to write; named after the task if absent.")] = None,
    json: Json = False,
) -> None:
    """Write a row as one safetensors file of some kilobytes, or for another program.

    Example: promptbank bank export sentiment-task --out sentiment-task.safetensors
    """
    from promptbank.bank.formats.registry import export_tasks
    from promptbank.cli.progress import opened

    with opened(ctx.settings) as bank:
        rows, path = export_tasks(bank, specs, form, out)
    size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    for row in rows:
        facts = {"path": str(path), "bytes": size, "version": row.version, "sha256": row.sha256}
        told = f"{row.scope.taskname}:{row.scope.lang}@{row.version} written to {path}, {size} bytes"
        print_done(told, facts, as_json=json)


@app.command("import", cls=Command)
def import_(
    ctx: CommandContext,
    path: Annotated[Path, typer.Argument(help="File that `bank export` wrote, adapter folder of peft, or .nemo file.")],
    form: Annotated[str, typer.Option("--format", help="auto (by the content), safetensors, peft or nemo.")] = "auto",
    card: Annotated[
        str | None, typer.Option(help="Card file, or a built-in variant, for a prompt that comes without its card.")
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Language of a task that another program has learnt.")] = None,
    live: Annotated[str, typer.Option(help="gated: live only where no version is live yet; always; never.")] = "gated",
    json: Json = False,
) -> None:
    """Add exported rows under the next version; one that is there already is not added again.

    It goes live where no other version is; otherwise `bank promote` makes it live, or --live always. Prompts of other
    programs are taken for the backbone at hand, which must be the one that they were learnt for.

    Example: promptbank bank import sentiment-task.safetensors
    """
    from promptbank.bank.formats.registry import import_tasks
    from promptbank.cli.progress import opened

    with opened(ctx.settings) as bank:
        found = import_tasks(bank, path, live, form, card, lang)
    for row, is_live in found:
        name = f"{row.scope.taskname}:{row.scope.lang}@{row.version}"
        facts = {"taskname": row.scope.taskname, "lang": row.scope.lang, "version": row.version, "live": is_live}
        state = "and live" if is_live else f"but not live; `promptbank bank promote {name}` makes it live"
        print_done(f"{name} is in the bank {state}", facts, as_json=json)


@app.command("backup", cls=Command)
def backup(
    ctx: CommandContext,
    to: Annotated[Path, typer.Option("--to", help="File to write; it must not be there.")],
    json: Json = False,
) -> None:
    """Copy the bank into a SQLite file while it is in use, and check the copy. It is a bank: --db FILE opens it.

    Example: promptbank bank backup --to bank.backup.db
    """
    import store

    counts = store.back_up(ctx.settings.db, to)
    print_done(f"the bank is copied to {to} and checked: {_told(counts)}", {"path": str(to), **counts}, as_json=json)


@app.command("move", cls=Command)
def move(
    ctx: CommandContext,
    to: Annotated[str, typer.Option("--to", help="Database URL or SQLite file, empty.")],
    json: Json = False,
) -> None:
    """Copy everything into an empty database, from SQLite to PostgreSQL or back, and check each row there.

    All or nothing. The bank stays as it is: stop what writes to it first, and set PROMPTBANK_DB to the new one after.

    Example: promptbank bank move --to postgresql://promptbank@localhost/promptbank
    """
    import store
    from store.address import masked

    counts = store.move_bank(ctx.settings.db, to)
    place = masked(to)
    told = f"the bank is in {place}, each row checked: {_told(counts)}; set PROMPTBANK_DB to it"
    print_done(told, {"to": place, **counts}, as_json=json)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {table}" for table, count in counts.items() if count and table != "revision")
