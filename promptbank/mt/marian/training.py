"""One training of a Marian from pairs of sentences, in a folder of its own; begun again, it goes on where it was.

The folder holds ``pieces/`` (made once), ``training.json`` (what is trained), ``checkpoints/``, ``curve.jsonl`` and, at
the end, ``model/``: the Hugging Face folder. The checkpoints go when the model is there.
"""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch

from promptbank.errors import TrainingError
from promptbank.files import read_json, write_file
from promptbank.mt.marian.model import build_marian, save_marian
from promptbank.mt.marian.pieces import PIECE_FILES, Pieces, load_pieces, train_pieces
from promptbank.mt.marian.run import Encoded, MarianRun
from promptbank.mt.marian.sizes import MarianSizes, TrainSettings
from promptbank.training.checkpoint import Checkpoints, refuse_former
from promptbank.training.curve import LearningCurve
from promptbank.training.loop import run_training
from promptbank.training.progress import NoProgress, Progress

__all__ = ["MarianPlan", "Pair", "TrainedMarian", "train_marian"]

Pair = tuple[str, str]
"""Source and target text."""


@dataclass(frozen=True)
class MarianPlan:
    """What is to be trained.

    Attributes:
        langpair: source and target language, such as ("en", "sv").
        train: pairs to learn from.
        dev: pairs whose loss is followed, never learnt from; may be empty.
        sizes: of the model.
        settings: of the training.
        device: of torch; resuming is bit-exact on "cpu".
    """

    langpair: tuple[str, str]
    train: Iterable[Pair]
    dev: Iterable[Pair] = ()
    sizes: MarianSizes = field(default_factory=MarianSizes)
    settings: TrainSettings = field(default_factory=TrainSettings)
    device: str = "cpu"


@dataclass(frozen=True)
class TrainedMarian:
    """How a training ended.

    Attributes:
        finished: False when it was told to stop before its last step; the same call goes on from there.
        step: steps done.
        model: the Hugging Face folder, when finished.
        pairs: pairs learnt from.
        left_out: pairs that were longer than the settings allow.
    """

    finished: bool
    step: int
    model: Path | None
    pairs: int
    left_out: int


def train_marian(
    plan: MarianPlan,
    folder: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainedMarian:
    """Train a model, or go on with the training whose checkpoint is in the folder.

    Args:
        plan: what is trained; the same as before when a checkpoint is there.
        folder: of this training, made if it is not there.
        progress: receives reports.
        should_stop: asked before each step; when it says so, a checkpoint is written and the training returns.

    Raises:
        TrainingError: no pair is left to learn from, or the folder belongs to another training.
    """
    train, dev = list(plan.train), list(plan.dev)
    if not train:
        raise TrainingError("there are no pairs to learn from")
    folder.mkdir(parents=True, exist_ok=True)
    said, claim = _said(plan, train, dev), folder / "training.json"
    claimed = claim.exists()
    if claimed:
        _refuse_another(claim, said)
    pieces = _pieces(folder / "pieces", train, plan.sizes.vocabulary, anew=not claimed)
    learnt = _encoded(train, pieces, plan.settings.longest)
    if not learnt:
        raise TrainingError(f"all {len(train)} pairs are longer than {plan.settings.longest} discrete tokens (longest)")
    result = partial(TrainedMarian, pairs=len(learnt), left_out=len(train) - len(learnt))
    identity = _claim(claim, said | {"pieces": pieces.sha256})
    if (folder / "model").is_dir():
        return result(finished=True, step=plan.settings.steps, model=folder / "model")
    model = build_marian(plan.sizes, pieces, dropout=plan.settings.dropout, seed=plan.settings.seed)
    model.to(torch.device(plan.device))  # type: ignore[arg-type]  # transformers wraps it
    curve, pairs = LearningCurve(folder / "curve.jsonl"), _encoded(dev, pieces, plan.settings.longest)
    run = MarianRun(model, learnt, pairs, plan.settings, curve, progress or NoProgress())
    refuse_former(folder / "checkpoint.safetensors")
    checkpoints = Checkpoints(folder / "checkpoints", identity)
    with torch.random.fork_rng():
        finished = run_training(run, checkpoints, should_stop)
    if finished:
        save_marian(model.cpu(), pieces, plan.langpair, folder / "model")
        checkpoints.clear()
    return result(finished=finished, step=run.position.step, model=folder / "model" if finished else None)


def _pieces(folder: Path, train: Sequence[Pair], size: int, *, anew: bool) -> Pieces:
    """Load the pieces that this training made, or make them; the vocabulary file is written last.

    In a folder that no training has claimed they may be of other texts: its run failed early.
    """
    if anew or not (folder / PIECE_FILES[-1]).is_file():
        train_pieces((text for pair in train for text in pair), size).save(folder)
    return load_pieces(folder)


def _encoded(pairs: Iterable[Pair], pieces: Pieces, longest: int) -> list[Encoded]:
    rows = ((array("i", pieces.ids(src)), array("i", pieces.ids(tgt, target=True))) for src, tgt in pairs)
    return [(src, tgt) for src, tgt in rows if max(len(src), len(tgt)) <= longest]


def _said(plan: MarianPlan, train: Sequence[Pair], dev: Sequence[Pair]) -> dict[str, object]:
    """Return what is trained, its pieces not known yet.

    How often is logged, and on which device, is no part of it.
    """
    settings = {key: value for key, value in asdict(plan.settings).items() if key not in ("log_every", "check_every")}
    return {
        "langpair": list(plan.langpair),
        "sizes": asdict(plan.sizes),
        "settings": settings,
        "pieces": None,
        "train": {"pairs": len(train), "sha256": _sha256(train)},
        "dev": {"pairs": len(dev), "sha256": _sha256(dev)},
    }


def _claim(path: Path, said: dict[str, object]) -> str:
    """Write what is trained into the folder, or check that it is what the folder is for; return its identity."""
    if not path.exists():
        write_file(path, json.dumps(said, indent=2) + "\n")
    _refuse_another(path, said)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _refuse_another(path: Path, said: dict[str, object]) -> None:
    """Refuse a folder that was claimed by another training; what is None is not known yet."""
    known = read_json(path)
    others = [key for key, value in said.items() if value is not None and known.get(key) != value]
    if others:
        raise TrainingError(
            f"{path.parent} is the folder of another training ({', '.join(others)} differ); name another one"
        )


def _sha256(pairs: Iterable[Pair]) -> str:
    data = hashlib.sha256()
    for pair in pairs:
        data.update(json.dumps(pair).encode() + b"\n")
    return data.hexdigest()
