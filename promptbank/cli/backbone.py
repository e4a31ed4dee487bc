"""``promptbank backbone``: the frozen language models."""

from typing import Annotated

import typer

from promptbank.cli.command import Command, CommandContext, Json
from promptbank.cli.output import print_facts, print_table, say
from promptbank.config import make_home

app = typer.Typer(help="The frozen language models.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="Built-in name, path, GGUF or hub id; the configured one if absent.")]


@app.command("list", cls=Command)
def list_(ctx: CommandContext, json: Json = False) -> None:
    """List the built-in backbones and those in the home.

    Example: promptbank backbone list
    """
    from promptbank.model.backbone import list_backbones

    columns = ("name", "installed", "default", "licence", "source")
    rows = ({key: getattr(info, key) for key in columns} for info in list_backbones(ctx.settings.home))
    print_table(rows, columns, as_json=json)


@app.command("pull", cls=Command)
def pull(ctx: CommandContext, name: Name = None, json: Json = False) -> None:
    """Fetch a backbone and convert it once to safetensors in the home.

    Example: promptbank backbone pull
    """
    from promptbank.model.backbone import pull_backbone

    make_home(ctx.settings.home)
    pulled = pull_backbone(name or ctx.settings.backbone, home=ctx.settings.home, progress=say)
    name, licence = pulled.manifest.name, pulled.manifest.licence
    row = {"name": name, "path": str(pulled.path), "bytes": pulled.size_bytes, "licence": licence}
    print_table([row], as_json=json)


@app.command("show", cls=Command)
def show(ctx: CommandContext, name: Name = None, json: Json = False) -> None:
    """Print a backbone's fingerprint, sizes and limits.

    Example: promptbank backbone show
    """
    from promptbank.model.backbone import load_backbone

    make_home(ctx.settings.home)
    found = load_backbone(name or ctx.settings.backbone, home=ctx.settings.home, progress=say)
    keys = ("name", "path", "fingerprint", "tokenizer_sha256", "hidden_size", "vocab_size", "window", "sliding_window")
    print_facts({key: getattr(found, key) for key in keys}, as_json=json)
