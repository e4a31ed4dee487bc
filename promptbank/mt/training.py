"""Train a translator from a corpus of the home."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from promptbank.bank.session import Bank
from promptbank.errors import ConfigError, TrainingError
from promptbank.mt.corpora import corpus_folder
from promptbank.mt.engines.models import translator_folder
from promptbank.mt.languages import Languages
from promptbank.mt.marian.conversion import convert_marian
from promptbank.mt.marian.sizes import TrainSettings
from promptbank.mt.marian.training import MarianPlan, train_marian
from promptbank.mt.score import read_sets
from promptbank.mt.translator.pairs import PairFormat, render_pairs
from promptbank.mt.translator.plan import MtPlan
from promptbank.mt.translator.settings import MtSettings
from promptbank.mt.translator.snapshot import snapshot_translator
from promptbank.mt.translator.train import train_translator
from promptbank.mt.translator.updates import FullUpdate, LowRankUpdate, Update
from translate.corpus.folder import read_corpus, read_manifest

__all__ = ["TranslatorRequest", "train"]

FULL, RANK = "full", 32
"""The method of a backbone's translator, and the rank of a low-rank one, unless another is asked for."""

MARIAN = {"steps": "steps", "tokens": "batch_tokens", "lr": "lr", "warmup": "warmup", "schedule": "schedule",
          "every": "check_every", "seed": "seed"}  # fmt: skip
"""Settings that a Marian takes, and what `TrainSettings` calls them."""

PARITY_SENTENCES = 100
"""A conversion for CTranslate2 must give the very same tokens on so many."""


@dataclass(frozen=True)
class TranslatorRequest:
    """What translator is trained, from what: the options of ``promptbank mt train``.

    ``settings`` has the names of `MtSettings`, and ``checkpoint_minutes``; a Marian takes the keys of `MARIAN`.
    """

    arch: str
    corpus: str
    method: str | None = None
    rank: int | None = None
    device: str = "cpu"
    out: Path | None = None
    start: str | None = None
    snapshot: Path | None = None
    sets: Sequence[Path] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def folder(self, home: Path, langpair: str) -> Path:
        """Return the folder of the run, made if it is not there.

        Raises:
            ConfigError: it cannot be made.
        """
        method = self.method or FULL if self.arch == "backbone" else self.arch
        out = self.out or home / "mt" / f"{langpair}-{method}"
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"--out {out} cannot be used ({exc.strerror}); choose another folder") from exc
        return out


def train(bank: Bank, request: TranslatorRequest, should_stop: Callable[[], bool] = lambda: False) -> Path | None:
    """Train a translator, or go on with it.

    Args:
        bank: whose home and backbone are used.
        request: what is trained.
        should_stop: asked between steps; the state is saved when it says so.

    Returns:
        The folder of the translator; None if it was told to stop.

    Raises:
        ConfigError: options that do not go together, or a device that is not there.
        TrainingError: see `train_translator` and `train_marian`.
        TranslateError: the corpus cannot be read.
    """
    if request.arch not in ARCHITECTURES:
        raise ConfigError(f"--arch is {request.arch!r}; known: {', '.join(ARCHITECTURES)}")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", request.device):
        raise ConfigError(f"--device is {request.device!r}; cpu, cuda, or one of several as cuda:1")
    if request.device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(
            f"--device is {request.device!r}, but torch finds no such device here; leave it out to train on cpu"
        )
    return ARCHITECTURES[request.arch](bank, request, should_stop)


def _train_backbone(bank: Bank, request: TranslatorRequest, should_stop: Callable[[], bool]) -> Path | None:
    update, given = _update(request), dict(request.settings)
    if "checkpoint_minutes" in given:
        given["checkpoint_seconds"] = 60 * given.pop("checkpoint_minutes")
    wanted = MtSettings(**{"lr": update.lr, "device": request.device, **given})
    corpus = corpus_folder(bank.settings.home, request.corpus)
    langpair = read_manifest(corpus)["langpair"]
    out = request.folder(bank.settings.home, langpair)
    plan = _plan(bank, corpus, update, request, wanted, out)
    if request.snapshot:
        return snapshot_translator(bank.backbone, plan, request.snapshot)
    bank.display.say(f"{len(plan.train)} pairs, {wanted.steps} steps; curve: {out / 'curve.jsonl'}")
    return train_translator(bank.backbone, plan, bank.display, should_stop)


def _update(request: TranslatorRequest) -> Update:
    rank = request.rank or RANK
    if request.method == "lora":
        return LowRankUpdate(rank=rank, alpha=2.0 * rank)
    if request.rank:
        raise ConfigError(f"--rank {request.rank} is of --method lora, not of {request.method or FULL}")
    if request.method in (FULL, None):
        return FullUpdate()
    raise ConfigError(f"--method is {request.method!r}; full or lora")


def _plan(
    bank: Bank, corpus: Path, update: Update, request: TranslatorRequest, wanted: MtSettings, out: Path
) -> MtPlan:
    manifest, backbone = read_manifest(corpus), bank.backbone
    pair_format = PairFormat(backbone.tokenizer, Languages.parse(manifest["langpair"]))
    window = min(backbone.window, wanted.tokens)
    train, dev = _parts(corpus)
    return MtPlan(
        update=update,
        pair_format=pair_format,
        train=render_pairs(pair_format, train, window=window),
        dev=render_pairs(pair_format, dev, window=window) if dev else [],
        corpus_sha256=manifest["sha256"]["train"],
        sets=read_sets(request.sets, manifest["langpair"], None),
        settings=wanted,
        out=out,
        start=_start(request.start, bank.settings.home),
    )


def _start(name: str | None, home: Path) -> Path | None:
    if name is None:
        return None
    folder = translator_folder(name, home)
    if folder is None:
        raise ConfigError(
            f"--start {name} is no translator of a backbone: not a folder of one, none below {home / 'mt'}, and none "
            "that comes along; `promptbank mt engines` lists them"
        )
    return folder


def _parts(corpus: Path) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the pairs to learn from, and those for dev."""
    train, dev = ([(pair.src, pair.tgt) for pair in read_corpus(corpus, part)] for part in ("train", "dev"))
    return train, dev


def _train_marian(bank: Bank, request: TranslatorRequest, should_stop: Callable[[], bool]) -> Path | None:
    if strange := sorted(set(request.settings) - set(MARIAN)):
        raise ConfigError(f"--arch marian does not take {', '.join(strange)}; it takes {', '.join(MARIAN)}")
    if request.start or request.sets or request.snapshot or request.method or request.rank:
        raise ConfigError(
            "--arch marian takes none of --method, --rank, --start, --set, --snapshot; score it with `mt score`"
        )
    wanted = TrainSettings(**{MARIAN[name]: value for name, value in request.settings.items()})
    if bank.settings.threads:
        torch.set_num_threads(bank.settings.threads)
    corpus = corpus_folder(bank.settings.home, request.corpus)
    langpair = read_manifest(corpus)["langpair"]
    out = request.folder(bank.settings.home, langpair)
    learn, dev = _parts(corpus)
    bank.display.say(f"{len(learn)} pairs, {wanted.steps} steps; curve: {out / 'curve.jsonl'}")
    plan = MarianPlan(Languages.parse(langpair), learn, dev, settings=wanted, device=request.device)
    done = train_marian(plan, out, progress=bank.display, should_stop=should_stop)
    if done.model:
        bank.display.say(_converted(done.model, out / "ct2", [src for src, _ in dev or learn]))
    return done.model


def _converted(model: Path, out: Path, texts: Sequence[str]) -> str:
    """Convert a Marian for CTranslate2, if that is installed and agrees; return what to say about it."""
    if out.is_dir():
        return f"CTranslate2: {out} is there already"
    try:
        parity = convert_marian(model, out, texts[:PARITY_SENTENCES])
    except TrainingError as exc:
        return f"not converted for CTranslate2: {exc}"
    return f"CTranslate2: {out}, {parity.bytes} bytes; {parity.sentences} sentences alike in float32, " + (
        f"{parity.quantised_same} in int8"
    )


ARCHITECTURES = {"backbone": _train_backbone, "marian": _train_marian}
"""What `--arch` names."""
