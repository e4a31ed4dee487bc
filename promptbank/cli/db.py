"""``promptbank db``."""

from __future__ import annotations

import typer

from promptbank.cli.command import CHECK_SAID_NO, Common, Json, command
from promptbank.cli.output import print_json, say
from promptbank.config import make_home

app = typer.Typer(help="The bank's database.", no_args_is_help=True)


@command(app, "migrate")
def migrate(common: Common, json: Json = False) -> None:
    """Bring the database's schema up to date. SQLite is migrated when opened; PostgreSQL only by this.

    Example: promptbank db migrate
    """
    import store

    make_home(common.settings.home)
    before, after = store.migrate(common.settings.db)
    if json:
        print_json({"from": before, "to": after})
    say(f"schema {after}, nothing to do" if before == after else f"schema {before or 'empty'} -> {after}")


@command(app, "check")
def check(common: Common, json: Json = False) -> None:
    """Check the database's schema; exit code 3 when it is not up to date.

    Example: promptbank db check
    """
    import store

    state = store.schema_state(common.settings.db)
    if json:
        print_json({"current": state.current, "head": state.head, "pending": list(state.pending)})
    if state.pending:
        say(f"schema {state.current or 'empty'}, this promptbank needs {state.head}: run `promptbank db migrate`")
        raise typer.Exit(CHECK_SAID_NO)
    say(f"schema {state.current} is up to date")
