"""The report of a translation: what became of rows, labels and texts, beside what engines are worth.

It holds figures alone, so that it can be published where the texts may not; samples add texts for the reader at home.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from promptbank.mt.compare_engines import Beside, engines_beside, engines_scored
from promptbank.mt.report_parts import (
    beside_table,
    engine_table,
    flag_plots,
    flag_tables,
    label_plots,
    label_tables,
    length_tables,
    reference_tables,
    row_table,
    sample_table,
    status_plot,
    text_table,
    written_tables,
)
from promptbank.mt.translate_set import TranslatedSet
from promptbank.report.errors import ReportError
from promptbank.report.parts import Part, Report
from promptbank.report.write import write_files, write_report
from translate.checks import STATUSES, FlagPolicy
from translate.pipeline.translated import TranslatedRecord
from translate.review.items import ReviewItem, review_items
from translate.scoring.bootstrap import EngineScore
from translate.scoring.scores import Reference, ReferenceKey, ReferenceScores, score_against_references
from translate.scoring.summary import Summary, shared_texts, summarise
from translate.scoring.text_figures import plain

__all__ = ["Samples", "pick_samples", "summary_of", "translation_report", "write_translation_report"]

FORMAT = "promptbank.mt.v1"

LEAST_LANGUAGE = 0.98
"""Human Swedish is named right in 0.996 of the translations over 5 words (MASSIVE dev), and in all of FLORES dev."""


@dataclass(frozen=True)
class Samples:
    """Rows to read, with their texts.

    Attributes:
        random: as any.
        worst: by the severity of their flags.
    """

    random: Sequence[ReviewItem]
    worst: Sequence[ReviewItem]


def pick_samples(outcomes: Iterable[TranslatedRecord], policy: FlagPolicy, count: int = 20) -> Samples:
    """Choose rows to read, the same ones each time; rows that say the same are one.

    Args:
        outcomes: of a run.
        policy: that decided their status.
        count: of each kind; a row may be of both.

    Returns:
        Those whose source has the smallest hash, and the worst of those with a flag.
    """
    worst = review_items(outcomes, policy, statuses=STATUSES)
    drawn = sorted(worst, key=lambda item: hashlib.sha256(f"sample {item.source_hash}".encode()).digest())
    return Samples(drawn[:count], [item for item in worst if item.flags][:count])


def summary_of(translated: TranslatedSet) -> Summary:
    """Return the figures of translated files; texts that stand in several files are counted if there are several."""
    files = [(f.source.name, [outcome for row in f.outcomes for outcome in row]) for f in translated.files]
    emitted = [
        is_written for f in translated.files for row, is_written in zip(f.outcomes, f.emitted, strict=True) for _ in row
    ]
    inventory = translated.setup.inventory
    return summarise(
        translated.outcomes,
        translated.setup.policy,
        src=inventory.src,
        tgt=inventory.tgt,
        emitted=emitted,
        shared=shared_texts(files) if len(files) > 1 else None,
    )


def translation_report(
    summary: Summary,
    *,
    samples: Samples | None = None,
    engine_scores: Sequence[EngineScore] | None = None,
    references: ReferenceScores | None = None,
    beside: Sequence[Beside] = (),
    about: Mapping[str, object] | None = None,
) -> Report:
    """Report a translation; without matplotlib (extra ``experiments``) it has no pictures.

    Args:
        summary: its figures.
        samples: rows with their texts; none in a report that is published.
        engine_scores: of engines on sets.
        references: the run against human translations.
        beside: the run's engine and those it was compared with.
        about: what to repeat it with, beside languages and engines: hashes of data and models, versions.
    """
    drawn = find_spec("matplotlib") is not None
    parts: list[Part] = [row_table(summary), *([status_plot(summary)] if drawn else [])]
    parts += [*flag_tables(summary), *(flag_plots(summary) if drawn else [])]
    parts += [text_table(summary), *length_tables(summary)]
    parts += [*label_tables(summary), *(label_plots(summary) if drawn else []), *written_tables(summary)]
    parts += [beside_table(beside)] if beside else []
    parts += reference_tables(references) if references else []
    parts += [engine_table(engine_scores)] if engine_scores else []
    if samples:
        parts += [sample_table("Random rows", samples.random), sample_table("Worst rows", samples.worst)]
    own: dict[str, object] = {"src": summary.src, "tgt": summary.tgt, "engines": list(summary.by_engine)}
    said = f"{summary.emitted.count:,} of {summary.emitted.of:,} rows are written; {_waiting(summary)}."
    return Report(
        f"Translation from {summary.src} to {summary.tgt}",
        said + ("" if drawn else " There are no pictures, since matplotlib is not installed."),
        own | dict(about or {}),
        parts,
        falls_short=list(_shortcomings(summary)),
    )


def write_translation_report(
    translated: TranslatedSet,
    out: Path,
    *,
    with_samples: bool = True,
    references: Mapping[ReferenceKey, Reference] | None = None,
) -> list[Path]:
    """Write ``report.json``, ``report.md`` with its pictures and ``report.html``; equal runs give equal bytes.

    Args:
        translated: what became of a set.
        out: folder, made if it is not there.
        with_samples: whether the pages show texts; the JSON file never does.
        references: human translations by what they translate.

    Returns:
        The paths; that of the JSON file is the first.

    Raises:
        TranslateError: no record has a reference.
        ReportError: the folder cannot be written.
    """
    summary = summary_of(translated)
    scores = score_against_references(translated.outcomes, references) if references else None
    samples = pick_samples(translated.outcomes, translated.setup.policy) if with_samples else None
    found = engines_beside(translated)
    engines = engines_scored(translated, references) if references else []
    report = translation_report(summary, samples=samples, engine_scores=engines, references=scores, beside=found)
    content: dict[str, Any] = {"format": FORMAT, "summary": plain(summary)}
    content |= {"references": plain(scores), "engine_scores": plain(engines), "beside": plain(found)}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        write_files(out, {"report.json": text})
    except OSError as exc:
        raise ReportError(f"report.json cannot be written to {out} ({exc.strerror}); name another folder") from exc
    return [out / "report.json", *write_report(report, out, "report")]


def _waiting(summary: Summary) -> str:
    return f"{summary.by_status['review']:,} should be looked at by a person"


def _shortcomings(summary: Summary) -> Iterator[str]:
    written, of = summary.emitted.count, summary.emitted.of
    if written < of:
        yield f"{of - written:,} of {of:,} rows are not written."
    for task, balance in summary.labels.items():
        if not balance.intact:
            yield f"{task}: some written rows do not have the label of their source."
    for kind, share in summary.values.items():
        if share.count < share.of:
            yield f"{share.of - share.count:,} of {share.of:,} translations say other {kind} values than their source."
    lost = summary.protected.of - summary.protected.count
    if lost:
        yield f"{lost:,} of {summary.protected.of:,} protected strings are lost."
    named = summary.language
    if named and named.count < LEAST_LANGUAGE * named.of:
        yield f"{named.of - named.count:,} of {named.of:,} translations over 5 words look like {summary.src}."
    if summary.language_note:
        yield f"The language of the translations is not checked: {summary.language_note}."
    if summary.values_note:
        yield f"Values are checked in part: {summary.values_note}."
