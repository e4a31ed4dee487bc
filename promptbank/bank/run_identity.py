"""What a training's run is called: a hash of everything that decides its result, and a number when it is done again."""

import hashlib
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from promptbank.files import read_json, write_file
from promptbank.model.backbone import Backbone
from promptbank.training.config import GIVEN_DEV, TrainConfig
from store import Store, UnknownRunError
from tasks import Example, TaskCard, data_sha256

__all__ = ["is_done", "run_identity", "run_ids_of", "shared_identity"]

ARITHMETIC = "weights.v2"
"""Bump when a training of equal settings computes something else: older checkpoints are then ignored."""


def run_identity(
    backbone: Backbone, card: TaskCard, dev: Sequence[Example], config: TrainConfig, data: str, start: str, alias: str
) -> str:
    """Name a run by everything that decides its result, and by the alias that it moves.

    Args:
        backbone: the one it learns on.
        card: the task.
        dev: counts by itself where it was given apart, as no rule divides the data again then.
        config: the settings; what decides nothing is left out.
        data: sha256 of the training and dev examples.
        start: sha256 of what the prompt starts from.
        alias: that points at the row afterwards.
    """
    parts = [ARITHMETIC, backbone.fingerprint, backbone.tokenizer_sha256, card.canonical_json(), config.decisive()]
    given = [data_sha256(dev)] if config.dev_rule == GIVEN_DEV else []
    return _hash([*parts, data, start, alias, *given])


def shared_identity(identities: Sequence[str]) -> str:
    """Return the name of runs that are learnt together; a single one keeps its own."""
    return identities[0] if len(identities) == 1 else _hash(identities)


def run_ids_of(store: Store, folder: Path, identities: Sequence[str]) -> list[str]:
    """Return the ids of the runs of a folder: those of the killed command that is gone on with, or new ones."""
    path = folder / "runs.json"
    if path.is_file():
        run_ids: list[str] = read_json(path)
    else:
        run_ids = [_free_id(store, identity) for identity in identities]
        write_file(path, json.dumps(run_ids))
    return run_ids


def is_done(store: Store, run_id: str) -> bool:
    """Whether a run has ended, well or not."""
    try:
        return store.runs.get(run_id).status != "running"
    except UnknownRunError:
        return False


def _free_id(store: Store, identity: str) -> str:
    """Return the run's id: its identity, numbered when the same training was finished before."""
    numbered = (identity if number == 1 else f"{identity}-{number}" for number in count(1))
    return next(run_id for run_id in numbered if not is_done(store, run_id))


def _hash(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
