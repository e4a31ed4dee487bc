"""Engines compared without references: random sentences, how alike the translations are, and which to look at.

A person reads the sentences that engines differ on, instead of random ones.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptbank.bank.session import Bank
from promptbank.errors import ConfigError
from promptbank.files import write_text
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import offers
from promptbank.mt.languages import Languages
from promptbank.mt.memory import BankMemory
from promptbank.mt.pair_files import read_pairs
from promptbank.mt.status import TranslationStatus
from promptbank.mt.translation import TranslationRequest, load_engine
from promptbank.report.parts import Cell, Report, Table
from promptbank.report.write import write_report
from translate.pipeline.memory import translate_plain
from translate.records.record import tidy_text
from translate.scoring.agreement import (
    EngineAgreement,
    SentenceAgreement,
    agreements,
    engine_agreements,
    pair_agreements,
)

__all__ = ["EngineComparison", "compare_engines"]

MOST_SHOWN = 50
"""Sentences in the report; ``sentences.jsonl`` has all."""


@dataclass(frozen=True)
class EngineComparison:
    """What was compared: figures by engine, and the sentences, those that the engines differ most on first."""

    engines: Sequence[EngineAgreement]
    sentences: Sequence[SentenceAgreement]


def compare_engines(
    bank: Bank,
    request: TranslationRequest,
    names: Sequence[str],
    path: Path,
    *,
    count: int,
    seed: int,
    out: Path | None = None,
) -> EngineComparison:
    """Translate random sentences of a file with each engine and compare what they make of them.

    Args:
        bank: whose memory is used.
        request: languages and beam.
        names: engines, two or more; all that run here if there are none.
        path: pairs in any format of a corpus, or a ``.txt`` file with a sentence a line.
        count: sentences to draw.
        seed: of the draw.
        out: folder for the report and ``sentences.jsonl``.

    Raises:
        ConfigError: there are not two engines, or no sentences.
        EngineError: an engine cannot be had here.
    """
    wanted = request.for_engine(bank)
    chosen = list(dict.fromkeys(names)) or _at_hand(wanted)
    if len(chosen) < 2:
        raise ConfigError(
            f"--engine names {', '.join(chosen) or 'none'}; give two or more, see `promptbank mt engines`"
        )
    langpair = (request.src, request.tgt)
    drawn = _drawn(_read(path, Languages(*langpair)), count, seed)
    if not drawn:
        raise ConfigError(f"{path} has no sentences to compare engines on")
    sources, memory, texts = [source for source, _ in drawn], BankMemory(bank.make()), dict[str, Sequence[str]]()
    for name in chosen:
        status = TranslationStatus(bank.display.count)
        engine = load_engine(name, wanted)
        texts[_shown(name, chosen)] = translate_plain(engine, memory, langpair, sources, on_step=status.on_step)
    references = [reference for _, reference in drawn if reference is not None]
    sentences = agreements(sources, references or None, texts, langpair)
    compared = EngineComparison(engine_agreements(sentences), sentences)
    if out:
        bank.display.say(f"report: {_write(out, compared, {'set': path.name, 'seed': str(seed)})}")
    return compared


def _at_hand(request: EngineRequest) -> list[str]:
    return [offer.engine for offer in offers(request) if offer.available]


def _shown(name: str, names: Sequence[str]) -> str:
    """Return the end of a path that names an engine, if no other engine's is the same."""
    ends = [one.rpartition("/")[2].rpartition(",")[2] for one in names]
    end = ends[names.index(name)]
    return end if ends.count(end) == 1 else name


def _read(path: Path, languages: Languages) -> list[tuple[str, str | None]]:
    """Return sentences with their references; None for those of a text file."""
    if path.suffix != ".txt":
        return [(pair.src, pair.tgt) for pair in read_pairs(path, *languages) if not pair.fault and pair.src]
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {exc}") from exc
    return [(text, None) for line in lines if (text := tidy_text(line))]


def _drawn(sentences: Sequence[tuple[str, str | None]], count: int, seed: int) -> list[tuple[str, str | None]]:
    """Draw sentences by a hash of each and the seed, whatever their order in the file; each text once."""

    def rank(one: tuple[str, str | None]) -> bytes:
        return hashlib.sha256(f"{seed}\0{one[0]}".encode()).digest()

    return sorted({source: (source, reference) for source, reference in reversed(sentences)}.values(), key=rank)[:count]


def _write(out: Path, compared: EngineComparison, about: Mapping[str, str]) -> Path:
    """Write the report and all sentences; return the report's path."""
    out.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({**vars(one), "mean": one.mean}, ensure_ascii=False) for one in compared.sentences)
    write_text(out / "sentences.jsonl", "".join(f"{line}\n" for line in lines))
    report = Report(
        "Engines compared by agreement",
        "Random sentences, translated by each engine. Agreement is the mean chrF of a translation with the others'.",
        {"sentences": str(len(compared.sentences)), **about},
        [_engine_table(compared.engines), _pair_table(compared.sentences), _sentence_table(compared.sentences)],
    )
    return write_report(report, out, "report")[0]


def _engine_table(engines: Sequence[EngineAgreement]) -> Table:
    rows: list[list[Cell]] = [
        [e.engine, e.alike, e.flagged.value, e.chrf, e.correlation, e.found.value if e.found else None] for e in engines
    ]
    columns = ["engine", "agreement", "share flagged", "chrF", "correlation", "worst tenth found"]
    note = (
        "chrF: mean over the sentences, with the references. Correlation of agreement and chrF. Worst tenth found: of "
        "the tenth with the lowest chrF, the share among the tenth that is least agreed on; 0.1 by chance."
    )
    return Table("Engines", columns, rows, note)


def _pair_table(sentences: Sequence[SentenceAgreement]) -> Table:
    found = pair_agreements(sentences)
    return Table(
        "Two by two", ["engine", "other engine", "mean chrF"], [[*names, mean] for names, mean in found.items()]
    )


def _sentence_table(sentences: Sequence[SentenceAgreement]) -> Table:
    rows: list[list[Cell]] = [
        [s.number, s.mean, s.outlier, s.source, "\n".join(f"{engine}: {_said(s, engine)}" for engine in s.texts)]
        for s in sentences[:MOST_SHOWN]
    ]
    note = f"The {len(rows)} that the engines differ most on; all are in sentences.jsonl. In brackets: what checks say."
    return Table("Sentences to look at", ["drawn as", "agreement", "outlier", "source", "translations"], rows, note)


def _said(sentence: SentenceAgreement, engine: str) -> str:
    flags = f" [{', '.join(sentence.flags[engine])}]" if sentence.flags[engine] else ""
    return f"{sentence.texts[engine]}{flags}"
