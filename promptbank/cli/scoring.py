"""What ``mt score`` does, once its options are read: engines on evaluation sets, compared pair by pair."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from promptbank.cli.mt_progress import progress
from promptbank.cli.output import print_table, say
from promptbank.cli.session import opened_store
from promptbank.cli.translating import TranslateAsked, the_engine
from promptbank.cli.translators import read_sets
from promptbank.config import Settings
from promptbank.errors import ConfigError
from promptbank.files import write_text
from promptbank.mt.memory import BankMemory
from promptbank.mt.report_parts import engine_table
from promptbank.mt.translator.curve import EvalSet
from promptbank.report.parts import Report
from promptbank.report.write import write_report
from translate import Engine, Memory
from translate.pipeline.memory import translate_plain
from translate.scoring.bootstrap import EngineScore, paired
from translate.scoring.bootstrap import EvalSet as Translations

__all__ = ["score"]

COLUMNS = ("set", "engine", "metric", "rows", "score", "low", "high", "p", "signature")


def score(
    settings: Settings, asked: TranslateAsked, engines: Sequence[str], sets: Sequence[Path], rows: int | None,
    out: Path | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Translate evaluation sets with each engine and score them; the first engine is what others are compared with."""
    if len(set(engines)) < len(engines):
        raise ConfigError(f"--engine names one engine twice: {', '.join(engines)}")
    chosen = read_sets(sets, f"{asked.src}-{asked.tgt}", rows)
    with opened_store(settings) as store:
        memory = BankMemory(store)
        opened = {name: the_engine(settings, replace(asked, engine=name)) for name in engines}
        found = [
            Translations(one.name, one.references, {n: _texts(one, e, memory, asked) for n, e in opened.items()})
            for one in chosen
        ]
    scores = paired(found, baseline=engines[0])
    if out:
        ids = {f"engine {name}": engine.info().engine_id for name, engine in opened.items()}
        _write(out, found, scores, {**ids, "beam": asked.beam or "each engine's own"})
    print_table([_row(one) for one in scores], COLUMNS, as_json=as_json)


def _texts(chosen: EvalSet, engine: Engine, memory: Memory, asked: TranslateAsked) -> list[str]:
    with progress(None) as on_step:
        return translate_plain(engine, memory, (asked.src, asked.tgt), chosen.texts, on_step=on_step)


def _row(one: EngineScore) -> dict[str, object]:
    plain: dict[str, object] = {
        key: round(value, 2) if isinstance(value, float) else value for key, value in one.as_dict().items()
    }
    return {"set": plain.pop("set_name"), **plain, "p": one.p}


def _write(
    out: Path, found: Sequence[Translations], scores: Sequence[EngineScore], searched: Mapping[str, object]
) -> None:
    """Write the translations, a line each, and the table as a report that says how they were searched for."""
    out.mkdir(parents=True, exist_ok=True)
    for one in found:
        for engine, texts in one.hypotheses.items():
            name = f"{one.name}.{re.sub(r'[^A-Za-z0-9.-]+', '_', engine)}.txt"
            write_text(out / name, "".join(f"{text}\n" for text in texts))
    report = Report(
        "Engines on evaluation sets",
        "Corpus scores by sacrebleu; intervals and p by paired bootstrap resampling against the first engine.",
        {"sets": ", ".join(one.name for one in found), **searched},
        [engine_table(scores)],
    )
    say(f"report: {write_report(report, out, 'scores')[0]}")
