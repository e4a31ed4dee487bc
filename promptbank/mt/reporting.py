"""The report of a translated set: its rows, labels and texts, references, and engines compared.

``report.json`` holds figures alone, so that it can be published where the texts may not; the pages may show samples.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from promptbank.mt.compare_engines import EngineFigures, engine_figures, engine_scores
from promptbank.mt.report_parts import (
    engine_figures_table,
    engine_table,
    flag_parts,
    label_parts,
    length_tables,
    reference_tables,
    row_parts,
    sample_table,
    text_table,
    written_tables,
)
from promptbank.mt.translate_set import TranslatedSet
from promptbank.report.parts import Part, Report
from promptbank.report.write import report_files
from translate.checks import FlagPolicy
from translate.pipeline.translated import TranslatedRecord
from translate.review.items import ReviewItem, review_items
from translate.scoring.bootstrap import EngineScore
from translate.scoring.scores import Reference, ReferenceKey, ReferenceScores, score_against_references
from translate.scoring.summary import Summary, shared_texts, summarise
from translate.scoring.text_figures import plain

__all__ = ["Samples", "pick_samples", "summary_of", "translation_report", "translation_report_files"]

FORMAT = "promptbank.mt.v1"

LEAST_LANGUAGE = 0.98
"""Human Swedish is named right in 0.996 of the translations over 5 words (MASSIVE dev), and in all of FLORES dev."""


@dataclass(frozen=True)
class Samples:
    """Rows to read, with their texts: random ones, and the worst by the severity of their flags."""

    random: Sequence[ReviewItem]
    worst: Sequence[ReviewItem]


def pick_samples(records: Iterable[TranslatedRecord], policy: FlagPolicy, count: int = 20) -> Samples:
    """Choose ``count`` rows of each kind, the same ones each time; rows with equal content are one."""
    worst = [item for item in review_items(records, policy) if not item.decided or item.severity == "review"]
    drawn = sorted(worst, key=lambda item: hashlib.sha256(f"sample {item.source_hash}".encode()).digest())
    return Samples(drawn[:count], [item for item in worst if item.flags][:count])


def summary_of(done: TranslatedSet) -> Summary:
    """Return the figures of translated files; texts that stand in several files are counted if there are several."""
    files = [(f.source.name, [record for example in f.examples for record in example.records]) for f in done.files]
    emitted = [example.written is not None for example in done.examples for _ in example.records]
    inventory = done.setup.inventory
    return summarise(
        done.records,
        done.setup.policy,
        src=inventory.src,
        tgt=inventory.tgt,
        emitted=emitted,
        shared=shared_texts(files) if len(files) > 1 else None,
    )


def translation_report(
    summary: Summary,
    *,
    samples: Samples | None = None,
    scores: Sequence[EngineScore] = (),
    references: ReferenceScores | None = None,
    compared: Sequence[EngineFigures] = (),
) -> Report:
    """Report a translation; without matplotlib (extra ``experiments``) it has no pictures.

    Args:
        summary: its figures.
        samples: rows with their texts; none in a report that is published.
        scores: of the engines that were compared.
        references: the run against human translations.
        compared: figures of the engines that were compared.
    """
    drawn = find_spec("matplotlib") is not None
    parts: list[Part] = [*row_parts(summary, drawn=drawn), *flag_parts(summary, drawn=drawn)]
    parts += [text_table(summary), *length_tables(summary), *label_parts(summary, drawn=drawn)]
    parts += written_tables(summary)
    parts += [engine_figures_table(compared)] if compared else []
    parts += reference_tables(references) if references else []
    parts += [engine_table(scores)] if scores else []
    if samples:
        parts += [sample_table("Random rows", samples.random), sample_table("Worst rows", samples.worst)]
    said = f"{summary.emitted.count:,} of {summary.emitted.of:,} rows are written"
    waiting = (
        f"{summary.by_status['review']:,} should be looked at by a person, {summary.by_status['unchecked']:,} more "
    )
    waiting += "nobody has checked"
    return Report(
        f"Translation from {summary.src} to {summary.tgt}",
        f"{said}; {waiting}." + ("" if drawn else " There are no pictures, since matplotlib is not installed."),
        {"src": summary.src, "tgt": summary.tgt, "engines": list(summary.by_engine)},
        parts,
        falls_short=list(_shortcomings(summary)),
    )


def translation_report_files(
    done: TranslatedSet,
    *,
    with_samples: bool = True,
    references: Mapping[ReferenceKey, Reference] | None = None,
) -> dict[str, str | bytes]:
    """Return ``report.json``, ``report.md`` with its pictures and ``report.html``; equal runs give equal bytes.

    Args:
        done: the translated set.
        with_samples: whether the pages show texts; the JSON file never does.
        references: human translations by what they translate.

    Returns:
        The files by name; the JSON file is the first.

    Raises:
        TranslateError: no record has a reference.
    """
    summary, compared = summary_of(done), engine_figures(done)
    against = score_against_references(done.records, references) if references else None
    scores = engine_scores(done, references) if references else []
    samples = pick_samples(done.records, done.setup.policy) if with_samples else None
    report = translation_report(summary, samples=samples, scores=scores, references=against, compared=compared)
    content = {"format": FORMAT, "summary": plain(summary)}
    content |= {"references": plain(against), "engine_scores": plain(scores), "beside": plain(compared)}
    figures = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    return {"report.json": figures, **report_files(report, "report")}


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
