"""``promptbank config``: the settings."""

import typer

from promptbank.cli.command import Command, CommandContext, Json
from promptbank.cli.output import print_table

app = typer.Typer(help="The settings.", no_args_is_help=True)


@app.command("show", cls=Command)
def show(ctx: CommandContext, json: Json = False) -> None:
    """Print the settings and where each one came from.

    Example: promptbank config show
    """
    print_table(map(vars, ctx.origins), ("name", "value", "origin"), as_json=json)
