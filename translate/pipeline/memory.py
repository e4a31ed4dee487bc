"""The translation memory: each segment is translated once per engine, in batches that are kept once they are done."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from translate.errors import EngineError
from translate.protocols import Engine, Hypothesis, Memory, Segment
from translate.records.layout import join_layout, split_layout

__all__ = [
    "DictMemory",
    "Step",
    "batches",
    "is_storable",
    "make_segment",
    "segment_key",
    "translate_plain",
    "translate_segments",
    "translate_texts",
]

_NOT_KEPT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Step:
    """Progress of an engine, in segments; ``recalled`` of the done ones came from the memory."""

    done: int
    total: int
    recalled: int


class DictMemory:
    """A memory that lives as long as the process."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Hypothesis] = {}

    def recall(self, engine_id: str, keys: Sequence[str]) -> dict[str, Hypothesis]:
        """Return what is known among the keys."""
        return {key: self._known[engine_id, key] for key in keys if (engine_id, key) in self._known}

    def remember(self, engine_id: str, found: Sequence[tuple[Segment, Hypothesis]]) -> None:
        """Keep translations."""
        self._known.update({(engine_id, segment.key): hypothesis for segment, hypothesis in found})


def segment_key(src: str, tgt: str, mode: str, text: str) -> str:
    """Return the sha256 of all that decides a translation but the engine, under whose id it is kept.

    The mode (see ``translate.checks.Mode``) counts, since an engine may read a text differently in two modes.
    """
    return hashlib.sha256(json.dumps([src, tgt, mode, text], ensure_ascii=False).encode()).hexdigest()


def make_segment(src: str, tgt: str, mode: str, text: str) -> Segment:
    """Return the segment of a text, with its key."""
    return Segment(segment_key(src, tgt, mode, text), src, tgt, text)


def batches(segments: Iterable[Segment], characters: int, at_once: int = 0) -> Iterator[list[Segment]]:
    """Cut distinct segments into batches of similar length, longest first, so that memory runs out at once or never.

    Args:
        segments: in any order, which does not matter; doubles count once.
        characters: most in a batch, counted as its longest text times its size; a longer text goes alone.
        at_once: most texts in a batch; 0 for any number.
    """
    distinct = {segment.key: segment for segment in segments}
    batch: list[Segment] = []
    for segment in sorted(distinct.values(), key=lambda s: (-len(s.text), s.key)):
        if batch and (len(batch) == at_once or len(batch[0].text) * (len(batch) + 1) > characters):
            yield batch
            batch = []
        batch.append(segment)
    if batch:
        yield batch


def translate_segments(
    engine: Engine,
    memory: Memory,
    segments: Iterable[Segment],
    *,
    characters: int = 2000,
    on_step: Callable[[Step], None] | None = None,
) -> dict[str, Hypothesis]:
    """Translate segments that the memory does not know; an empty one stays empty.

    Each batch (of so many ``characters``) is remembered at once, so a process that is killed loses at most one.

    Returns:
        Hypotheses by segment key.

    Raises:
        EngineError: the engine gave another number of translations than it was asked for.
    """
    given = {segment.key: segment for segment in segments}
    wanted = {key: segment for key, segment in given.items() if segment.text}
    info = engine.info()
    engine_id = info.engine_id
    found = memory.recall(engine_id, sorted(wanted))
    recalled = len(found)
    tell = on_step or (lambda _: None)
    tell(Step(recalled, len(wanted), recalled))
    # cut before the known ones are left out: a run that goes on has the very batches of one that was never killed,
    # and a model may answer a little differently among other neighbours
    for whole in batches(wanted.values(), characters, info.at_once):
        batch = [segment for segment in whole if segment.key not in found]
        if not batch:
            continue
        hypotheses = engine.translate(batch)
        if len(hypotheses) != len(batch):
            raise EngineError(f"engine {engine_id!r} gave {len(hypotheses)} translations for {len(batch)} segments")
        made = [(segment, _storable(hypothesis)) for segment, hypothesis in zip(batch, hypotheses, strict=True)]
        memory.remember(engine_id, made)
        found |= {segment.key: hypothesis for segment, hypothesis in made}
        tell(Step(len(found), len(wanted), recalled))
    return found | {key: Hypothesis("") for key in given.keys() - wanted.keys()}


def translate_texts(
    engine: Engine,
    memory: Memory,
    langpair: tuple[str, str],
    texts: Sequence[tuple[str, str]],
    *,
    characters: int = 2000,
    on_step: Callable[[Step], None] | None = None,
) -> list[Hypothesis]:
    """Translate texts, each given with its mode, in their order; one with lines or tabs is translated piece by piece.

    Layout stays (see `translate.records.layout`), other white space is made single spaces. The score of a text of
    several pieces is their mean, weighted by their length.

    Raises:
        EngineError: see `translate_segments`.
    """
    parts = [split_layout(text) for _, text in texts]
    wanted = [
        [make_segment(*langpair, mode, piece) for piece in one[1::2]]
        for (mode, _), one in zip(texts, parts, strict=True)
    ]
    segments = [segment for pieces in wanted for segment in pieces]
    found = translate_segments(engine, memory, segments, characters=characters, on_step=on_step)
    return [
        Hypothesis(
            join_layout(one, [" ".join(found[s.key].text.split()) for s in pieces]),
            _mean_score([(len(s.text), found[s.key].score) for s in pieces]),
        )
        for one, pieces in zip(parts, wanted, strict=True)
    ]


def translate_plain(
    engine: Engine,
    memory: Memory,
    langpair: tuple[str, str],
    texts: Sequence[str],
    *,
    characters: int = 2000,
    on_step: Callable[[Step], None] | None = None,
) -> list[str]:
    """Translate texts without spans, see `translate_texts`; an empty one stays."""
    plain = [("plain", text) for text in texts]
    found = translate_texts(engine, memory, langpair, plain, characters=characters, on_step=on_step)
    return [one.text for one in found]


def is_storable(text: str) -> bool:
    """Say whether a database keeps a text as it is."""
    return not _NOT_KEPT.search(text)


def _storable(hypothesis: Hypothesis) -> Hypothesis:
    """Put the replacement character, which a check flags, where a model wrote what no database keeps."""
    return replace(hypothesis, text=_NOT_KEPT.sub("\ufffd", hypothesis.text))


def _mean_score(scored: Sequence[tuple[int, float | None]]) -> float | None:
    """Return the mean of scores, given with weights; None if one is missing."""
    known = [(weight, score) for weight, score in scored if score is not None]
    if len(known) < len(scored):
        return None
    return known[0][1] if len(known) == 1 else sum(w * s for w, s in known) / (sum(w for w, _ in known) or 1)
