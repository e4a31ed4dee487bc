"""The command line, one file a noun: options, one call of a use case, one way of printing.

Importing it imports no torch, so ``--help`` is quick; a command imports its use case when it runs.
"""

import contextlib
import errno
import os
import sys

import typer

from promptbank import __version__
from promptbank.cli.output import end_output, say

__all__ = ["build_app", "main"]


def build_app() -> typer.Typer:
    """Put the commands together."""
    from promptbank.cli import (
        backbone,
        bank,
        compare,
        config,
        console,
        db,
        evaluate,
        experiments,
        keys,
        mt,
        predict,
        serve,
        tasks,
        train,
        translate,
    )

    app = typer.Typer(
        name="promptbank",
        help="One frozen GPT, one stored prompt a task: learn tasks for ever, forget none, serve them by name.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in (train, evaluate, predict, serve, console, translate, experiments, compare):
        app.add_typer(verb.app)
    for noun in (tasks, bank, backbone, mt, db, keys, config):
        app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2])
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"promptbank {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """One frozen GPT, one stored prompt a task: learn tasks for ever, forget none, serve them by name.

    Example: promptbank train --task sentiment-task
    """


REFUSALS = {errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
"""Errors of the operating system that a person can mend; others are bugs of ours and keep their stack trace."""


def main() -> None:
    """Run the command line; what the operating system refuses, such as a write to a full disk, is told in one line."""
    # before torch is imported: two busy processes with spinning threads take 20 times as long (333 ms became 6,356 ms)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        build_app()()
    except OSError as error:
        if error.errno not in REFUSALS or "--debug" in sys.argv:
            raise
        end_output()
        with contextlib.suppress(OSError):  # stderr may be full too
            say(f"error: {error.filename or 'the output'}: {error.strerror}; free space there, or check its rights")
        sys.exit(1)
