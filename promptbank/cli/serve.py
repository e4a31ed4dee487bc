"""``promptbank serve``: answer records over HTTP."""

import logging
from typing import Annotated

import typer

from promptbank.cli.command import Command, CommandContext

app = typer.Typer()


@app.command("serve", cls=Command)
def serve(
    ctx: CommandContext,
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine unless told.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines ask though the bank has no API keys.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Web page that may ask from a browser, as https://host; repeatable.")
    ] = None,
) -> None:
    """Serve all frozen tasks over HTTP; new rows are served without a restart.

    Example: promptbank serve --port 8000
    """
    from promptbank.cli.progress import opened
    from promptbank.service import server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with opened(ctx.settings) as bank:
        server.serve(bank, host, port, cors_origin or (), insecure=insecure)
