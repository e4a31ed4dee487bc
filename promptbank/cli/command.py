"""What every command shares: options, resolved settings, one line for an expected error, and exit codes.

Typer cannot share options between commands, so this does it as Click does: a command class that adds its parameters.
A command is ``@app.command("list", cls=Command)`` on a function that takes a `CommandContext`.

Exit codes: 0 done, 1 an expected error (one line that says what to do), 2 wrong usage, 3 a check said no.
"""

import inspect
import os
import signal
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from promptbank.config import Origin, Settings, load_settings
from promptbank.errors import ConfigError

__all__ = [
    "CHECK_SAID_NO",
    "Card",
    "Columns",
    "Command",
    "CommandContext",
    "Data",
    "Engine",
    "Json",
    "Lang",
    "Loss",
    "Out",
    "Task",
    "TrainingCommand",
    "TrainingContext",
    "with_run_file",
]

CHECK_SAID_NO = 3
WHOLE = 1000
"""Characters that no first sentence of a help text has."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line on stdout.")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", help="File (JSON, CSV, ...: docs/data.md), datasets folder or hub id; repeatable."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for the report; the experiment's own if absent.")]
Epochs = Annotated[
    int | None, typer.Option(help="Most passes over the examples. Default: 10, more if there are few examples.")
]
Task = Annotated[str, typer.Option("--task", help="taskname[:lang] of a card.")]
Engine = Annotated[
    str | None, typer.Option("--engine", help="local, or ray: on a Ray cluster. [env: PROMPTBANK_ENGINE]")
]
Lang = Annotated[str | None, typer.Option("--lang", help="Language, such as sv; only needed where there are several.")]
Card = Annotated[str | None, typer.Option(help="Card file, or a built-in variant such as article.")]


def _parsed_columns(text: str) -> dict[str, str]:
    from tasks import DataError, parse_columns

    try:
        return parse_columns(text)
    except DataError as exc:
        raise typer.BadParameter(str(exc)) from exc


Columns = Annotated[
    dict[str, str] | None,
    typer.Option(
        "--columns",
        parser=_parsed_columns,
        metavar="FIELD=COLUMN,...",
        help="Columns of the data that fields are taken from, such as text=utterance,label=intent.",
    ),
]


Loss = Annotated[
    str | None,
    typer.Option(
        help="Tokens an answer is learnt against: vocabulary.v1 (all), grammar.v1 (that its format allows), tree.v1 "
        "(that its format or the labels allow, and scored so) or auto."
    ),
]


class CommandContext(typer.Context):
    """The context of a running command.

    Attributes:
        settings: what options, environment and settings file give.
        origins: where each setting came from.
    """

    settings: Settings
    origins: list[Origin]

    def on(self, engine: str | None) -> Settings:
        """Return the settings with the engine that was asked for."""
        return replace(self.settings, engine=engine or self.settings.engine)


class TrainingContext(CommandContext):
    """The context of a command that trains.

    Attributes:
        training: training options by name; None where an option was not given.
    """

    training: Mapping[str, object]

    def training_settings(self) -> dict[str, object]:
        """Return the training settings that are given: options win over the run file.

        Raises:
            ConfigError: the run file cannot be read.
        """
        return with_run_file(self.training)


def with_run_file(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that are given, and beneath them the settings of the file that ``run_file`` names."""
    given = {name: value for name, value in options.items() if value is not None}
    if (path := given.pop("run_file", None)) is None:
        return given
    try:
        return tomllib.loads(Path(str(path)).read_text(encoding="utf-8-sig")) | given
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"the run file {path} cannot be read: {exc}") from exc


def _shared(
    # a text: as a path, "" would be the working folder
    home: Annotated[
        str | None, typer.Option(metavar="<path>", help="Folder of the bank. [env: PROMPTBANK_HOME]")
    ] = None,
    db: Annotated[str | None, typer.Option(help="Database URL, SQLite or PostgreSQL. [env: PROMPTBANK_DB]")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Built-in name, path, GGUF or hub id. [env: PROMPTBANK_BACKBONE]")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch. [env: PROMPTBANK_THREADS]")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")] = False,
) -> None:
    """Declare the options of every command."""


def _training(
    run_file: Annotated[Path | None, typer.Option("--run-file", help="TOML file of settings; options win.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="rows (51 kB with 20 virtual tokens), deep (0.9 MB: in every layer) or auto.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="lstm.v1, mlp.v1 or embedding.v1.")] = None,
    loss: Loss = None,
    init: Annotated[str | None, typer.Option(help="text, labels, vocabulary, nearest or from:taskname[:lang].")] = None,
    epochs: Epochs = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step. Default: 16, and 8 if deep.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better dev score. Default: 0.4 of all, 4 or more.")
    ] = None,
    dev_fraction: Annotated[float | None, typer.Option(help="Share of the groups kept for dev.")] = None,
    dev_rule: Annotated[
        str | None, typer.Option(help="stratified.v1, by labels within groups, or hash.v1, by the group alone.")
    ] = None,
    restarts: Annotated[int | None, typer.Option(help="Times to begin again when all answers are the same.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    calibrate: Annotated[
        bool | None, typer.Option("--calibrate/--no-calibrate", help="Take off what is answered when nothing is asked.")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
) -> None:
    """Declare the options of every command that trains."""


class Command(TyperCommand):
    """A command that takes the shared options and tells an expected error in one line."""

    context_class = CommandContext
    declared: ClassVar[Sequence[Callable[..., None]]] = (_shared,)

    def __init__(self, name: str | None, **given: Any) -> None:
        super().__init__(name, **given)
        for function in self.declared:  # Typer makes the options of a function, here of one that nobody calls
            app = typer.Typer(add_completion=False)
            app.command()(function)
            self.params = [*self.params, *typer.main.get_command(app).params]

    def get_short_help_str(self, limit: int = 45) -> str:
        """Return the first sentence of the help, whole; Click wraps it in a list of commands."""
        return super().get_short_help_str(max(limit, WHOLE))

    def invoke(self, ctx: object) -> object:
        """Resolve the settings and run the command."""
        assert isinstance(ctx, CommandContext)  # noqa: S101 - context_class makes it so
        flags = {name: ctx.params.pop(name) for name in _names(_shared)}
        with _expected_errors(debug=bool(flags.pop("debug"))):
            ctx.settings, ctx.origins = load_settings(flags, os.environ)
            return super().invoke(ctx)


class TrainingCommand(Command):
    """A command that takes the training options too; its function takes a `TrainingContext`."""

    context_class = TrainingContext
    declared = (_training, _shared)

    def invoke(self, ctx: object) -> object:
        """Set the training options aside and run the command."""
        assert isinstance(ctx, TrainingContext)  # noqa: S101 - context_class makes it so
        ctx.training = {name: ctx.params.pop(name) for name in _names(_training)}
        with _interrupted_by_sigterm():
            return super().invoke(ctx)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, which says that the same command goes on. For the main thread."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _names(declared: Callable[..., None]) -> list[str]:
    return list(inspect.signature(declared).parameters)


@contextmanager
def _expected_errors(*, debug: bool) -> Iterator[None]:
    """Turn an expected error into one line on stderr and exit code 1."""
    try:
        yield
    except (typer.Exit, typer.BadParameter):
        raise
    except BaseException as error:
        if debug:
            raise
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone: `| head`
            from promptbank.cli.output import end_output

            end_output()
            raise typer.Exit(0) from error
        if isinstance(error, KeyboardInterrupt):
            typer.echo("interrupted; the same command goes on from where it was", err=True)
            raise typer.Exit(130) from error
        from promptbank.problems import EXPECTED  # imports every room; a command that works needs only some

        if not isinstance(error, EXPECTED):
            raise
        from promptbank.cli.output import say

        say(f"error: {error}")
        raise typer.Exit(1) from error
