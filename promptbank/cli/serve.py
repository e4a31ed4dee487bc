"""``promptbank serve``: answer records over HTTP."""

import re
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from promptbank.cli.command import Command, CommandContext, Engine
from promptbank.cli.console import Review, pages_on
from promptbank.cluster import is_ray
from promptbank.service.workers import stop_with_parent

if TYPE_CHECKING:
    from fastapi import FastAPI

app = typer.Typer()

OF_THE_PARENT = {"workers", "port", "fd", "engine", "replicas"}
"""Options of `serve` that its processes do not get: their socket is bound."""

Port = Annotated[
    int | None,
    typer.Option(help="Port, 8000 if none is told; 0 takes a free one. [env: PROMPTBANK_PORT]", min=0, max=65535),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes on this port, 1 unless told. Each holds the backbone in memory (1.1 GB of weights for the "
        "default one) and takes its share of the processor's threads. [env: PROMPTBANK_WORKERS]",
        min=1,
        max=64,
    ),
]


Dtype = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(
        help="Number format of the backbone. bfloat16 takes half the memory, and half the time where the processor has "
        "it; rows are served in it that `evaluate --dtype bfloat16` found at most 0.5 points worse."
    ),
]


@app.command("serve", cls=Command)
def serve(
    ctx: CommandContext,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; only this machine unless told. [env: PROMPTBANK_HOST]")
    ] = None,
    port: Port = None,
    workers: Workers = None,
    engine: Engine = None,
    replicas: Annotated[
        str, typer.Option(metavar="LEAST:MOST", help="With --engine ray: replicas, by the requests that wait.")
    ] = "1:1",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let other machines ask though the bank has no API keys.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Web page that may ask from a browser, as https://host; repeatable.")
    ] = None,
    console: Annotated[bool, typer.Option("--console", help="Show the bank's pages at /console too.")] = False,
    review: Review = None,
    log_format: Annotated[
        str, typer.Option(help="text or json, a line an event; what is asked is never logged.")
    ] = "text",
    dtype: Dtype = "float32",
    fd: Annotated[int | None, typer.Option(hidden=True, help="Bound socket of the parent.")] = None,
) -> None:
    """Serve all frozen tasks over HTTP; new rows are served without a restart.

    Example: promptbank serve --port 8000
    """
    from promptbank.cli.progress import opened
    from promptbank.service import server
    from promptbank.service.logs import configure_logs

    configure_logs(log_format)
    chosen = ctx.settings
    settings = replace(
        chosen,
        host=host if host is not None else chosen.host,
        port=port if port is not None else chosen.port,
        workers=workers if workers is not None else chosen.workers,
        engine=engine or chosen.engine,
    )
    place = settings.host, settings.port, cors_origin or ()
    if console and (settings.workers > 1 or is_ray(settings)):
        raise typer.BadParameter("--console goes with one process, as sessions do; leave --workers and --engine out")
    with opened(settings) as bank, ExitStack() as stack:
        if is_ray(settings):
            server.serve_on_cluster(bank, *place, _replicas(replicas), insecure=insecure, dtype=dtype)
            return
        if settings.workers > 1:
            server.serve_in_processes(bank, *place, _options(ctx), insecure=insecure)
            return
        if fd is not None:
            stop_with_parent()

        def extend(service: "FastAPI", _address: str) -> None:
            if console:
                stack.enter_context(pages_on(service, bank, review))

        server.serve(bank, *place, insecure=insecure, fd=fd, dtype=dtype, extend=extend)


def _replicas(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9][0-9]{0,3})(?::([1-9][0-9]{0,3}))?", text)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if most < least:
        raise typer.BadParameter(f"--replicas is {text!r}; write LEAST:MOST, such as 1:4")
    return least, most


def _options(ctx: CommandContext) -> list[str]:
    """Return the options of this command as a process of the service takes them."""
    options: list[str] = []
    for parameter in ctx.command.params:
        value = ctx.params.get(str(parameter.name))
        if parameter.name in OF_THE_PARENT or value is None or value is False:
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            options += [parameter.opts[0]] if one is True else [parameter.opts[0], str(one)]
    return options
