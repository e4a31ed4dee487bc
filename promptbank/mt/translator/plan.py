"""What a training of a translator is given, and how it is told from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from promptbank.errors import TrainingError
from promptbank.files import read_json
from promptbank.model.backbone import Backbone
from promptbank.mt.translator.model import FACTS, WEIGHTS, load_translator, prepared, read_update
from promptbank.mt.translator.pairs import PairExample, PairFormat
from promptbank.mt.translator.settings import MtSettings
from promptbank.mt.translator.updates import FullUpdate, Update
from promptbank.training.checkpoint import learnt
from promptbank.training.steps import StepPosition

__all__ = ["EvalTexts", "MtPlan", "has_ended", "identity_of", "start_numbers", "training_facts"]


@dataclass(frozen=True)
class EvalTexts:
    """Sentences with human translations.

    Attributes:
        name: such as "flores-dev".
        texts: source sentences.
        references: their translations.
    """

    name: str
    texts: tuple[str, ...]
    references: tuple[str, ...]

    def first(self, count: int) -> EvalTexts:
        """Return the first sentences."""
        return EvalTexts(self.name, self.texts[:count], self.references[:count])


@dataclass(frozen=True, eq=False)
class MtPlan:
    """What is learnt, from what, and where it is kept.

    Attributes:
        update: what of the backbone learns.
        pair_format: languages and prompt.
        train: pairs that are learnt.
        dev: pairs of the dev loss; may be empty.
        corpus_sha256: of the training pairs.
        sets: translated and scored at every evaluation.
        settings: of the training.
        out: folder of ``checkpoints/``, ``curve.jsonl`` and ``model/``.
        start: folder of a translator to start from.
    """

    update: Update
    pair_format: PairFormat
    train: Sequence[PairExample]
    dev: Sequence[PairExample]
    corpus_sha256: str
    sets: Sequence[EvalTexts]
    settings: MtSettings
    out: Path
    start: Path | None = None


def start_numbers(folder: Path, backbone: Backbone, update: Update) -> dict[str, Tensor]:
    """Return the numbers that a training starts from.

    Args:
        folder: of a stored translator. A full training goes on from any kind; a low-rank one from its own.
        backbone: of the training.
        update: what learns.

    Raises:
        TrainingError: there is none.
        BackboneMismatchError: it is an update of another backbone.
    """
    _weights(folder)
    if not isinstance(update, FullUpdate):
        return read_update(folder, backbone).tensors
    whole = dict(load_translator(folder, backbone).lm.model.named_parameters())
    return {name: whole[name] for name in learnt(prepared(backbone, update))}


def identity_of(backbone: Backbone, plan: MtPlan) -> str:
    """Return a hash over all that decides the result.

    Raises:
        TrainingError: there is no translator to start from.
    """
    start = None if plan.start is None else _digest(plan.start)
    said = [
        backbone.fingerprint, plan.corpus_sha256, plan.update.as_dict(), plan.settings.deciding(),
        str(plan.pair_format.languages), len(plan.train), start,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def training_facts(plan: MtPlan, identity: str, position: StepPosition) -> dict[str, Any]:
    """Return what is stored of a training beside its translator."""
    return {
        "identity": identity, "corpus_sha256": plan.corpus_sha256, "pairs": len(plan.train),
        "settings": plan.settings.deciding(), "tokens": position.tokens, "seconds": round(position.seconds),
    }  # fmt: skip


def has_ended(plan: MtPlan, identity: str) -> bool:
    """Return whether the run's translator is stored.

    Args:
        plan: of the run.
        identity: see `identity_of`.

    Raises:
        TrainingError: the run would replace the translator of another run, or the one that it starts from.
    """
    model = plan.out / "model"
    if plan.start is not None and plan.start.resolve() == model.resolve():
        raise TrainingError(f"--start {plan.start} would be replaced by what is learnt from it; name another --out")
    try:
        stored = read_json(model / FACTS)
    except (OSError, ValueError):
        return False
    if stored["training"].get("identity") != identity:
        raise TrainingError(
            f"{model} is the translator of a run with another corpus, backbone, start or settings; name another --out, "
            "or move that folder away"
        )
    return True


def _digest(folder: Path) -> str:
    return hashlib.sha256(_weights(folder)).hexdigest()


def _weights(folder: Path) -> bytes:
    try:
        return (folder / WEIGHTS).read_bytes()
    except OSError as exc:
        raise TrainingError(f"{folder} holds no translator to start from ({exc.strerror}); name its folder") from exc
