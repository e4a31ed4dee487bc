"""What ``promptbank translate`` does, once its options are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from promptbank.bank.cards import chosen_card, known_cards
from promptbank.cli.mt_progress import progress
from promptbank.cli.output import print_json, print_table, say
from promptbank.cli.session import opened_store
from promptbank.config import Settings
from promptbank.errors import InputError
from promptbank.mt.align import chosen_aligner
from promptbank.mt.cards import undecided_words
from promptbank.mt.engines.provider import CHARACTERS, RECORDED, EngineRequest
from promptbank.mt.engines.providers import choose_engine, fallback_engine, open_engine
from promptbank.mt.labels import proposed
from promptbank.mt.memory import BankMemory, kept_overrides
from promptbank.mt.references import read_references
from promptbank.mt.reporting import write_translation_report
from promptbank.mt.review import REVIEW, unapplied
from promptbank.mt.task_records import read_rows
from promptbank.mt.translate_set import (
    Source,
    TranslatedSet,
    left_behind,
    locked,
    refuse_names,
    target_cards,
    translate_sources,
    write_translated,
)
from store import Store
from tasks import DataError, InputRecord, TaskCard, builtin_cards, dataset_parts, raise_faults, read_jsonl, sample_path
from translate import Engine, Memory
from translate.checks import STATUSES, FlagPolicy
from translate.checks.policy_file import load_policy
from translate.inventory.file import load_inventory, shipped_inventory
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import is_storable, translate_plain
from translate.pipeline.pipeline import Setup
from translate.pipeline.translated import Override
from translate.records.protect import read_names

__all__ = ["CHARACTERS", "TranslateAsked", "the_engine", "translate_lines", "translate_sets"]

STATUS = "status.json"
OPTIONS = {"others": "compare", "as_json": "json"}
"""Options by the names of their fields, where these differ."""


@dataclass(frozen=True)
class TranslateAsked:
    """What ``translate`` was asked for; see its options."""

    src: str
    tgt: str
    engine: str
    beam: int | None = None
    fallback: str = "auto"
    others: tuple[str, ...] = ()
    back: str | None = None
    task: str | None = None
    data: tuple[str, ...] = ()
    card: str | None = None
    labels: Path | None = None
    names: Path | None = None
    policy: Path | None = None
    only: str = ",".join(STATUSES[:-1])
    align: str = "auto"
    references: tuple[Path, ...] = ()
    characters: int = CHARACTERS
    report: Path | None = None
    out: Path | None = None
    as_json: bool = False

    @property
    def read(self) -> list[Path]:
        """The files that a run reads beside its rows."""
        card = Path(self.card) if self.card else None
        engines = (self.engine, self.fallback, self.back or "", *self.others)
        recorded = [Path(name.removeprefix(RECORDED)) for name in engines if name.startswith(RECORDED)]
        return [*self.references, *recorded, *(path for path in (self.labels, self.names, self.policy, card) if path)]

    def of_engine(self, settings: Settings) -> EngineRequest:
        """Return what an engine is wanted for."""
        return EngineRequest(self.src, self.tgt, self.beam, settings, say, self.characters)


def translate_lines(settings: Settings, asked: TranslateAsked, lines: Path) -> None:
    """Translate plain text, a line each, to stdout; empty lines stay."""
    _refuse_row_options(asked)
    texts = _lines_of(lines)
    engine = the_engine(settings, asked)
    with opened_store(settings) as store, progress(None) as on_step:
        found = translate_plain(engine, BankMemory(store), (asked.src, asked.tgt), texts, on_step=on_step)
    sys.stdout.write("".join(f"{line}\n" for line in found))


def _refuse_row_options(asked: TranslateAsked) -> None:
    """Make sure that nothing was asked for that only rows have."""
    plain = TranslateAsked(asked.src, asked.tgt, asked.engine, asked.beam, characters=asked.characters)
    others = [f"--{OPTIONS.get(one.name, one.name)}" for one in fields(asked)
              if getattr(asked, one.name) != getattr(plain, one.name)]  # fmt: skip
    if others:
        raise InputError(f"--lines translates plain text and takes none of {', '.join(others)}; leave them out")


def _lines_of(path: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{path} cannot be read: {exc}; give a UTF-8 text file, or - for stdin") from exc
    lines = text.removeprefix("\ufeff").removesuffix("\n").split("\n") if text else []
    if strange := [number for number, line in enumerate(lines, start=1) if not is_storable(line)]:
        raise InputError(f"{path}: line(s) {', '.join(map(str, strange[:9]))} hold NUL characters; is it a text file?")
    return [" ".join(line.split()) for line in lines]


def translate_sets(settings: Settings, asked: TranslateAsked) -> None:
    """Translate labelled sets into a folder."""
    out = asked.out or Path("translated") / asked.tgt
    only = _statuses(asked.only)
    policy = load_policy(asked.policy) if asked.policy else FlagPolicy()
    names = _names(asked.names)
    with opened_store(settings) as store, locked(out):
        sources = _sources(store, asked)
        refuse_names(sources, out, asked.read)
        overrides = kept_overrides(store, asked.src, asked.tgt)
        _refuse_to_overwrite(out, overrides)
        engine, memory = the_engine(settings, asked), BankMemory(store)
        fallback = fallback_engine(engine, asked.fallback, asked.of_engine(settings))
        if fallback:
            say(f"fallback for doubtful rows: {fallback.info().engine_id}")
        setup = Setup(
            _inventory(asked, out, sources, engine, memory),
            policy,
            names,
            chosen_aligner(asked.align, settings, memory, asked.src, asked.tgt),
            fallback=fallback,
            others=tuple(the_engine(settings, replace(asked, engine=name)) for name in asked.others),
            back=_back(settings, asked),
            overrides=overrides,
        )
        cards = known_cards(store)
        humans = read_references(asked.references, sources, target_cards(sources, setup.inventory, cards))
        with progress(out / STATUS) as on_step:
            done = translate_sources(sources, engine, memory, setup, known=cards, only=only, on_step=on_step)
        _refuse_to_overwrite(out, kept_overrides(store, asked.src, asked.tgt))  # a person may have worked meanwhile
        for name in left_behind(out, sources):
            say(f"{out / name} is of an earlier run: {REVIEW}, provenance and report no longer have its rows; give all "
                "files in one run to have them together")  # fmt: skip
        paths = [*write_translated(done, out), *write_translation_report(done, out, references=humans)]
        if asked.report:
            paths += write_translation_report(done, asked.report, references=humans, with_samples=False)
    _tell(done, paths, out, as_json=asked.as_json)


def _refuse_to_overwrite(out: Path, overrides: Mapping[str, Override]) -> None:
    if waiting := unapplied(out, overrides):
        raise InputError(
            f"{out / REVIEW} has decisions, texts or notes of {waiting} row(s) that are not applied and would be lost; "
            f"decide ok, edit or drop and `promptbank mt review apply {out / REVIEW}`, or move the file away"
        )


def the_engine(settings: Settings, asked: TranslateAsked) -> Engine:
    """Choose and load an engine; says which and why."""
    wanted = asked.of_engine(settings)
    offer = choose_engine(asked.engine, wanted)
    say(f"engine {offer.engine} ({offer.kind}): {offer.why}")
    return open_engine(offer, wanted)


def _back(settings: Settings, asked: TranslateAsked) -> Engine | None:
    """Load the engine of the way back, if one is wanted."""
    if asked.back is None:
        return None
    return the_engine(settings, replace(asked, engine=asked.back, src=asked.tgt, tgt=asked.src))


def _statuses(only: str) -> list[str]:
    found = [status.strip() for status in only.split(",") if status.strip()]
    allowed = STATUSES[:-1]
    if not found or (unknown := [status for status in found if status not in allowed]):
        raise InputError(
            f"--only is {only!r}; give some of {', '.join(allowed)}" + (f", not {unknown}" if found else "")
        )
    return found


def _names(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        return read_names(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"--names {path} cannot be read: {exc}; give a UTF-8 file, a name a line") from exc


def _sources(store: Store, asked: TranslateAsked) -> list[Source]:
    """Read the files that were asked for, or the shipped samples."""
    if asked.data:
        return [source for spec in asked.data for source in _sources_of(store, asked, spec)]
    cards = [chosen_card(store, asked.task, asked.src, asked.card)] if asked.task or asked.card else _sampled(asked.src)
    parts = [(card, path) for card in cards for part in ("train", "test") if (path := sample_path(card, part))]
    if not parts:
        raise InputError(f"no samples are shipped for {asked.task or asked.src}; give labelled rows with --data")
    say(f"no --data given: translating the shipped samples of {', '.join(card.taskname for card in cards)}")
    return [Source(p.name, card, read_rows(list(read_jsonl(p)), card, name=p.name)) for card, p in parts]


def _sampled(lang: str) -> list[TaskCard]:
    return [card for card in builtin_cards() if card.lang == lang and sample_path(card, "train")]


def _sources_of(store: Store, asked: TranslateAsked, spec: str) -> list[Source]:
    """Read one file, or each split of a dataset; the rows name the task where the command does not."""
    path = Path(spec)
    is_file = path.is_file() or spec.endswith((".jsonl", ".json"))
    parts = {"": read_jsonl(spec)} if is_file else dataset_parts(spec)
    read = {part: list(lines) for part, lines in parts.items()}
    task = asked.task or (None if asked.card else _task_of([line for lines in read.values() for line in lines], spec))
    card = chosen_card(store, task, asked.src, asked.card)
    if card.lang != asked.src:
        raise InputError(f"the card {card.taskname}:{card.lang} is not in --src {asked.src}; give it with --card")
    if is_file:
        return [Source(path.name, card, read_rows(read[""], card, name=spec), path)]
    sources, faults = [], []
    for part, lines in read.items():
        name = f"{path.name}-{part}.jsonl" if len(read) > 1 else f"{path.name}.jsonl"
        try:
            sources.append(Source(name, card, read_rows(lines, card, name=f"{spec}[{part}]")))
        except DataError as exc:
            faults.append(str(exc))
    raise_faults(faults)
    return sources


def _task_of(lines: Sequence[InputRecord | DataError], spec: str) -> str:
    found = sorted({str(line.data.get("taskname", "")) for line in lines if isinstance(line, InputRecord)})
    if len(found) != 1 or not found[0]:
        said = f"name {len(found)} tasks" if len(found) > 1 else "name no task"
        raise InputError(f"the rows of {spec} {said}; say which one they are of with --task")
    return found[0]


def _inventory(
    asked: TranslateAsked, out: Path, sources: Sequence[Source], engine: Engine, memory: Memory
) -> Inventory:
    """Return the labels' decisions; what is undecided is proposed by the engine and kept beside the files."""
    own = out / f"labels.{asked.tgt}.toml"
    chosen = asked.labels or (own if own.is_file() else None)
    inventory = load_inventory(chosen) if chosen else shipped_inventory(asked.src, asked.tgt)
    if (inventory.src, inventory.tgt) != (asked.src, asked.tgt):
        raise InputError(f"{chosen} decides {inventory.src}-{inventory.tgt}, not {asked.src}-{asked.tgt}")
    cards = list({source.card.sha256: source.card for source in sources}.values())
    if undecided := [words for card in cards for _, words in undecided_words(card, inventory)]:
        inventory = proposed(cards, inventory, engine, memory)
        out.mkdir(parents=True, exist_ok=True)
        said = ", ".join(map(repr, undecided[:5])) + (", ..." if len(undecided) > 5 else "")
        say(f"{len(undecided)} label(s) and phrase(s) without a decision ({said}): proposed; approve them in {own}")
    return inventory


def _tell(done: TranslatedSet, paths: Sequence[Path], out: Path, *, as_json: bool) -> None:
    counts = done.counts()
    if as_json:
        print_json({"out": str(out), **counts, "files": [path.name for path in paths]})
        return
    print_table([counts], tuple(counts), as_json=False)
    say(f"{counts['written']} of {counts['rows']} rows written to {out}; look at review.csv and report.html there")
    for card in done.made_cards:
        task = f"{card.taskname}:{card.lang}"
        say(f"{task} is a new card: train it with --card {out / 'cards.jsonl'}, or keep it with `tasks add`")
