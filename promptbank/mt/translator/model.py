"""A trained translator as a folder: what was learnt (``update.safetensors``), of which backbone (``translator.json``),
and the tokens it may write (``words.bin``; all tokens without it).

The update goes on a backbone that is on the machine already, so a low-rank one is 15 MB in bfloat16.
"""

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from promptbank.config import Settings
from promptbank.errors import BackboneError, BackboneMismatchError, TrainingError
from promptbank.files import read_json, sha256_of, write_atomically, write_file
from promptbank.model.backbone import Backbone, Identity, identify, list_backbones, local_folder
from promptbank.model.forward import LanguageModel, cast_weights
from promptbank.mt.languages import Languages
from promptbank.mt.translator.allowed_tokens import FILE as TOKENS
from promptbank.mt.translator.allowed_tokens import read_tokens, tokens_bytes
from promptbank.mt.translator.updates import Update, update_of
from promptbank.training.checkpoint import learnt, load_learnt

__all__ = [
    "WEIGHTS",
    "StoredUpdate",
    "Translator",
    "langpair_of",
    "load_translator",
    "merged",
    "misfit",
    "prepared",
    "read_update",
    "save_translator",
    "with_backbone_of",
]

WEIGHTS, FACTS = "update.safetensors", "translator.json"
_NEEDED = ("langpair", "update", "backbone", "fingerprint", "tokenizer_sha256", "weights_sha256")


@dataclass(frozen=True, eq=False)
class Translator:
    """A translator, ready to be run.

    Attributes:
        lm: the backbone with the update merged into a copy.
        languages: what it translates.
        weights_sha256: of the update's file.
        backbone: tokenizer and facts.
        tokens: ids of what it may write beside the tokens of the text; None for all.
    """

    lm: LanguageModel
    languages: Languages
    weights_sha256: str
    backbone: Backbone
    tokens: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class StoredUpdate:
    """What a translator's folder holds, checked against its backbone.

    Attributes:
        update: the kind.
        tensors: its numbers as stored, by name.
        facts: of ``translator.json``.
    """

    update: Update
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def prepared(backbone: Backbone, update: Update) -> nn.Module:
    """Return a private float32 copy of the backbone in which the update's parameters learn."""
    model: nn.Module = copy.deepcopy(backbone.model)
    model = model.float()
    model.requires_grad_(False)
    update.prepare(model)
    return model.eval()


def merged(model: nn.Module, backbone: Backbone, update: Update, dtype: torch.dtype) -> LanguageModel:
    """Return a plain copy of a learning model that computes the same, up to its dtype."""
    plain = prepared(backbone, update)
    load_learnt(plain, {name: p.detach().cpu() for name, p in learnt(model).items()})
    update.merge(plain)
    plain.requires_grad_(False)
    return LanguageModel(cast_weights(plain, dtype))


def save_translator(
    folder: Path,
    model: nn.Module,
    backbone: Backbone,
    update: Update,
    *,
    languages: Languages,
    facts: dict[str, Any],
    dtype: torch.dtype = torch.bfloat16,
    tokens: Iterable[int] | None = None,
) -> Path:
    """Write what was learnt; the facts last, so a folder that has them is whole.

    Args:
        folder: made if it is not there.
        model: a prepared and learnt copy.
        backbone: the one it is a copy of.
        update: what of it learnt.
        languages: what it translates.
        facts: of its training, kept beside it.
        dtype: of the stored matrices; vectors stay float32: a norm of 15 moves by 0.002, bfloat16 steps by 0.06.
        tokens: see `Translator`.
    """
    tensors = {
        name: p.detach().cpu().to(dtype if p.ndim > 1 else torch.float32).contiguous()
        for name, p in learnt(model).items()
    }
    with write_atomically(_cleared(folder) / WEIGHTS) as temporary:
        save_file(tensors, temporary)
    if tokens is not None:
        (folder / TOKENS).write_bytes(tokens_bytes(tokens, backbone.vocab_size))
    sha256 = _sha256(folder / WEIGHTS)
    write_file(folder / FACTS, _description(backbone, update, sha256, languages=languages, facts=facts))
    return folder


def with_backbone_of(folder: Path, settings: Settings) -> Settings:
    """Return settings with the backbone that a translator names, where this machine knows it by that name.

    A folder or a model of the hub goes by another name than the one it was given by, so there the settings' own
    stands; the fingerprint tells a wrong one when the update is put on it.

    Raises:
        TrainingError: the folder holds no translator.
    """
    name = str(_facts(folder)["backbone"])
    known = {info.name for info in list_backbones(settings.home)}
    return replace(settings, backbone=name) if name in known else settings


def misfit(folder: Path, settings: Settings) -> str | None:
    """Return why a translator does not go on the backbone that it would be opened with; None where it does.

    A backbone that is not on this machine yet is told by its name.

    Raises:
        TrainingError: the folder holds no translator.
    """
    facts, chosen = _facts(folder), with_backbone_of(folder, settings).backbone
    try:
        local = local_folder(chosen, settings.home)
        own = Identity(str(facts["fingerprint"]), str(facts["tokenizer_sha256"]))
        named = facts["backbone"] in (chosen, chosen.replace("/", "--"))  # as a model of the hub is called here
        fits = named if local is None else identify(local) == own
    except BackboneError as exc:
        return str(exc)
    return None if fits else f"goes on backbone {facts['backbone']}; name that one with --backbone"


def langpair_of(folder: Path) -> str:
    """Return what a translator translates, such as "en-sv".

    Raises:
        TrainingError: the folder holds no translator.
    """
    return str(_facts(folder)["langpair"])


def load_translator(folder: Path, backbone: Backbone, dtype: torch.dtype = torch.float32) -> Translator:
    """Put a stored update on its backbone, in a copy.

    Raises:
        TrainingError: the folder holds no translator, or its weights are not those that were written.
        BackboneMismatchError: it was trained on another backbone or tokenizer.
    """
    stored = read_update(folder, backbone)
    model = prepared(backbone, stored.update)
    stored.update.load(model, stored.tensors)
    stored.update.merge(model)
    model.requires_grad_(False)
    lm = LanguageModel(cast_weights(model, dtype))
    languages, sha256 = Languages.parse(stored.facts["langpair"]), str(stored.facts["weights_sha256"])
    return Translator(lm, languages, sha256, backbone, read_tokens(folder, backbone.vocab_size))


def read_update(folder: Path, backbone: Backbone) -> StoredUpdate:
    """Read a stored update and check that it is whole and of this backbone.

    Raises:
        TrainingError: the folder holds no translator, or its weights are not those that were written.
        BackboneMismatchError: it was trained on another backbone or tokenizer.
    """
    facts = _facts(folder)
    if (facts["fingerprint"], facts["tokenizer_sha256"]) != (backbone.fingerprint, backbone.tokenizer_sha256):
        raise BackboneMismatchError(
            f"the translator {folder} is an update of {facts['backbone']} ({facts['fingerprint'][:12]}), not of "
            f"{backbone.name} ({backbone.fingerprint[:12]}); load that one with --backbone"
        )
    if _sha256(folder / WEIGHTS) != facts["weights_sha256"]:
        raise TrainingError(f"{folder / WEIGHTS} is not the file that was written; fetch or train the translator again")
    try:
        tensors = load_file(folder / WEIGHTS)
    except SafetensorError as exc:
        raise TrainingError(f"{folder / WEIGHTS} is damaged ({exc}); fetch or train the translator again") from exc
    return StoredUpdate(update_of(facts["update"]), tensors, facts)


def _description(
    backbone: Backbone, update: Update, weights_sha256: str, *, languages: Languages, facts: dict[str, Any]
) -> str:
    """Return the text of ``translator.json``."""
    stored = {
        "langpair": str(languages),
        "update": update.as_dict(),
        "backbone": backbone.name,
        "fingerprint": backbone.fingerprint,
        "tokenizer_sha256": backbone.tokenizer_sha256,
        "weights_sha256": weights_sha256,
        "training": facts,
    }
    return json.dumps(stored, ensure_ascii=False, indent=1) + "\n"


def _cleared(folder: Path) -> Path:
    """Make the folder, without facts, since what has them is whole, and without tokens of an earlier translator."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (FACTS, TOKENS):
        (folder / name).unlink(missing_ok=True)
    return folder


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = read_json(folder / FACTS)
    except (OSError, ValueError) as exc:
        raise TrainingError(f"{folder} holds no translator ({exc}); train one with `promptbank mt train`") from exc
    missing = [name for name in _NEEDED if name not in facts] if isinstance(facts, dict) else list(_NEEDED)
    if missing:
        raise TrainingError(f"{folder / FACTS} is damaged: it lacks {', '.join(missing)}; train the translator again")
    return facts


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as exc:
        raise TrainingError(f"{path} cannot be read ({exc.strerror}); fetch or train the translator again") from exc
