"""Score engines on evaluation sets, compared pair by pair with the first of them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptbank.bank.session import Bank
from promptbank.errors import ConfigError
from promptbank.files import write_text
from promptbank.mt.languages import Languages
from promptbank.mt.memory import BankMemory
from promptbank.mt.pair_files import read_pairs
from promptbank.mt.report_parts import engine_table
from promptbank.mt.status import TranslationStatus
from promptbank.mt.translation import TranslationRequest, load_engine
from promptbank.mt.translator.plan import EvalTexts
from promptbank.report.parts import Report
from promptbank.report.write import write_report
from tasks import counted
from translate.corpus.pairs import Pair
from translate.pipeline.memory import translate_plain
from translate.scoring.bootstrap import EngineScore, paired
from translate.scoring.bootstrap import EvalSet as Translations

__all__ = ["read_sets", "score_engines"]

HEADERS = frozenset(
    {"source", "target", "src", "tgt", "trg", "reference", "ref", "translation", "hypothesis", "original"}
    | {"text", "sentence1", "sentence2", "input", "output", "source_text", "target_text", "english", "swedish"}
)
"""What columns of pairs are called, beside the codes of their languages."""
MOST_SHOWN = 9


def read_sets(paths: Sequence[Path], langpair: str, rows: int | None) -> list[EvalTexts]:
    """Read the first rows of evaluation sets; a set is named as its file, up to the first dot.

    Raises:
        ConfigError: two sets have one name, or a set has a header or pairs without one of their texts.
        TranslateError: a file cannot be read.
    """
    named = Counter(path.name.partition(".")[0] for path in paths)
    if twice := [name for name, count in named.items() if count > 1]:
        raise ConfigError(f"several --set files are named {', '.join(twice)}; a set is named as its file: rename them")
    pair = Languages.parse(langpair)
    read = {path.name.partition(".")[0]: read_pairs(path, *pair) for path in paths}
    found = {name: [one for one in pairs if not one.fault][:rows] for name, pairs in read.items()}
    if faults := [f"{path}: {fault}" for path in paths for fault in _faults(found[path.name.partition(".")[0]], pair)]:
        raise ConfigError("; ".join(faults))
    return [EvalTexts(name, tuple(p.src for p in pairs), tuple(p.tgt for p in pairs)) for name, pairs in found.items()]


def _faults(pairs: Sequence[Pair], langpair: Languages) -> Iterator[str]:
    """Say what of a set is no pair of texts: a header, or a side without text."""
    first = [pairs[0].src.casefold(), pairs[0].tgt.casefold()] if pairs else ["", ""]
    names = HEADERS | {langpair.src.casefold(), langpair.tgt.casefold()}
    if set(first) <= names and first[0] != first[1]:
        yield f"its first pair, {pairs[0].src!r} and {pairs[0].tgt!r}, is a header; remove that line"
    for side, texts in (("source text", [p.src for p in pairs]), ("reference", [p.tgt for p in pairs])):
        if empty := [str(number) for number, text in enumerate(texts, 1) if not text]:
            shown = ", ".join(empty[:MOST_SHOWN]) + (", ..." if len(empty) > MOST_SHOWN else "")
            have = counted(len(empty), "pair has", "pairs have")
            yield f"{have} no {side} (pair {shown}); fill them in or remove them"


def score_engines(
    bank: Bank,
    request: TranslationRequest,
    engines: Sequence[str],
    sets: Sequence[Path],
    *,
    rows: int | None = None,
    out: Path | None = None,
) -> list[EngineScore]:
    """Translate evaluation sets with each engine and score them; what was translated once is not translated again.

    Args:
        bank: whose memory is used.
        request: languages, beam and characters.
        engines: the first one is what the others are compared with.
        sets: files of sentence pairs, of which the first ``rows`` are taken.
        rows: None for all.
        out: folder for the translations and a report.

    Raises:
        ConfigError: an engine or a set is named twice.
        EngineError: an engine cannot be had here.
    """
    if len(set(engines)) < len(engines):
        raise ConfigError(f"--engine names one engine twice: {', '.join(engines)}")
    chosen, memory = read_sets(sets, f"{request.src}-{request.tgt}", rows), BankMemory(bank.make())
    opened = {name: load_engine(name, request.for_engine(bank)) for name in engines}
    found = []
    for one in chosen:
        said = {}
        for name, engine in opened.items():
            status, pair = TranslationStatus(bank.display.count), (request.src, request.tgt)
            said[name] = translate_plain(engine, memory, pair, one.texts, on_step=status.on_step)
        found.append(Translations(one.name, one.references, said))
    scores = list(paired(found, baseline=engines[0]))
    if out:
        about = {f"engine {name}": engine.info().engine_id for name, engine in opened.items()}
        path = _write(out, found, scores, {**about, "beam": str(request.beam or "each engine's own")})
        bank.display.say(f"report: {path}")
    return scores


def _write(out: Path, found: Sequence[Translations], scores: Sequence[EngineScore], about: dict[str, str]) -> Path:
    """Write the translations, a line each, and the scores as a report; return the report's path."""
    out.mkdir(parents=True, exist_ok=True)
    for one in found:
        for engine, texts in one.hypotheses.items():
            name = f"{one.name}.{re.sub(r'[^A-Za-z0-9.-]+', '_', engine)}.txt"
            write_text(out / name, "".join(f"{text}\n" for text in texts))
    report = Report(
        "Engines on evaluation sets",
        "Corpus scores by sacrebleu; intervals and p by paired bootstrap resampling against the first engine.",
        {"sets": ", ".join(one.name for one in found), **about},
        [engine_table(scores)],
    )
    return write_report(report, out, "scores")[0]
