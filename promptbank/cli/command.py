"""How every command is made: the shared options, one line for an expected error, exit codes.

Exit codes: 0 done, 1 an expected error (one line that says what to do), 2 wrong usage, 3 a check said no.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from promptbank.cli.training import TRAINING, TrainingOptions
from promptbank.config import Origin, Settings, load_settings

__all__ = ["CHECK_SAID_NO", "Common", "Data", "Json", "Lang", "Out", "command"]

CHECK_SAID_NO = 3

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line on stdout.")]
Data = Annotated[list[str] | None, typer.Option("--data", help="JSONL file, datasets folder or hub id; repeatable.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the report; the experiment's own if absent.")]
Lang = Annotated[str | None, typer.Option("--lang", help="Language, such as sv; only needed where there are several.")]

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_SHARED: dict[str, Any] = {
    # a text: as a path, "" would be the working folder
    "home": Annotated[str | None, typer.Option(metavar="<path>", help="Folder of the bank. [env: PROMPTBANK_HOME]")],
    "db": Annotated[str | None, typer.Option(help="Database URL, SQLite or PostgreSQL. [env: PROMPTBANK_DB]")],
    "backbone": Annotated[
        str | None, typer.Option(help="Built-in name, path, GGUF or hub id. [env: PROMPTBANK_BACKBONE]")
    ],
    "threads": Annotated[int | None, typer.Option(help="Threads of torch. [env: PROMPTBANK_THREADS]")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")],
}


@dataclass(frozen=True)
class Common:
    """The shared options of a call, resolved.

    Attributes:
        settings: what they and the environment give.
        origins: where each value came from.
    """

    settings: Settings
    origins: list[Origin]


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register ``function(common, ...)`` as a command that also takes the shared options.

    A parameter ``training`` of type `TrainingOptions` stands for the training options.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True)
        mine = list(own.parameters.values())[1:]
        trains = any(p.name == "training" for p in mine)
        added = _SHARED if not trains else {**TRAINING, **_SHARED}
        parameters = [p.replace(kind=_KEYWORD) for p in mine if p.name != "training"]
        parameters += [
            inspect.Parameter(key, _KEYWORD, default=False if key == "debug" else None, annotation=kind)
            for key, kind in added.items()
        ]

        @functools.wraps(function)
        def run(**given: Any) -> None:
            flags = {key: given.pop(key) for key in _SHARED}
            if trains:
                given["training"] = TrainingOptions({key: given.pop(key) for key in TRAINING})
            with _expected_errors(debug=bool(flags.pop("debug"))):
                function(Common(*load_settings(flags, os.environ)), **given)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name)(run)
        return function

    return register


class _expected_errors:  # noqa: N801 - reads as a context manager
    """Turn an expected error into one line on stderr and exit code 1."""

    def __init__(self, *, debug: bool) -> None:
        self._debug = debug

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None or self._debug or isinstance(error, (typer.Exit, typer.BadParameter)):
            return
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone: `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0)
        if isinstance(error, KeyboardInterrupt):
            typer.echo("interrupted; the same command goes on from where it was", err=True)
            raise typer.Exit(130)
        if _is_expected(error):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from error


def _is_expected(error: BaseException) -> bool:
    from promptbank.problems import EXPECTED  # imports torch, which a plain --help should not

    return isinstance(error, EXPECTED)
