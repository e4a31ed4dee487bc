"""``promptbank bank``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptbank.cli.command import CHECK_SAID_NO, Common, Json, command
from promptbank.cli.output import print_json, print_table, say

app = typer.Typer(help="The frozen rows.", no_args_is_help=True)

Spec = Annotated[str, typer.Argument(help="taskname[:lang][@version]")]


@command(app, "list")
def list_(
    common: Common,
    everything: Annotated[bool, typer.Option("--all", help="All versions, not only the live ones.")] = False,
    json: Json = False,
) -> None:
    """List frozen tasks.

    Example: promptbank bank list
    """
    from promptbank.cli import holdings

    holdings.list_rows(common.settings, everything=everything, as_json=json)


@command(app, "show")
def show(common: Common, spec: Spec, json: Json = False) -> None:
    """Print all that is known of a row: template, training, evaluations, moves of its alias.

    Example: promptbank bank show sentiment-task
    """
    from promptbank.cli import holdings

    holdings.show_row(common.settings, spec, as_json=json)


@command(app, "verify")
def verify(
    common: Common,
    logits: Annotated[
        bool, typer.Option("--logits", help="Also compute the probe logits again and compare bits.")
    ] = False,
    json: Json = False,
) -> None:
    """Check that every row and alias is what was frozen; exit code 3 when one is not.

    Example: promptbank bank verify
    """
    from promptbank.cli import holdings

    found = holdings.verify(common.settings, logits=logits)
    if json:
        print_json({"rows": found.rows, "skipped": found.skipped, "faults": list(found.faults)})
    for fault in found.faults:
        say(f"fault: {fault}")
    say(
        f"{found.rows} rows checked, {len(found.faults)} faults"
        + (f", {found.skipped} skipped" if found.skipped else "")
    )
    if found.faults:
        raise typer.Exit(CHECK_SAID_NO)


@command(app, "rollback")
def rollback(common: Common, spec: Spec, json: Json = False) -> None:
    """Move a task's live alias to the version before, or to the named one.

    Example: promptbank bank rollback sentiment-task
    """
    from promptbank.cli import holdings

    scope, before, after = holdings.rollback(common.settings, spec)
    if json:
        print_json({"taskname": scope.taskname, "lang": scope.lang, "from": before, "to": after})
    say(f"{scope.taskname}:{scope.lang} went back from version {before or 'none'} to {after}")


@command(app, "export")
def export(
    common: Common,
    spec: Spec,
    out: Annotated[Path | None, typer.Option(help="File to write.")] = None,
    json: Json = False,
) -> None:
    """Write one row as one safetensors file of some kilobytes.

    Example: promptbank bank export sentiment-task --out sentiment-task.safetensors
    """
    from promptbank.cli import holdings

    row, path = holdings.export(common.settings, spec, out)
    size = path.stat().st_size
    if json:
        print_json({"path": str(path), "bytes": size, "version": row.version, "sha256": row.sha256})
    say(f"{row.scope.taskname}:{row.scope.lang}@{row.version} written to {path}, {size} bytes")


@command(app, "import")
def import_(
    common: Common, path: Annotated[Path, typer.Argument(help="File that `bank export` wrote.")], json: Json = False
) -> None:
    """Add an exported row under the next version and make it live; one that is there already is not added again.

    Example: promptbank bank import sentiment-task.safetensors
    """
    from promptbank.cli import holdings

    row = holdings.import_(common.settings, path)
    if json:
        print_table(
            [{"taskname": row.scope.taskname, "lang": row.scope.lang, "version": row.version}], (), as_json=True
        )
    say(f"{row.scope.taskname}:{row.scope.lang}@{row.version} is in the bank and live")
