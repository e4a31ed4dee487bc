"""``promptbank keys``: keys of the HTTP service."""

from typing import Annotated

import typer

from promptbank.bank.session import Bank
from promptbank.cli.command import Command, CommandContext, Json
from promptbank.cli.output import print_done, print_table

app = typer.Typer(help="API keys of the HTTP service.", no_args_is_help=True)

Quota = Annotated[int | None, typer.Option(help="Most that the service takes of it. Default: any.", min=1)]
Name = Annotated[str, typer.Argument(help="Name of the key, for people.")]


@app.command("create", cls=Command)
def create(
    ctx: CommandContext,
    name: Name,
    scope: Annotated[
        list[str] | None, typer.Option(help="infer, train, review or admin; repeatable. Default: infer.")
    ] = None,
    records_per_minute: Quota = None,
    tokens_per_minute: Quota = None,
    json: Json = False,
) -> None:
    """Make a key and print it on stdout, once; only its hash is stored. From then on the service asks for keys.

    Example: promptbank keys create webshop --scope infer --records-per-minute 600
    """
    from promptbank.bank.keys import create_key

    scopes = scope or ["infer"]
    with Bank(ctx.settings) as bank:
        quotas = {"records_per_minute": records_per_minute, "tokens_per_minute": tokens_per_minute}
        key = create_key(bank, name, scopes, **quotas)
    if not json:
        typer.echo(key)
    told = f"key {name} made for {', '.join(scopes)}; keep it now, it cannot be shown again"
    print_done(told, {"name": name, "scopes": scopes, "key": key}, as_json=json)


@app.command("list", cls=Command)
def list_(ctx: CommandContext, json: Json = False) -> None:
    """List keys, revoked ones too; the keys themselves are stored nowhere.

    Example: promptbank keys list
    """
    from promptbank.bank.keys import key_facts, list_keys

    with Bank(ctx.settings) as bank:
        found = list_keys(bank)
    columns = ("name", "scopes", "records_per_minute", "tokens_per_minute", "created_at", "revoked_at")
    print_table(map(key_facts, found), columns, as_json=json)


@app.command("revoke", cls=Command)
def revoke(ctx: CommandContext, name: Name, json: Json = False) -> None:
    """Make a key invalid for ever; running services refuse it about a second later.

    Example: promptbank keys revoke webshop
    """
    from promptbank.bank.keys import revoke_key

    with Bank(ctx.settings) as bank:
        revoke_key(bank, name)
    print_done(f"key {name} is revoked", {"name": name, "revoked": True}, as_json=json)
