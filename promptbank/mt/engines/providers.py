"""The kinds of engines, each a small class that knows what it has on this machine; here those of models in folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

from promptbank.errors import TrainingError
from promptbank.mt.engines.offered import Asked, Offer, Way, no_engine
from promptbank.mt.engines.providers_outside import ApertiumWay, FastWay, OnlineWay, PlainWay
from translate import Engine

__all__ = ["WAYS", "translator_folder"]

BEAM = 4
"""Hypotheses kept unless asked: chrF2 of 100 FLORES sentences 47.0, 47.5 and 49.9 with 1, 2 and 4; the last takes three
times as long as the first."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


class TranslatorWay:
    """The backbone, tuned by `promptbank mt train --arch backbone`."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield those of the home, the newest first."""
        home = asked.settings.home / "mt"
        own = [folder.parent.parent for folder in home.glob("*/model/translator.json")]
        for folder in sorted(own, key=lambda folder: -(folder / "model" / "translator.json").stat().st_mtime):
            offer = _translator_offer(folder.name, folder / "model", "trained here", asked)
            for fitting in _of_the_pair(offer, partial(_langpair, folder / "model"), asked):
                yield _on_its_backbone(fitting, folder / "model", asked) if fitting.available else fitting

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take a folder's path, or the name of one in the home."""
        folder = translator_folder(name, asked.settings.home)
        if folder is not None:
            return _translator_offer(name, folder, "named", asked)
        return None


class ShippedWay:
    """A packed translator that comes with promptbank, in ``translate/models``."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield the pair's, if there is one; its name is the pair."""
        folder = Path(str(files("translate"))) / "models" / asked.langpair
        if (folder / "translator.json").is_file():
            yield _translator_offer(asked.langpair, folder, "comes with promptbank", asked)

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take the pair as a name."""
        return next((offer for offer in self.offers(asked) if offer.engine == name), None)


def _translator_offer(name: str, folder: Path, why: str, asked: Asked) -> Offer:
    return Offer(name, "backbone", True, f"{why}, runs on the backbone offline", lambda: _translator(folder, asked))


def _on_its_backbone(offer: Offer, folder: Path, asked: Asked) -> Offer:
    """Return the offer, or one that is not available where the backbone that would be loaded is another one.

    A translator that is named is loaded all the same, and the error says which backbone it wants.
    """
    from promptbank.mt.translator.model import misfit

    why = misfit(folder, asked.settings)
    return offer if why is None else Offer(offer.engine, offer.way, False, why, no_engine)


def translator_folder(name: str, home: Path) -> Path | None:
    """Return the folder of a backbone's translator, given by path or by its name in the home; None if there is none."""
    places = (Path(name), Path(name) / "model", home / "mt" / name / "model")
    return next((place for place in places if (place / "translator.json").is_file()), None)


def _langpair(folder: Path) -> str:
    from promptbank.mt.translator.model import langpair_of

    return langpair_of(folder)


def _translator(folder: Path, asked: Asked) -> Engine:
    import torch

    from promptbank.model.backbone import open_backbone
    from promptbank.mt.engines.backbone import open_engine as open_translator
    from promptbank.mt.translator.decoding import Decoding
    from promptbank.mt.translator.model import with_backbone_of
    from promptbank.training.prompts import cpu_has_bfloat16

    backbone = open_backbone(with_backbone_of(folder, asked.settings), asked.say)
    dtype = torch.bfloat16 if cpu_has_bfloat16() else torch.float32  # 46 words a processor second against 23
    return open_translator(folder, backbone, decoding=Decoding(beam=asked.beam or BEAM), dtype=dtype)


class MarianWay:
    """A Marian that `promptbank mt train --arch marian` made, by CTranslate2 where it was converted."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield the newest first."""
        found = (asked.settings.home / "mt").glob("*/model/tokenizer_config.json")
        for model in sorted((path.parent for path in found), key=lambda folder: -folder.stat().st_mtime):
            yield from _of_the_pair(self._offer(model.parent, asked), partial(_marian_langpair, model), asked)

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take the name of one in the home."""
        return next((offer for offer in self.offers(asked) if offer.engine == name), None)

    def _offer(self, run: Path, asked: Asked) -> Offer:
        ct2 = run / "ct2"
        if ct2.is_dir():
            return Offer(run.name, "ctranslate2", True, "trained here, int8, offline", lambda: _ct2(ct2, asked))
        return Offer(run.name, "marian", True, "trained here, offline", lambda: _marian(str(run / "model"), asked))


def _of_the_pair(offer: Offer, langpair: Callable[[], str], asked: Asked) -> Iterator[Offer]:
    """Yield an offer of the home if it translates the pair; one that cannot be read is none and keeps none away."""
    try:
        found = langpair()
    except (TrainingError, OSError, ValueError) as exc:
        yield Offer(offer.engine, offer.way, False, f"damaged: {exc}", no_engine)
    else:
        yield from [offer] if found == asked.langpair else []


def _marian_langpair(folder: Path) -> str:
    said = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return f"{said.get('source_lang')}-{said.get('target_lang')}"


class FolderWay:
    """A folder of CTranslate2 (OPUS-MT, Argos) or of Marian, by its path."""

    def offers(self, asked: Asked) -> Iterator[Offer]:  # noqa: ARG002 - a folder must be named
        """Yield nothing: a folder does not say what it translates."""
        return iter(())

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take a folder with a model in it."""
        folder = Path(name)
        if not folder.is_dir():
            return None
        if any(folder.rglob("model.bin")):
            return Offer(name, "ctranslate2", True, "a CTranslate2 folder", lambda: _ct2(folder, asked))
        return Offer(name, "marian", True, "a Marian folder", lambda: _marian(name, asked))


class HubWay:
    """A Marian of the Hugging Face hub, by its id."""

    def offers(self, asked: Asked) -> Iterator[Offer]:  # noqa: ARG002 - a model must be named
        """Yield nothing: nothing is fetched unasked."""
        return iter(())

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take ``owner/name``."""
        if not HUB_ID.fullmatch(name):
            return None
        return Offer(name, "marian", True, "a model of the hub", lambda: _marian(name, asked))


def _ct2(folder: Path, asked: Asked) -> Engine:
    from promptbank.mt.engines.ct2 import Ct2Engine
    from translate.engines.decoding import Decoding

    decoding = Decoding(beam=asked.beam or BEAM)
    return Ct2Engine(folder, (asked.src, asked.tgt), decoding=decoding, threads=asked.settings.threads)


def _marian(ref: str, asked: Asked) -> Engine:
    from promptbank.mt.engines.marian import MarianEngine
    from translate.engines.decoding import Decoding

    return MarianEngine(ref, (asked.src, asked.tgt), decoding=Decoding(beam=asked.beam or BEAM))


class TaskWay:
    """A frozen task of the bank that answers a text with its translation."""

    def offers(self, asked: Asked) -> Iterator[Offer]:  # noqa: ARG002 - a card does not say what its answers are
        """Yield nothing."""
        return iter(())

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take ``task:taskname[:lang][@version]``."""
        if not name.startswith("task:"):
            return None
        return Offer(name, "task", True, "a prompt of the bank", lambda: _task(name.removeprefix("task:"), asked))


def _task(name: str, asked: Asked) -> Engine:
    from promptbank.bank.task_server import Desk
    from promptbank.model.backbone import open_backbone
    from promptbank.mt.engines.prompt import PromptTranslator
    from store import open_store

    desk = Desk(
        open_store(asked.settings.db),
        open_backbone(asked.settings, asked.say),
        batch_tokens=asked.settings.batch_tokens,
    )
    return PromptTranslator(desk, name, (asked.src, asked.tgt))


WAYS: tuple[Way, ...] = (
    TranslatorWay(),
    MarianWay(),
    ShippedWay(),
    ApertiumWay(),
    FastWay(),
    OnlineWay(),
    TaskWay(),
    FolderWay(),
    PlainWay(),
    HubWay(),
)
"""All kinds, the preferred ones first: what was trained here, what comes along, what the system has."""
