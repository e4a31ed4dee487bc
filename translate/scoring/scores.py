"""Scores of translations against references, by sacrebleu with its signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

__all__ = ["CorpusScore", "score_texts"]


@dataclass(frozen=True)
class CorpusScore:
    """Corpus scores from 0 to 100, with what makes them comparable.

    Attributes:
        chrf2: chrF with beta 2.
        bleu: BLEU.
        rows: sentences.
        chrf2_signature: of sacrebleu.
        bleu_signature: of sacrebleu.
    """

    chrf2: float
    bleu: float
    rows: int
    chrf2_signature: str
    bleu_signature: str

    def as_dict(self) -> dict[str, Any]:
        """Return a plain mapping, scores to two decimals."""
        return {**asdict(self), "chrf2": round(self.chrf2, 2), "bleu": round(self.bleu, 2)}


def score_texts(hypotheses: Sequence[str], references: Sequence[str]) -> CorpusScore:
    """Score translations.

    Args:
        hypotheses: one for each reference.
        references: human translations.
    """
    chrf, bleu = CHRF(), BLEU()
    first = chrf.corpus_score(list(hypotheses), [list(references)])
    second = bleu.corpus_score(list(hypotheses), [list(references)])
    return CorpusScore(first.score, second.score, len(hypotheses), str(chrf.get_signature()), str(bleu.get_signature()))
