"""The engine of recorded translations, read from JSON lines; for tests and comparisons."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Markers, Segment

__all__ = ["RecordedEngine", "load_recorded"]


@dataclass(frozen=True)
class RecordedEngine:
    """Translates only what was recorded.

    Attributes:
        name: of the engine that was recorded.
        src: language of the texts.
        tgt: language of the translations.
        known: text as it is sent (marks included) -> translation.
        markers: how spans were marked when it was recorded.
        rewrites: whether rewritten texts were recorded too.
    """

    name: str
    src: str
    tgt: str
    known: Mapping[str, Hypothesis]
    markers: Markers = "bracket"
    rewrites: bool = False

    def info(self) -> EngineInfo:
        """Describe the engine; its id changes with any recorded translation."""
        content = sorted((text, found.text, found.score) for text, found in self.known.items())
        digest = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
        return EngineInfo(
            f"recorded:{self.name}:{digest[:16]}",
            (f"{self.src}-{self.tgt}",),
            self.markers,
            rewrites=self.rewrites,
        )

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Return the recorded translation of each segment.

        Raises:
            EngineError: a text was not recorded.
        """
        missing = [segment.text for segment in segments if segment.text not in self.known]
        if missing:
            said = f"{len(missing)} of {len(segments)} texts were never recorded, the first is {missing[0]!r}"
            raise EngineError(f"engine recorded:{self.name}: {said}")
        return [self.known[segment.text] for segment in segments]


def load_recorded(path: Path, src: str, tgt: str, markers: Markers = "bracket") -> RecordedEngine:
    """Load recorded translations: one object a line with "source", "target" and, if there is one, "score".

    Raises:
        EngineError: the file cannot be read, or a line is no such object.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # not splitlines: U+2028 may stand inside a string
    except (OSError, UnicodeDecodeError) as exc:
        raise EngineError(f"{path} cannot be read: {exc}") from exc
    return RecordedEngine(path.stem, src, tgt, dict(_read(lines, path)), markers)


def _read(lines: Iterable[str], path: Path) -> Iterable[tuple[str, Hypothesis]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            source, target, score = row["source"], row["target"], row.get("score")
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise EngineError(f'{path} line {number} is no object with "source" and "target"') from exc
        if not (_is_text(source) and _is_text(target)):
            raise EngineError(f'{path} line {number}: "source" and "target" must be texts without lone surrogates')
        if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
            raise EngineError(f'{path} line {number}: "score" is {score!r}; it must be a number, or be left out')
        yield source, Hypothesis(target, None if score is None else float(score))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
