"""``promptbank serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from promptbank.cli.command import Common, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "serve")(serve)


def serve(
    common: Common,
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine unless told.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serve all frozen tasks over HTTP; new rows are served without a restart.

    Example: promptbank serve --port 8000
    """
    from promptbank.cli import serving

    serving.serve(common.settings, host, port)
