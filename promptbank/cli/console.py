"""``promptbank console``: show the bank in a browser."""

import logging
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptbank.cli.command import Command, CommandContext

if TYPE_CHECKING:
    from fastapi import FastAPI

    from promptbank.bank.session import Bank

app = typer.Typer()

Review = Annotated[
    list[Path] | None,
    typer.Option("--review", help="Translated folder to review, or a folder of them; repeatable. Default: translated."),
]
HERE = "127.0.0.1"
OPENING_SECONDS = 1.0
"""After which the browser is sent to a service that starts."""


@app.command("console", cls=Command)
def console(
    ctx: CommandContext,
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
    review: Review = None,
) -> None:
    """Serve on this machine, with the bank's pages, and open them in the browser.

    Example: promptbank console --no-browser
    """
    from promptbank.cli.progress import opened
    from promptbank.service import server

    logging.basicConfig(level=logging.WARNING)
    with opened(ctx.settings) as bank, ExitStack() as stack:

        def extend(service: "FastAPI", address: str) -> None:
            stack.enter_context(pages_on(service, bank, review))
            bank.display.say(f"the console is at {address}/console")
            if not no_browser:
                timer = threading.Timer(OPENING_SECONDS, webbrowser.open, [f"{address}/console"])
                timer.daemon = True
                timer.start()

        server.serve(bank, HERE, port, extend=extend)


@contextmanager
def pages_on(service: "FastAPI", bank: "Bank", review: list[Path] | None) -> Iterator[None]:
    """Add the bank's pages to a service, and train what is asked for on them in a process beside it meanwhile."""
    from promptbank.console.mount import add_console
    from promptbank.service.training_process import TrainingProcess

    add_console(service, bank, review or [Path("translated")])
    process = TrainingProcess(bank)
    process.start()
    try:
        yield
    finally:
        process.stop()
