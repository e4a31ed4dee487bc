"""Providers of trained models: tuned backbones, Marian and CTranslate2 folders, models of the hub, tasks of the bank.

Torch is imported only when an engine is opened, or its backbone must be compared.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path

from promptbank.errors import TrainingError
from promptbank.files import read_json
from promptbank.mt.engines.provider import EngineOffer, EngineProvider, EngineRequest
from translate import Engine
from translate.engines.decoding import DecodingOptions

__all__ = [
    "FolderProvider",
    "HubProvider",
    "MarianProvider",
    "ShippedProvider",
    "TaskProvider",
    "TranslatorProvider",
    "translator_folder",
]

BEAM = 4
"""Default beam: chrF2 of 100 FLORES sentences is 47.0, 47.5 and 49.9 with 1, 2 and 4; 4 takes thrice as long as 1."""
SHIPPED = Path(str(files("translate"))) / "models"
"""A folder for each translator that comes along, named as its language pair."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


class TranslatorProvider(EngineProvider):
    """Translators tuned on the backbone by `promptbank mt train --arch backbone`."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:
        """Yield those of the home, the newest first."""
        for model in _newest_first(request, "translator.json"):
            offer = _tuned(model.parent.name, model, "trained here", request)
            for fitting in _of_the_pair(offer, partial(_tuned_langpair, model), request):
                yield _on_its_backbone(fitting, model, request) if fitting.available else fitting

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take a folder's path, or the name of one in the home."""
        folder = _own_folder(name, request.settings.home)
        return _tuned(name, folder, "named", request) if folder else None


class ShippedProvider(EngineProvider):
    """Packed translators that come with promptbank, in ``translate/models``."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:
        """Yield the pair's, if there is one; its name is the pair."""
        folder = SHIPPED / request.langpair
        if (folder / "translator.json").is_file():
            yield _tuned(request.langpair, folder, "comes with promptbank", request)


class MarianProvider(EngineProvider):
    """Marian models made by `promptbank mt train --arch marian`, run by CTranslate2 where they were converted."""

    def offers(self, request: EngineRequest) -> Iterator[EngineOffer]:
        """Yield the newest first."""
        for model in _newest_first(request, "tokenizer_config.json"):
            name, ct2 = model.parent.name, model.parent / "ct2"
            if ct2.is_dir():
                offer = _ct2(name, ct2, "trained here, int8, offline", request)
            else:
                offer = _marian(name, str(model), "trained here, offline", request)
            yield from _of_the_pair(offer, partial(_marian_langpair, model), request)


class FolderProvider(EngineProvider):
    """CTranslate2 folders (OPUS-MT, Argos) and Marian folders, only by path: they do not say what they translate."""

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take a folder."""
        folder = Path(name)
        if not folder.is_dir():
            return None
        if any(folder.rglob("model.bin")):
            return _ct2(name, folder, "a CTranslate2 folder", request)
        return _marian(name, name, "a Marian folder", request)


class HubProvider(EngineProvider):
    """Marian models of the Hugging Face hub, only by id: nothing is fetched unasked."""

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take ``owner/name`` or ``owner/name@revision``."""
        return _marian(name, name, "a model of the hub", request) if HUB_ID.fullmatch(name) else None


class TaskProvider(EngineProvider):
    """Frozen tasks of the bank that answer a text with its translation, only by name."""

    def named(self, name: str, request: EngineRequest) -> EngineOffer | None:
        """Take ``task:taskname[:lang][@version]``."""
        if not name.startswith("task:"):
            return None
        task = name.removeprefix("task:")
        return EngineOffer(name, "task", "a prompt of the bank", partial(_open_task, task, request))


def translator_folder(name: str, home: Path) -> Path | None:
    """Return the folder of a backbone's translator: by path, by its name in the home, or one that comes along.

    Args:
        name: such as "en-is-lora", or "en-sv".
        home: folder of the bank.

    Returns:
        The folder; None if there is none.
    """
    shipped = SHIPPED / name
    return _own_folder(name, home) or (shipped if (shipped / "translator.json").is_file() else None)


def _own_folder(name: str, home: Path) -> Path | None:
    """Return the folder of a backbone's translator, given by path or by its name in the home; None if there is none."""
    places = (Path(name), Path(name) / "model", home / "mt" / name / "model")
    return next((place for place in places if (place / "translator.json").is_file()), None)


def _newest_first(request: EngineRequest, marker: str) -> list[Path]:
    """Return the model folders of the home that hold a file of a name."""
    found = (request.settings.home / "mt").glob(f"*/model/{marker}")
    return [path.parent for path in sorted(found, key=lambda path: -path.stat().st_mtime)]


def _of_the_pair(offer: EngineOffer, langpair: Callable[[], str], request: EngineRequest) -> Iterator[EngineOffer]:
    """Yield an offer if its model translates the pair; a model that cannot be read is told, and keeps none away."""
    try:
        found = langpair()
    except (TrainingError, OSError, ValueError) as exc:
        yield EngineOffer(offer.engine, offer.kind, f"damaged: {exc}")
    else:
        yield from [offer] if found == request.langpair else []


def _on_its_backbone(offer: EngineOffer, folder: Path, request: EngineRequest) -> EngineOffer:
    """Return the offer, or an unavailable one where another backbone than the model's would be loaded.

    A translator that is named is loaded all the same, and the error says which backbone it wants.
    """
    from promptbank.mt.translator.model import misfit

    why = misfit(folder, request.settings)
    return offer if why is None else EngineOffer(offer.engine, offer.kind, why)


def _tuned_langpair(folder: Path) -> str:
    from promptbank.mt.translator.model import langpair_of

    return langpair_of(folder)


def _marian_langpair(folder: Path) -> str:
    facts = read_json(folder / "tokenizer_config.json")
    return f"{facts.get('source_lang')}-{facts.get('target_lang')}"


def _tuned(name: str, folder: Path, why: str, request: EngineRequest) -> EngineOffer:
    why = f"{why}, runs on the backbone offline"
    return EngineOffer(name, "backbone", why, partial(_open_tuned, folder, request))


def _ct2(name: str, folder: Path, why: str, request: EngineRequest) -> EngineOffer:
    return EngineOffer(name, "ctranslate2", why, partial(_open_ct2, folder, request))


def _marian(name: str, ref: str, why: str, request: EngineRequest) -> EngineOffer:
    return EngineOffer(name, "marian", why, partial(_open_marian, ref, request))


def _open_tuned(folder: Path, request: EngineRequest) -> Engine:
    import torch

    from promptbank.engine.decoding import BeamSearch
    from promptbank.model.backbone import open_backbone
    from promptbank.mt.engines.backbone import open_engine as open_translator
    from promptbank.mt.translator.model import with_backbone_of
    from promptbank.training.precision import cpu_has_bfloat16

    backbone = open_backbone(with_backbone_of(folder, request.settings), request.say)
    dtype = torch.bfloat16 if cpu_has_bfloat16() else torch.float32  # 46 words a processor second against 23
    return open_translator(folder, backbone, search=BeamSearch(beam=request.beam or BEAM), dtype=dtype)


def _open_ct2(folder: Path, request: EngineRequest) -> Engine:
    from promptbank.mt.engines.ct2 import Ct2Engine

    decoding = DecodingOptions(beam=request.beam or BEAM)
    return Ct2Engine(folder, request.pair, decoding=decoding, threads=request.settings.threads)


def _open_marian(ref: str, request: EngineRequest) -> Engine:
    from promptbank.mt.engines.marian import MarianEngine

    return MarianEngine(ref, request.pair, decoding=DecodingOptions(beam=request.beam or BEAM))


def _open_task(name: str, request: EngineRequest) -> Engine:
    from promptbank.bank.task_server import TaskServer
    from promptbank.model.backbone import open_backbone
    from promptbank.mt.engines.prompt import PromptTranslator
    from store import open_store

    settings = request.settings
    backbone = open_backbone(settings, request.say)
    server = TaskServer(open_store(settings.db, create=False), backbone, batch_tokens=settings.batch_tokens)
    return PromptTranslator(server, name, request.pair)
