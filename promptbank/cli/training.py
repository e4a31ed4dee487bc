"""The training options that `train` and the experiments share; they win over a run file, which wins over defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from promptbank.training.config import TrainConfig

__all__ = ["TRAINING", "TrainingOptions"]

TRAINING: dict[str, Any] = {
    "run_file": Annotated[Path | None, typer.Option("--run-file", help="TOML file of settings; options win.")],
    "encoder": Annotated[str | None, typer.Option(help="lstm.v1, mlp.v1 or embedding.v1.")],
    "init": Annotated[str | None, typer.Option(help="text, labels, vocabulary, nearest or from:taskname[:lang].")],
    "epochs": Annotated[int | None, typer.Option(help="Most passes over the rows. Default: 10, more if rows are few.")],
    "batch_size": Annotated[int | None, typer.Option(help="Rows a step.")],
    "lr": Annotated[float | None, typer.Option(help="Peak learning rate.")],
    "patience": Annotated[
        int | None, typer.Option(help="Epochs without a better dev score. Default: 0.4 of all, 4 or more.")
    ],
    "dev_fraction": Annotated[float | None, typer.Option(help="Share of the groups kept for dev.")],
    "restarts": Annotated[int | None, typer.Option(help="Times to begin again when all answers are the same.")],
    "seed": Annotated[int | None, typer.Option(help="Seed of everything random.")],
    "calibrate": Annotated[
        bool | None, typer.Option("--calibrate/--no-calibrate", help="Take off what is answered when nothing is asked.")
    ],
    "dtype": Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")],
}
"""Name of each option with its type, as `promptbank.cli.command` adds them to a command."""


@dataclass(frozen=True)
class TrainingOptions:
    """Training options as given, None where they were not."""

    given: Mapping[str, object]

    def config(self, **defaults: object) -> TrainConfig:
        """Merge defaults of the command, the run file and the options.

        Raises:
            ConfigError: all faults at once.
        """
        from promptbank.training.config import checked_config  # imports torch

        options = dict(self.given)
        values = {**defaults, **_run_file(options.pop("run_file"))}
        values |= {name: value for name, value in options.items() if value is not None}
        return checked_config(values)


def _run_file(path: object) -> dict[str, object]:
    from promptbank.errors import ConfigError

    if path is None:
        return {}
    try:
        return tomllib.loads(Path(str(path)).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"the run file {path} cannot be read: {exc}") from exc
