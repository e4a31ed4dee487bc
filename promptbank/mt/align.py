"""The word aligner of a run: eflomal with the corpus of the language pair."""

from importlib.util import find_spec
from pathlib import Path

from promptbank.config import Settings
from promptbank.errors import ConfigError
from translate import Aligner, Memory
from translate.corpus.folder import read_corpus, read_manifest
from translate.pipeline.alignment import EflomalAligner, RememberedAligner

__all__ = ["chosen_aligner"]


def chosen_aligner(name: str, settings: Settings, memory: Memory, src: str, tgt: str) -> Aligner | None:
    """Return the aligner of a corpus below ``<home>/mt``; None for "none".

    "auto" takes the corpus of the pair, and None where it or eflomal is missing. The memory keeps links, since eflomal
    gives others each time.

    Raises:
        ConfigError: a corpus was named that is not there, or eflomal is not installed.
    """
    corpus = settings.home / "mt" / (f"{src}-{tgt}" if name == "auto" else name) / "corpus"
    missing = [] if (corpus / "manifest.json").is_file() else [f"no corpus {corpus}"]
    missing += [] if find_spec("eflomal") else ["eflomal is not installed: pip install 'promptbank[align]'"]
    if name == "none" or (name == "auto" and missing):
        return None
    if missing:
        raise ConfigError(f"--align {name}: {'; '.join(missing)}")
    return _remembered(corpus, memory, (src, tgt))


def _remembered(corpus: Path, memory: Memory, langpair: tuple[str, str]) -> Aligner:
    digest = read_manifest(corpus)["sha256"]["train"]
    pairs = [(pair.src, pair.tgt) for pair in read_corpus(corpus, "train")]
    return RememberedAligner(EflomalAligner(pairs), memory, f"eflomal:{digest}", langpair)
