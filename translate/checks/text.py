"""Checks of the text alone: empty, copied, too long, in another language, repeated, with marks left in it."""

import math
import re
from collections.abc import Iterator
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier
from sacrebleu.metrics.chrf import CHRF

from translate.checks.base import Draft, Flag, raises
from translate.records.protect import title_cased, words_left

__all__ = ["chrf", "copied", "debris", "empty", "language", "length", "repetition"]

_ENTITY = r"&(?:quot|apos|amp|lt|gt|nbsp|#\d+|#[xX][\da-fA-F]+);"
_DEBRIS = re.compile(rf"<unk>|\u2047|\ufffd|</?s\d*>|<pad>|(?<!\w)X\d+(?!\w)|[\[\]]|{_ENTITY}")
_REPEATED = re.compile(r"(?<!\w)(\w+(?: \w+){0,3}?)(?:[ ,]+\1){2,}(?!\w)", re.IGNORECASE)


def chrf(hypothesis: str, reference: str) -> float:
    """Return the sentence chrF2 of two texts, 0 to 100."""
    return float(_CHRF.sentence_score(hypothesis, [reference]).score)


_CHRF = CHRF()


@raises("empty")
def empty(draft: Draft) -> Iterator[Flag]:
    """Flag an empty translation of a text that is not."""
    if draft.source.text.strip() and not draft.text.strip():
        yield Flag("empty", "drop", "the translation is empty")


@raises("copy", "left_words")
def copied(draft: Draft) -> Iterator[Flag]:
    """Flag a copy of the source by chrF, and untranslated words by their share."""
    if len(draft.source.text.split()) < draft.limits.copy_words or not draft.text.strip():
        return
    alike = chrf(draft.text, draft.source.text)
    if alike > draft.limits.copy_chrf:
        yield Flag("copy", "review", f"chrF {alike:.0f} between source and translation", alike)
    found = words_left(draft.source.text, draft.text, draft.source.protected)
    if not title_cased(draft.source.text):
        found = [(word, kept) for word, kept in found if word.islower()]  # the others may be names
    left = [word for word, kept in found if kept]
    if len(left) >= 2 and len(left) / len(found) >= draft.limits.left_share:
        yield Flag("left_words", "warn", f"words of the source: {', '.join(left)}", len(left) / len(found))


@raises("length")
def length(draft: Draft) -> Iterator[Flag]:
    """Flag a ratio of lengths far from the language pair's."""
    if not draft.text.strip() or not draft.source.text.strip():
        return
    ratio = math.log(len(draft.text) / len(draft.source.text))
    z = (ratio - draft.limits.length_mean) / draft.limits.length_sd
    if abs(z) > draft.limits.length_z:
        said = f"{len(draft.text)} characters for {len(draft.source.text)}, {z:+.1f} standard deviations"
        yield Flag("length", "review", said, z)


@raises("language", "language_unchecked")
def language(draft: Draft) -> Iterator[Flag]:
    """Flag a translation identified as the source language; say so where the identifier does not know one."""
    if len(draft.text.split()) < draft.limits.lang_words:
        return
    identifier = _identifier(draft.src, draft.tgt)
    if identifier is None:
        said = f"the language identifier does not know {draft.src} and {draft.tgt}"
        yield Flag("language_unchecked", "info", said)
    elif (found := identifier.classify(draft.text)[0]) != draft.tgt:
        yield Flag("language", "review", f"looks like {found}, not {draft.tgt}")


@raises("repetition")
def repetition(draft: Draft) -> Iterator[Flag]:
    """Flag up to four words said three times in a row (an engine that got stuck), unless the source does the same."""
    found = _REPEATED.search(draft.text)
    if found and not _REPEATED.search(draft.source.text):
        yield Flag("repetition", "review", f"{found[1]!r} is repeated")


@raises("debris")
def debris(draft: Draft) -> Iterator[Flag]:
    """Flag marks, placeholders, HTML entities and unknown-word signs that the source does not have."""
    left = [one for one in _DEBRIS.findall(draft.text) if one not in draft.source.text]
    if left:
        yield Flag("debris", "review", f"left in the text: {' '.join(left)}")


@cache
def _identifier(src: str, tgt: str) -> LanguageIdentifier | None:
    """Return an identifier that tells two languages apart; made once, for it takes 0.2 s to load."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if src == tgt or not {src, tgt} <= set(identifier.nb_classes):
        return None
    identifier.set_languages([src, tgt])
    return identifier
