"""The engine of CTranslate2 directories: our own Marian in int8, OPUS-MT, Argos Translate.

Two kinds are told apart by their SentencePiece files: Marian's (`source.spm` and `target.spm`) and OpenNMT's
(`sentencepiece.model`, in the directory or beside its folder `model`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from promptbank.files import read_json
from promptbank.mt.marian.pieces import EOS, Pieces
from translate.engines.decoding import DecodingOptions, model_sha256, translate_in_batches
from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Markers, Segment

if TYPE_CHECKING:
    import ctranslate2

__all__ = ["Ct2Engine"]

VOCABULARIES = ("shared_vocabulary.json", "source_vocabulary.json", "shared_vocabulary.txt", "source_vocabulary.txt")
PATIENCE = 2.0
"""Finished hypotheses that a beam search waits for, in beams (Kasai et al. 2022, arXiv:2204.05424).

With the library's default of 1 a tiny model lost the best translation of 2 in 20 sentences; with 2 of none.
"""
BATCH_TOKENS = 500
"""Source tokens at once: 350 words a processor second with beam 4, 233 with 2,000 (6.6 M parameters, one thread)."""

SPM_FILES = (("source.spm", "target.spm"), ("sentencepiece.model", "sentencepiece.model"))


class Ct2Engine:
    """Translates with a CTranslate2 directory, on the processor.

    Args:
        folder: with model.bin, config.json and SentencePiece files, or an unpacked .argosmodel.
        langpair: source and target language.
        decoding: options of the search.
        code: first token of every text, such as ">>swe<<", for models of many target languages.
        compute_type: such as "int8" or "float32"; "default" is the directory's own.
        threads: of one translation; 0 for OMP_NUM_THREADS.

    Raises:
        EngineError: CTranslate2 is not installed, the directory cannot be used, or the model wants another code.
    """

    def __init__(
        self,
        folder: Path,
        langpair: tuple[str, str],
        *,
        decoding: DecodingOptions | None = None,
        code: str | None = None,
        compute_type: str = "default",
        threads: int = 0,
    ) -> None:
        kind = _kind(folder)
        self._pieces, self._start = kind.pieces, kind.pieces.start(code)
        self._end = [EOS] if kind.ends else []
        self._translator = _translator(kind.model, compute_type, threads)
        wanted = decoding or DecodingOptions()
        self._decoding = replace(wanted, longest_source=min(wanted.longest_source, kind.longest or sys.maxsize))
        digest = model_sha256(kind.files)
        options = f"{self._translator.compute_type},{self._decoding},patience={PATIENCE:g}{',' + code if code else ''}"
        markers: Markers = "trained" if kind.pieces.marked else "bracket"
        self._info = EngineInfo(f"ct2:{digest}:{options}", ("-".join(langpair),), markers)

    def info(self) -> EngineInfo:
        """Describe the engine; its id changes with the model's files and the options of the search."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments in batches of similar length; scores are mean log-probabilities a token.

        Raises:
            EngineError: a text is too long for the model.
        """
        texts = [segment.text for segment in segments]
        return translate_in_batches(texts, self.cut, self._decoding, self._search, batch_tokens=BATCH_TOKENS)

    def cut(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return [*self._start, *self._pieces.cut(text), *self._end]

    def decode(self, texts: list[list[str]], limit: int) -> list[tuple[list[str], float]]:
        """Return the best hypothesis of each text in tokens, with its mean log-probability a token.

        Raises:
            EngineError: the model cannot translate a text, such as one that is longer than its positions.
        """
        try:
            found = self._translator.translate_batch(
                texts,
                beam_size=self._decoding.beam,
                patience=PATIENCE,
                length_penalty=self._decoding.length_penalty,
                max_decoding_length=min(limit, self._decoding.longest_source),  # positions end there on both sides
                max_input_length=0,
                return_scores=True,
            )
        except RuntimeError as exc:
            longest = max(map(len, texts), default=0)
            raise EngineError(
                f"CTranslate2 cannot translate texts of up to {longest} discrete tokens: {exc}; split them"
            ) from exc
        power = self._decoding.length_penalty - 1  # a score is the sum of log-probabilities by length to the penalty
        best = ((one.hypotheses[0], one.scores[0]) for one in found)
        return [(pieces, float(score * (len(pieces) + 1) ** power)) for pieces, score in best]

    def _search(self, texts: list[list[str]], limit: int) -> list[Hypothesis]:
        return [Hypothesis(self._pieces.join(pieces), score) for pieces, score in self.decode(texts, limit)]


@dataclass(frozen=True)
class _Kind:
    """A directory: its model's folder, the files that decide translations, its pieces, whether texts end with ``</s>``,
    and the most tokens that it has positions for (None where it does not say).
    """

    model: Path
    files: tuple[Path, ...]
    pieces: Pieces
    ends: bool
    longest: int | None


def _kind(folder: Path) -> _Kind:
    model = folder / "model" if (folder / "model" / "model.bin").is_file() else folder
    words = next((model / name for name in VOCABULARIES if (model / name).is_file()), None)
    places = [(at / src, at / tgt) for src, tgt in SPM_FILES for at in (model, folder)]
    spm = next((pair for pair in places if all(file.is_file() for file in pair)), None)
    if not (model / "model.bin").is_file() or words is None:
        raise EngineError(f"{folder} is no CTranslate2 directory: it lacks model.bin or a vocabulary")
    if spm is None:
        raise EngineError(f"{folder} has neither source.spm and target.spm nor sentencepiece.model; put them beside it")
    try:
        config = read_json(model / "config.json")
        pieces = Pieces(spm[0].read_bytes(), spm[1].read_bytes(), _vocabulary(words))
        # CTranslate2 adds the end itself where the conversion says so; OpenNMT's models were trained without
        ends = spm[0].name == "source.spm" and not config.get("add_source_eos", False)
        pieces.cut("a")
    except (OSError, ValueError, RuntimeError, AttributeError) as exc:
        raise EngineError(f"the files of {folder} are damaged: {exc}") from exc
    return _Kind(model, tuple({model / "model.bin", model / "config.json", words, *spm}), pieces, ends, _longest(model))


def _longest(model: Path) -> int | None:
    """Return the most tokens by a model's tokenizer settings, as transformers writes them: one less than positions."""
    try:
        said = read_json(model / "tokenizer_config.json").get("model_max_length")
    except (OSError, ValueError, AttributeError):
        return None
    return max(1, said - 1) if isinstance(said, int) else None


def _vocabulary(path: Path) -> dict[str, int]:
    words = read_json(path) if path.suffix == ".json" else path.read_text(encoding="utf-8").split("\n")
    return {word: index for index, word in enumerate(words)}


def _translator(model: Path, compute_type: str, threads: int) -> ctranslate2.Translator:
    try:
        import ctranslate2
    except ImportError as exc:
        raise EngineError("CTranslate2 is not installed: `pip install ctranslate2`") from exc
    try:
        return ctranslate2.Translator(str(model), device="cpu", compute_type=compute_type, intra_threads=threads)
    except (RuntimeError, ValueError) as exc:
        raise EngineError(f"CTranslate2 cannot load {model}: {exc}") from exc
