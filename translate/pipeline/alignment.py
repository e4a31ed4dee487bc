"""Word alignment by eflomal (Östling & Tiedemann 2016), an optional extra: which words translate each other.

Measured on 2,698 MASSIVE slots with human Swedish: 90.7 % of the spans exact, 98.8 % overlapping, when 82,000 pairs are
aligned along with them (31 s on one core).
"""

import io
import json
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from translate.errors import AlignError
from translate.pipeline.memory import make_segment
from translate.protocols import Aligner, Hypothesis, Memory

__all__ = ["EflomalAligner", "RememberedAligner", "links_of"]


class EflomalAligner:
    """Aligns pairs together with a corpus of the language pair, a few thousand pairs at least; satisfies ``Aligner``.

    The sampler has no seed, so two runs may differ in a few links.
    """

    def __init__(self, corpus: Sequence[tuple[str, str]] = ()) -> None:
        self._corpus = tuple(corpus)

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        """Return the union of both directions' links for each pair, as numbers of space-separated words.

        Raises:
            AlignError: eflomal is not installed.
        """
        try:
            aligner = import_module("eflomal").Aligner()  # an optional extra, loaded only here
        except ImportError as exc:
            needs = "word alignment needs the package eflomal: pip install 'promptbank[align]'"
            raise AlignError(needs) from exc
        if not pairs:
            return []
        both = [*self._corpus, *pairs]
        with tempfile.TemporaryDirectory() as folder:
            forward, back = Path(folder, "forward"), Path(folder, "back")
            sides = (io.StringIO("".join(f"{_line(pair[side])}\n" for pair in both)) for side in (0, 1))
            aligner.align(*sides, links_filename_fwd=str(forward), links_filename_rev=str(back))
            lines = zip(*(path.read_text().split("\n")[len(self._corpus) :] for path in (forward, back)), strict=True)
            return [sorted({*links_of(f), *links_of(b)}) for (f, b), _ in zip(lines, pairs, strict=False)]


class RememberedAligner:
    """Keeps links in a memory, so that a second run has the very same ones; satisfies ``Aligner``.

    Args:
        aligner: asked for what is not known.
        memory: of segments; the links of a pair are kept as the translation of its two texts.
        name: of the aligner and its corpus; kept as an engine's id.
        langpair: source and target language.
    """

    def __init__(self, aligner: Aligner, memory: Memory, name: str, langpair: tuple[str, str]) -> None:
        self._aligner, self._memory, self._name, self._langpair = aligner, memory, name, langpair

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        """Return the links of each pair, from the memory where it has them."""
        segments = [make_segment(*self._langpair, "links", json.dumps(pair, ensure_ascii=False)) for pair in pairs]
        known = self._memory.recall(self._name, [segment.key for segment in segments])
        missing = {s.key: (s, pair) for s, pair in zip(segments, pairs, strict=True) if s.key not in known}
        links = self._aligner.align([pair for _, pair in missing.values()])
        texts = [" ".join(f"{i}-{j}" for i, j in found) for found in links]
        made = [(s, Hypothesis(text)) for (s, _), text in zip(missing.values(), texts, strict=True)]
        if made:
            self._memory.remember(self._name, made)
        known |= {segment.key: hypothesis for segment, hypothesis in made}
        return [links_of(known[segment.key].text) for segment in segments]


def links_of(line: str) -> list[tuple[int, int]]:
    """Read a line of links in Pharaoh's format.

    >>> links_of("0-0 1-2")
    [(0, 0), (1, 2)]
    """
    return [(int(i), int(j)) for i, _, j in (link.partition("-") for link in line.split())]


def _line(text: str) -> str:
    """Return a text as one line of words, never empty: eflomal counts lines."""
    return " ".join(text.casefold().split()) or "-"
