"""Tables and pictures of a translation's report; pictures only where ``drawn``, since they need matplotlib."""

from collections.abc import Iterator, Mapping, Sequence

from promptbank.mt.compare_engines import EngineFigures
from promptbank.report.parts import Cell, Figure, Part, Table
from promptbank.report.plots import bar_plot
from tasks.statistics import Interval
from translate.review.items import ReviewItem
from translate.scoring.bootstrap import EngineScore
from translate.scoring.scores import ReferenceScores
from translate.scoring.summary import LabelBalance, Summary
from translate.scoring.text_figures import Proportion

__all__ = [
    "engine_figures_table",
    "engine_table",
    "flag_parts",
    "label_parts",
    "length_tables",
    "reference_tables",
    "row_parts",
    "sample_table",
    "text_table",
    "written_tables",
]

SHOWN_LABELS = 24
"""Bars of a picture of labels; the table has all labels."""


def row_parts(summary: Summary, *, drawn: bool) -> Iterator[Part]:
    """Show the rows by status, mode and engine."""
    of = summary.emitted.of
    named = {"rows": of, "written": summary.emitted.count}
    named |= {f"status {name}": n for name, n in summary.by_status.items()}
    named |= {"by a person" if name == "human" else f"sent {name}": n for name, n in summary.by_mode.items()}
    if len(summary.by_engine) > 1:
        named |= {f"by {engine}": n for engine, n in summary.by_engine.items()}
    rows: list[list[Cell]] = [[name, n, Proportion(n, of).value] for name, n in named.items()]
    note = "A row with two texts counts twice. The way of a text is that of the translation that was kept."
    yield Table("Rows", ["", "rows", "share"], rows, note=note)
    if drawn:
        said = ", ".join(f"{name} {n:,}" for name, n in summary.by_status.items())
        yield _bars("status", "Rows by status", summary.by_status, f"Rows by status: {said}.")


def flag_parts(summary: Summary, *, drawn: bool) -> Iterator[Part]:
    """Show the rows by flag, the most frequent first; nothing without flags."""
    most = sorted(summary.by_flag.items(), key=lambda item: -item[1].rows)
    if not most:
        return
    of = summary.emitted.of
    rows: list[list[Cell]] = [
        [name, found.severity, found.rows, Proportion(found.rows, of).value] for name, found in most
    ]
    yield Table("Flags", ["flag", "severity", "rows", "share"], rows)
    if drawn:
        said = ", ".join(f"{name} {found.rows:,}" for name, found in most[:5])
        bars = {f"{name} ({found.severity})": found.rows for name, found in most}
        yield _bars("flags", "Rows by flag", bars, f"Rows by flag, the most frequent first: {said}.")


def text_table(summary: Summary) -> Table:
    """Show what the translations keep of their sources."""
    found = {f"translations with the {kind} values of their source": share for kind, share in summary.values.items()}
    found |= {"protected strings kept": summary.protected, "words of the source left as they are": summary.left_words}
    found["of those that begin in lower case"] = summary.left_lower
    if summary.language:
        found[f"translations that look like {summary.tgt}"] = summary.language
    if summary.shared:
        found["source texts in several files"] = summary.shared.source
        found["translations in several files"] = summary.shared.target
    rows: list[list[Cell]] = [[name, share.count, share.of, share.value] for name, share in found.items()]
    note = (
        "Over all translations, written or not. Human Swedish leaves 0.07 to 0.08 of the words as they are (names; "
        "0.02 of those in lower case) and says other numbers in 0.08 to 0.12 of the rows that have some (units, how "
        "numbers are read)."
    )
    return Table("Texts", ["", "count", "of", "share"], rows, note=note)


def length_tables(summary: Summary) -> list[Table]:
    """Show lengths and variety; nothing without translations."""
    found = summary.lengths
    if found is None:
        return []
    sides = {
        "words a row": (found.source_words, found.target_words),
        "characters a row": (found.source_characters, found.target_characters),
        "distinct words by words": (found.source_types, found.target_types),
    }
    rows: list[list[Cell]] = [[name, a, b, b / a if a else None] for name, (a, b) in sides.items()]
    return [Table("LengthStatistics", ["", "source", "translation", "ratio"], rows, note="Over all translations.")]


def label_parts(summary: Summary, *, drawn: bool) -> Iterator[Part]:
    """Show each task's labels before and after; no picture of a task without written rows."""
    yield from (_label_table(task, balance) for task, balance in summary.labels.items())
    if drawn:
        written = ((task, balance) for task, balance in summary.labels.items() if balance.after)
        yield from (_label_figure(number, *labels) for number, labels in enumerate(written, start=1))


def written_tables(summary: Summary) -> list[Table]:
    """Show the written rows by intent and by slot type; nothing for sets without."""
    slots = {**summary.slot_types, "any": summary.slot_rows} if summary.slot_types else {}
    tables = (("By intent", "intent", summary.intents), ("By slot type", "slot type", slots))
    return [
        Table(title, [first, "rows", "written", "share"], [[n, s.of, s.count, s.value] for n, s in shares.items()])
        for title, first, shares in tables
        if shares
    ]


def reference_tables(found: ReferenceScores) -> list[Table]:
    """Show a run against human translations: the texts, and the slots if there are any."""
    scores = Table(
        "Against human translations",
        ["metric", "score", "signature"],
        [["chrF2", found.chrf2, found.chrf2_signature], ["BLEU", found.bleu, found.bleu_signature]],
        note=f"{found.rows.count:,} of {found.rows.of:,} rows have a reference; no translation counts as an empty one.",
    )
    types = {**found.slot_types, "any": found.slots}
    rows = [[k, s.exact.of, s.exact.count, s.exact.value, s.fuzzy.count, s.fuzzy.value] for k, s in types.items()]
    columns = ["slot type", "values", "equal", "share equal", "nearly equal", "share nearly equal"]
    note = "Of the slot values of the human translations, case ignored; nearly equal: rapidfuzz ratio of 80 and more."
    slots = [Table("Slot values against human translations", columns, rows, note)] if found.slot_types else []
    return [scores, *slots]


def engine_table(scores: Sequence[EngineScore]) -> Table:
    """Show the scores of engines on each set."""
    rows: list[list[Cell]] = [
        [s.engine, s.set_name, s.metric, s.rows, s.score, Interval(s.mean, s.low, s.high, 0.95), s.baseline, s.p]
        for s in scores
    ]
    columns = ["engine", "set", "metric", "rows", "score", "mean, 95 % interval", "against", "p"]
    said = "; ".join(dict.fromkeys(f"{s.metric}: {s.signature}" for s in scores))
    return Table("Engines", columns, rows, note=f"Paired bootstrap resampling (Koehn 2004). {said}")


def engine_figures_table(found: Sequence[EngineFigures]) -> Table:
    """Show the figures of several engines' texts."""
    columns = ["engine", "rows without a flag for a person", "values kept", "protected strings kept"]
    columns += ["words left as they are", "texts that look like the target language"]
    rows: list[list[Cell]] = [
        [one.engine, one.clean.value, one.values.value, one.protected.value, one.left.value, _value(one.language)]
        for one in found
    ]
    note = "The same checks on what each engine made of the same texts; spans and slots are left out."
    return Table("Engines beside one another", columns, rows, note)


def sample_table(title: str, items: Sequence[ReviewItem]) -> Table:
    """Show rows with source and translation side by side."""
    rows: list[list[Cell]] = [[i.row_id, i.source, i.translation, i.label, "; ".join(i.flags)] for i in items]
    return Table(title, ["row", "source", "translation", "label", "flags"], rows)


def _bars(name: str, title: str, counts: Mapping[str, int], alt: str) -> Figure:
    bars = {label: {"rows": [n]} for label, n in counts.items()}
    return Figure(name, title, bar_plot(bars, title=title, value_label="rows"), alt=alt)


def _value(share: Proportion | None) -> float | None:
    return share.value if share else None


def _shares(balance: LabelBalance) -> dict[str, tuple[int, float | None, int, float | None]]:
    """Return the rows of each label and their share, before and after."""
    before, after = sum(balance.before.values()), sum(balance.after.values())
    found = {}
    for name in dict.fromkeys([*balance.before, *balance.after]):
        was, now = balance.before.get(name, 0), balance.after.get(name, 0)
        found[name] = (was, Proportion(was, before).value, now, Proportion(now, after).value)
    return found


def _label_table(task: str, balance: LabelBalance) -> Table:
    rows: list[list[Cell]] = [[name, *cells] for name, cells in _shares(balance).items()]
    said = "Every written row has its label." if balance.intact else "Some written rows have another label."
    moved = "" if balance.shift is None else f" Total variation distance of the shares: {balance.shift:.4f}."
    columns = ["label", "rows before", "share", "rows after", "share after"]
    return Table(f"Labels of {task}", columns, rows, said + moved)


def _label_figure(number: int, task: str, balance: LabelBalance) -> Figure:
    shares = _shares(balance)
    most = sorted(shares, key=lambda name: -shares[name][0])[:SHOWN_LABELS]
    bars = {name: {"before": [shares[name][1] or 0.0], "after": [shares[name][3] or 0.0]} for name in most}
    title = f"Labels of {task} before and after"
    said = "; ".join(f"{name} {bars[name]['before'][0]:.3f}, {bars[name]['after'][0]:.3f}" for name in most[:5])
    note = f"The {len(most)} most frequent of {len(shares)}." if len(most) < len(shares) else ""
    plot = bar_plot(bars, title=title, value_label="share of the rows")
    return Figure(f"labels-{number}", title, plot, note, alt=f"Share of the rows before, after: {said}.")
