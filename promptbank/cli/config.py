"""``promptbank config``."""

from __future__ import annotations

import typer

from promptbank.cli.command import Common, Json, command
from promptbank.cli.output import print_table

app = typer.Typer(help="The settings.", no_args_is_help=True)


@command(app, "show")
def show(common: Common, json: Json = False) -> None:
    """Print the settings and where each one came from.

    Example: promptbank config show
    """
    rows = ({"name": o.name, "value": o.value, "origin": o.origin} for o in common.origins)
    print_table(rows, ("name", "value", "origin"), as_json=json)
