"""``promptbank backbone``."""

from __future__ import annotations

from typing import Annotated

import typer

from promptbank.cli.command import Common, Json, command
from promptbank.cli.output import print_table, say
from promptbank.config import make_home

app = typer.Typer(help="The frozen language models.", no_args_is_help=True)

Name = Annotated[str | None, typer.Argument(help="Built-in name, path, GGUF or hub id; the configured one if absent.")]


@command(app, "list")
def list_(common: Common, json: Json = False) -> None:
    """List the built-in backbones and those in the home.

    Example: promptbank backbone list
    """
    from promptbank.model.backbone import list_backbones

    infos = list_backbones(common.settings.home)
    rows = (
        {"name": i.name, "installed": i.installed, "default": i.default, "licence": i.licence, "source": i.source}
        for i in infos
    )
    print_table(rows, ("name", "installed", "default", "licence", "source"), as_json=json)


@command(app, "pull")
def pull(common: Common, name: Name = None, json: Json = False) -> None:
    """Fetch a backbone and convert it once to safetensors in the home.

    Example: promptbank backbone pull
    """
    from promptbank.model.backbone import pull_backbone

    make_home(common.settings.home)
    pulled = pull_backbone(name or common.settings.backbone, home=common.settings.home, notice=say, progress=say)
    row = {"name": pulled.name, "path": str(pulled.path), "bytes": pulled.size_bytes, "licence": pulled.licence}
    print_table([row], tuple(row), as_json=json)


@command(app, "show")
def show(common: Common, name: Name = None, json: Json = False) -> None:
    """Print a backbone's fingerprint, sizes and limits.

    Example: promptbank backbone show
    """
    from promptbank.model.backbone import load_backbone

    make_home(common.settings.home)
    found = load_backbone(name or common.settings.backbone, home=common.settings.home, notice=say, progress=say)
    facts = {
        "name": found.name,
        "path": str(found.path),
        "fingerprint": found.fingerprint,
        "tokenizer_sha256": found.tokenizer_sha256,
        "hidden_size": found.hidden_size,
        "vocab_size": found.vocab_size,
        "window": found.window,
        "sliding_window": found.sliding_window,
    }
    if json:
        print_table([facts], tuple(facts), as_json=True)
    else:
        print_table(({"key": k, "value": v} for k, v in facts.items()), ("key", "value"), as_json=False)
