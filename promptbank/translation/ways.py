"""The kinds of engines, each a small class that knows what it has on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from promptbank.config import Settings
from promptbank.errors import ConfigError
from translate import Engine, EngineError

__all__ = ["WAYS", "Asked", "Offer", "Way", "translator_folder"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


@dataclass(frozen=True)
class Asked:
    """What an engine is wanted for.

    Attributes:
        src: source language.
        tgt: target language.
        beam: hypotheses kept for each text, where the engine searches; None for its own choice.
        settings: home, backbone, threads.
        say: hears what takes long, and the terms of a backbone that is fetched.
    """

    src: str
    tgt: str
    beam: int | None
    settings: Settings
    say: Callable[[str], None] = lambda _: None

    @property
    def langpair(self) -> str:
        """Such as "en-sv"."""
        return f"{self.src}-{self.tgt}"


@dataclass(frozen=True)
class Offer:
    """An engine that could be had.

    Attributes:
        engine: what ``--engine`` calls it.
        way: the kind.
        available: whether it runs here, for the pair.
        why: in words.
        open: loads it.
    """

    engine: str
    way: str
    available: bool
    why: str
    open: Callable[[], Engine]


class Way(Protocol):
    """A kind of engine."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield what can be found without being named, the best first."""

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Return the engine that a name means; None where it is none of this kind."""


class TranslatorWay:
    """The backbone, tuned by `promptbank mt train --arch backbone`."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield those of the home, the newest first."""
        home = asked.settings.home / "mt"
        own = [folder.parent.parent for folder in home.glob("*/model/translator.json")]
        for folder in sorted(own, key=lambda folder: -(folder / "model" / "translator.json").stat().st_mtime):
            if _langpair(folder / "model") == asked.langpair:
                yield _translator_offer(folder.name, folder / "model", "trained here", asked)

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


def translator_folder(name: str, home: Path) -> Path | None:
    """Return the folder of a backbone's translator, given by path or by its name in the home; None if there is none."""
    places = (Path(name), Path(name) / "model", home / "mt" / name / "model")
    return next((place for place in places if (place / "translator.json").is_file()), None)


def _langpair(folder: Path) -> str:
    from promptbank.mt.model import langpair_of

    return langpair_of(folder)


def _translator(folder: Path, asked: Asked) -> Engine:
    import torch

    from promptbank.backbone import open_backbone
    from promptbank.mt.decode import Decoding
    from promptbank.mt.engine import open_engine as open_translator
    from promptbank.mt.model import backbone_name
    from promptbank.train.loop import cpu_has_bfloat16

    backbone = open_backbone(replace(asked.settings, backbone=backbone_name(folder)), asked.say)
    dtype = torch.bfloat16 if cpu_has_bfloat16() else torch.float32  # 46 words a processor second against 23
    return open_translator(folder, backbone, decoding=Decoding(beam=asked.beam or 1), dtype=dtype)


class MarianWay:
    """A Marian that `promptbank mt train --arch marian` made, by CTranslate2 where it was converted."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield the newest first."""
        found = (asked.settings.home / "mt").glob("*/model/tokenizer_config.json")
        for model in sorted((path.parent for path in found), key=lambda folder: -folder.stat().st_mtime):
            if _marian_langpair(model) == asked.langpair:
                yield self._offer(model.parent, asked)

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take the name of one in the home."""
        return next((offer for offer in self.offers(asked) if offer.engine == name), None)

    def _offer(self, run: Path, asked: Asked) -> Offer:
        ct2 = run / "ct2"
        if ct2.is_dir():
            return Offer(run.name, "ctranslate2", True, "trained here, int8, offline", lambda: _ct2(ct2, asked))
        return Offer(run.name, "marian", True, "trained here, offline", lambda: _marian(str(run / "model"), asked))


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
    from translate.engines.ct2 import Ct2Engine
    from translate.nmt.decoding import Decoding

    decoding = Decoding(beam=asked.beam or 4)
    return Ct2Engine(folder, (asked.src, asked.tgt), decoding=decoding, threads=asked.settings.threads)


def _marian(ref: str, asked: Asked) -> Engine:
    from translate.engines.marian import MarianEngine
    from translate.nmt.decoding import Decoding

    return MarianEngine(ref, (asked.src, asked.tgt), decoding=Decoding(beam=asked.beam or 4))


class ApertiumWay:
    """Apertium, if the system has it."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield it, with the reason where it does not know the pair."""
        from translate.engines.apertium import ApertiumEngine, apertium_pairs

        try:
            pairs = apertium_pairs()
        except EngineError as exc:
            yield Offer("apertium", "apertium", False, str(exc), _never)
            return
        if asked.langpair in pairs:
            said, knows = f"has {pairs[asked.langpair]}, rule-based, offline", True
        else:
            said, knows = f"translates {', '.join(sorted(pairs)) or 'nothing'}, not {asked.langpair}", False
        yield Offer("apertium", "apertium", knows, said, lambda: ApertiumEngine((asked.src, asked.tgt)))

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take its name."""
        return next(self.offers(asked)) if name == "apertium" else None


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
    from promptbank.backbone import open_backbone
    from promptbank.bank.desk import Desk
    from promptbank.translation.prompt_engine import PromptTranslator
    from store import open_store

    desk = Desk(
        open_store(asked.settings.db),
        open_backbone(asked.settings, asked.say),
        batch_tokens=asked.settings.batch_tokens,
    )
    return PromptTranslator(desk, name, (asked.src, asked.tgt))


class PlainWay:
    """Engines that translate nothing: what was recorded, and the copying floor that checks must tell apart."""

    def offers(self, asked: Asked) -> Iterator[Offer]:  # noqa: ARG002 - neither is ever chosen unasked
        """Yield nothing."""
        return iter(())

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take ``copy`` or ``recorded:FILE``."""
        from translate.engines import CopyEngine, load_recorded

        if name == "copy":
            return Offer(name, "copy", True, "copies", lambda: CopyEngine(asked.src, asked.tgt))
        if name.startswith("recorded:"):
            path = Path(name.removeprefix("recorded:"))
            return Offer(name, "recorded", True, "recorded", lambda: load_recorded(path, asked.src, asked.tgt))
        return None


WAYS: tuple[Way, ...] = (
    TranslatorWay(),
    MarianWay(),
    ShippedWay(),
    ApertiumWay(),
    TaskWay(),
    FolderWay(),
    PlainWay(),
    HubWay(),
)
"""All kinds, the preferred ones first: what was trained here, what comes along, what the system has."""


def _never() -> Engine:
    raise ConfigError("this engine is not available")
