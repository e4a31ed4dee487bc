"""The engine of Marian models in transformers: our own, OPUS-MT, any Hugging Face Marian folder or repository.

The same models run several times faster in CTranslate2 (`promptbank.mt.engines.ct2`); this one needs no conversion.
"""

from collections.abc import Sequence
from dataclasses import replace

from promptbank.mt.marian.hub import resolve_marian
from promptbank.mt.marian.pieces import PIECE_FILES, load_pieces
from translate.engines.decoding import DecodingOptions, model_sha256, translate_in_batches
from translate.protocols import EngineInfo, Hypothesis, Segment

__all__ = ["MarianEngine"]

MODEL_FILES = ("config.json", "model.safetensors", *PIECE_FILES)


class MarianEngine:
    """Translates with a Marian, in float32.

    Args:
        ref: a folder, or a repository of the hub: "owner/name" or "owner/name@revision".
        langpair: source and target language.
        decoding: options of the search.
        code: first token of every text, such as ">>swe<<", for models of many target languages.

    Raises:
        EngineError: the model is not there, cannot be loaded, or wants another code.
    """

    def __init__(
        self, ref: str, langpair: tuple[str, str], *, decoding: DecodingOptions | None = None, code: str | None = None
    ) -> None:
        from promptbank.mt.marian.model import load_marian

        folder = resolve_marian(ref)
        self._pieces, self._model = load_pieces(folder), load_marian(folder)
        wanted, positions = decoding or DecodingOptions(), int(self._model.config.max_position_embeddings)
        self._decoding = replace(wanted, longest_source=min(wanted.longest_source, positions - 1))
        self._start = [self._pieces.vocabulary[piece] for piece in self._pieces.start(code)]
        digest = model_sha256(folder / name for name in MODEL_FILES)
        self._info = EngineInfo(
            f"marian:{digest}:float32,{self._decoding}{',' + code if code else ''}",
            ("-".join(langpair),),
            "trained" if self._pieces.marked else "bracket",
        )

    def info(self) -> EngineInfo:
        """Describe the engine; its id changes with the model's files and the options of the search."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments in batches of similar length; scores are mean log-probabilities a token.

        Raises:
            EngineError: a text is too long for the model.
        """
        return translate_in_batches([segment.text for segment in segments], self._cut, self._decoding, self._search)

    def _cut(self, text: str) -> list[int]:
        return [*self._start, *self._pieces.ids(text)]

    def _search(self, texts: list[list[int]], limit: int) -> list[Hypothesis]:
        from promptbank.mt.marian.search import search

        options = self._decoding
        found = search(self._model, texts, limit, beam=options.beam, length_penalty=options.length_penalty)
        return [Hypothesis(self._pieces.text(ids), score) for ids, score in found]
