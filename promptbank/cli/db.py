"""``promptbank db``: the database's schema."""

import typer

from promptbank.cli.command import CHECK_SAID_NO, Command, CommandContext, Json
from promptbank.cli.output import print_done
from promptbank.config import make_home

app = typer.Typer(help="The bank's database.", no_args_is_help=True)


@app.command("migrate", cls=Command)
def migrate(ctx: CommandContext, json: Json = False) -> None:
    """Bring the database's schema up to date. SQLite is migrated when opened; PostgreSQL only by this.

    Example: promptbank db migrate
    """
    import store

    make_home(ctx.settings.home)
    before, after = store.migrate(ctx.settings.db)
    told = f"schema {after}, nothing to do" if before == after else f"schema {before or 'empty'} -> {after}"
    print_done(told, {"from": before, "to": after}, as_json=json)


@app.command("check", cls=Command)
def check(ctx: CommandContext, json: Json = False) -> None:
    """Check the database's schema; exit code 3 when it is not up to date.

    Example: promptbank db check
    """
    import store

    state = store.schema_state(ctx.settings.db)
    told = f"schema {state.current} is up to date"
    if state.pending:
        told = f"schema {state.current or 'empty'}, this promptbank needs {state.head}: run `promptbank db migrate`"
    facts = {"current": state.current, "head": state.head, "pending": list(state.pending)}
    print_done(told, facts, as_json=json)
    if state.pending:
        raise typer.Exit(CHECK_SAID_NO)
