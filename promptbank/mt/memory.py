"""The bank's database as the store of `translate`'s translations and people's decisions."""

from collections.abc import Sequence

from store import Store, StoredSegment
from translate import Hypothesis, Segment
from translate.pipeline.translated import Override
from translate.review.lines import dump_overrides, parse_overrides

__all__ = ["BankMemory", "apply_overrides", "kept_overrides"]


class BankMemory:
    """Keeps translations in the bank; satisfies ``translate.Memory``."""

    def __init__(self, store: Store) -> None:
        self._segments = store.segments

    def recall(self, engine_id: str, keys: Sequence[str]) -> dict[str, Hypothesis]:
        """Return what is known among the keys."""
        found = self._segments.recall(engine_id, keys)
        return {key: Hypothesis(known.target_text, known.score) for key, known in found.items()}

    def remember(self, engine_id: str, found: Sequence[tuple[Segment, Hypothesis]]) -> None:
        """Keep translations, in one transaction."""
        rows = [
            StoredSegment(s.key, s.src, s.tgt, s.text, hypothesis.text, hypothesis.score) for s, hypothesis in found
        ]
        self._segments.remember(engine_id, rows)


def kept_overrides(store: Store, src: str, tgt: str) -> dict[str, Override]:
    """Return what people decided about sources of a language pair and did not take back, by source hash."""
    lines = store.overrides.list(src, tgt).values()
    found = parse_overrides("\n".join(lines), f"the bank's decisions for {src}-{tgt}")
    return {key: override for key, override in found.items() if not override.withdrawn}


def apply_overrides(store: Store, src: str, tgt: str, overrides: dict[str, Override]) -> None:
    """Keep people's decisions; a later one about the same source replaces an earlier one."""
    lines = {key: dump_overrides({key: override}).strip() for key, override in overrides.items()}
    store.overrides.apply(src, tgt, lines)
