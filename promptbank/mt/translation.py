"""Translate labelled sets or plain text with the engines, memory and decisions of a bank."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from promptbank.bank.cards import chosen_card, known_cards
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.files import read_json, write_text
from promptbank.mt.align import chosen_aligner
from promptbank.mt.cards import undecided_words
from promptbank.mt.engines.provider import CHARACTERS, RECORDED, EngineRequest
from promptbank.mt.engines.providers import choose_engine, fallback_engine, open_engine
from promptbank.mt.labels import proposed
from promptbank.mt.languages import check_code
from promptbank.mt.memory import BankMemory, kept_overrides
from promptbank.mt.references import read_references
from promptbank.mt.reporting import translation_report_files
from promptbank.mt.review import REVIEW, unapplied
from promptbank.mt.sources import read_sources
from promptbank.mt.status import STATUS, TranslationStatus
from promptbank.mt.translate_set import (
    SourceFile,
    TranslatedSet,
    left_behind,
    locked,
    refuse_names,
    target_cards,
    translate_sources,
    write_translated,
)
from tasks import counted
from translate import Engine, Memory
from translate.checks import STATUSES, FlagPolicy
from translate.checks.policy_file import load_policy
from translate.inventory.file import dump_inventory, load_inventory, shipped_inventory
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import is_storable, translate_plain
from translate.pipeline.pipeline import Setup
from translate.records.protect import read_names

__all__ = [
    "REQUEST",
    "TranslationRequest",
    "load_engine",
    "propose_labels",
    "read_request",
    "translate",
    "translate_texts",
]

REQUEST = "request.json"
"""How a folder was made, so that it can be made again with decisions of people."""
PATHS = ("labels", "names", "policy", "report")


@dataclass(frozen=True)
class TranslationRequest:
    """What is translated, with which engine, and what goes with it: the options of ``promptbank translate``.

    ``data`` are files, datasets folders or hub ids, by default the shipped samples, and ``columns`` their column for
    each field that has another name; ``out`` is the folder of the translated files, by default ``translated/<tgt>``;
    ``only`` are the statuses of the records that are written; ``all_rows`` puts every record into ``review.csv``, not
    the flagged ones alone.
    """

    src: str
    tgt: str
    engine: str = "auto"
    beam: int | None = None
    characters: int = CHARACTERS
    data: Sequence[str] = ()
    columns: Mapping[str, str] | None = None
    out: str | Path | None = None
    task: str | None = None
    card: str | None = None
    fallback: str = "auto"
    compare: Sequence[str] = ()
    back: str | None = None
    labels: Path | None = None
    names: Path | None = None
    policy: Path | None = None
    only: Sequence[str] = STATUSES[:-1]
    align: str = "auto"
    references: Sequence[Path] = ()
    report: Path | None = None
    all_rows: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the translated files."""
        return Path(self.out or f"translated/{self.tgt}")

    @property
    def files(self) -> list[Path]:
        """The files that a run reads beside its records."""
        engines = (self.engine, self.fallback, self.back or "", *self.compare)
        named = [name.removeprefix(RECORDED) for name in engines if name.startswith(RECORDED)]
        recorded = [Path(part) for name in named for part in {name, *name.split(",")}]
        card = Path(self.card) if self.card else None
        return [*self.references, *recorded, *(path for path in (self.labels, self.names, self.policy, card) if path)]

    def for_engine(self, bank: Bank) -> EngineRequest:
        """Return what an engine is opened with."""
        return EngineRequest(self.src, self.tgt, self.beam, bank.settings, bank.display.say, self.characters)


def translate(bank: Bank, request: TranslationRequest) -> tuple[TranslatedSet, list[Path]]:
    """Translate labelled sets into a folder; a killed run goes on when it is asked for again.

    Args:
        bank: whose cards, memory and decisions are used.
        request: what is translated, and how.

    Returns:
        What became of the set, and the files that were written.

    Raises:
        InputError: a language is no code or both are the same, a file that is named cannot be read or would be
            overwritten, or decisions of a review wait.
        TaskError: every fault of the records.
        TranslateError: no engine, or faults of policy or labels.
    """
    _check_pair(request)
    out, store = request.folder, bank.make()
    _check_statuses(request.only)
    policy = load_policy(request.policy) if request.policy else FlagPolicy()
    names = _names(request.names)
    with locked(out):
        sources = read_sources(bank, request.data, request.src, request.task, request.card, request.columns)
        refuse_names(sources, out, request.files)
        _refuse_to_overwrite(bank, request)
        engine, memory = _loaded(bank, request), BankMemory(store)
        setup = _setup(bank, request, sources, engine, policy, names)
        cards = known_cards(store)
        humans = read_references(request.references, sources, target_cards(sources, setup.inventory, cards))
        status = TranslationStatus(bank.display.count, out / STATUS)
        done = translate_sources(sources, engine, memory, setup, known=cards, only=request.only, on_step=status.on_step)
        _refuse_to_overwrite(bank, request)  # a person may have worked meanwhile
        for name in left_behind(out, sources):
            bank.display.say(
                f"{out / name} is of an earlier run: {REVIEW}, provenance and report no longer have its rows; "
                "give all files in one run to have them together"
            )
        files = {out / name: content for name, content in translation_report_files(done, references=humans).items()}
        if shared := request.report:
            public = translation_report_files(done, references=humans, with_samples=False)
            files |= {shared / name: content for name, content in public.items()}
        files[out / REQUEST] = _dumped(request)
        _say_left_out(bank, done, request.only)
        paths = write_translated(done, out, files, all_rows=request.all_rows)
    return done, paths


def read_request(folder: Path) -> TranslationRequest:
    """Return the request that a translated folder was made by; its files are named from the root.

    Raises:
        InputError: the folder does not say it.
    """
    try:
        plain = read_json(folder / REQUEST)
        paths = {name: Path(plain[name]) for name in PATHS if plain[name]}
        references = tuple(map(Path, plain["references"]))
        return TranslationRequest(**{**plain, **paths, "references": references})
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{folder / REQUEST} does not say how the folder was made: {exc}") from exc


def translate_texts(bank: Bank, request: TranslationRequest, texts: Sequence[str]) -> list[str]:
    """Translate plain texts, in order; of the request only languages, engine, beam and characters count.

    Raises:
        InputError: a text holds NUL characters, or both languages are the same.
        TranslateError: no engine translates the pair here.
    """
    _check_pair(request)
    if strange := [number for number, text in enumerate(texts, start=1) if not is_storable(text)]:
        raise InputError(f"NUL characters in line {', '.join(map(str, strange[:9]))}; is it a text file?")
    engine = _loaded(bank, request)
    pair = (request.src, request.tgt)
    return translate_plain(
        engine, BankMemory(bank.make()), pair, texts, on_step=TranslationStatus(bank.display.count).on_step
    )


def _loaded(bank: Bank, request: TranslationRequest) -> Engine:
    with bank.display.busy("loading the engine"):
        return load_engine(request.engine, request.for_engine(bank))


def load_engine(name: str, request: EngineRequest) -> Engine:
    """Choose and load an engine, and say which and why; raises `EngineError` if it cannot be had here."""
    offer = choose_engine(name, request)
    request.say(f"engine {offer.engine} ({offer.kind}): {offer.why}")
    return open_engine(offer, request)


def propose_labels(bank: Bank, request: TranslationRequest, tasks: Sequence[str] = ()) -> tuple[Path, int]:
    """Have an engine propose forms for the labels and phrases of some tasks, or of all; what is decided stays.

    Returns:
        The request's file of labels, and how many of its entries wait for approval.
    """
    path = request.labels or Path(f"labels.{request.tgt}.toml")
    known = load_inventory(path) if path.is_file() else shipped_inventory(request.src, request.tgt)
    every = [card for card in known_cards(bank.make()) if card.lang == request.src]
    cards = [chosen_card(bank.store, name, request.src, None) for name in tasks] or every
    engine = _loaded(bank, request)
    made = proposed(cards, known, engine, BankMemory(bank.store))
    write_text(path, dump_inventory(made))
    return path, sum(d.status == "auto" for section in made.decisions.values() for d in section.values())


def _dumped(request: TranslationRequest) -> str:
    plain = asdict(request) | {"out": request.folder}
    plain["data"] = [str(Path(name).resolve()) if Path(name).exists() else name for name in request.data]
    plain |= {name: _from_root(plain[name]) for name in ("engine", "fallback", "back")}
    plain["compare"] = [_from_root(name) for name in request.compare]
    return json.dumps(plain, default=lambda path: str(Path(path).resolve()), indent=1) + "\n"


def _from_root(engine: str | None) -> str | None:
    """Return the name of an engine, with its file named from the root."""
    if engine is None or not engine.startswith(RECORDED):
        return engine
    return f"{RECORDED}{Path(engine.removeprefix(RECORDED)).resolve()}"


def _check_pair(request: TranslationRequest) -> None:
    for option, code in (("--src", request.src), ("--tgt", request.tgt)):
        check_code(option, code)
    if request.src == request.tgt:
        raise InputError(f"--src and --tgt are both {request.src!r}; give the language to translate into with --tgt")


def _check_statuses(only: Sequence[str]) -> None:
    allowed = STATUSES[:-1]
    if not only or set(only) - set(allowed):
        raise InputError(f"--only is {','.join(only)!r}; give some of {', '.join(allowed)}, commas between them")


def _say_left_out(bank: Bank, done: TranslatedSet, only: Sequence[str]) -> None:
    """Tell a person who asked for "ok", which once were all rows without a flag, that unchecked ones are left out."""
    unchecked = done.counts()["unchecked"]
    if unchecked and "unchecked" not in only:
        bank.display.say(
            f"--only {','.join(only)} leaves out {counted(unchecked, 'row', 'rows')} without a flag that nobody has "
            "checked; add unchecked to have them"
        )


def _names(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        return read_names(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"--names {path} cannot be read: {exc}; give a UTF-8 file, a name a line") from exc


def _refuse_to_overwrite(bank: Bank, request: TranslationRequest) -> None:
    path = request.folder / REVIEW
    if waiting := unapplied(request.folder, kept_overrides(bank.store, request.src, request.tgt)):
        raise InputError(
            f"{path} has decisions, texts or notes of {counted(waiting, 'row', 'rows')} that are not applied and would "
            f"be lost; decide ok, edit or drop and `promptbank mt review apply {path}`, or move the file away"
        )


def _setup(
    bank: Bank,
    request: TranslationRequest,
    sources: Sequence[SourceFile],
    engine: Engine,
    policy: FlagPolicy,
    names: tuple[str, ...],
) -> Setup:
    """Open everything that goes with the engine."""
    wanted, memory = request.for_engine(bank), BankMemory(bank.store)
    fallback = fallback_engine(engine, request.fallback, wanted)
    if fallback:
        bank.display.say(f"fallback for doubtful rows: {fallback.info().engine_id}")
    back = replace(wanted, src=request.tgt, tgt=request.src)
    return Setup(
        _inventory(bank, request, sources, engine, memory),
        policy,
        names,
        chosen_aligner(request.align, bank.settings, memory, request.src, request.tgt),
        fallback=fallback,
        others=tuple(load_engine(name, wanted) for name in request.compare),
        back=load_engine(request.back, back) if request.back is not None else None,
        overrides=kept_overrides(bank.store, request.src, request.tgt),
    )


def _inventory(
    bank: Bank, request: TranslationRequest, sources: Sequence[SourceFile], engine: Engine, memory: Memory
) -> Inventory:
    """Return the labels' decisions; what is undecided is proposed by the engine and kept beside the files."""
    own = request.folder / f"labels.{request.tgt}.toml"
    chosen = request.labels or (own if own.is_file() else None)
    inventory = load_inventory(chosen) if chosen else shipped_inventory(request.src, request.tgt)
    if (inventory.src, inventory.tgt) != (request.src, request.tgt):
        raise InputError(f"{chosen} decides {inventory.src}-{inventory.tgt}, not {request.src}-{request.tgt}")
    cards = list({source.card.sha256: source.card for source in sources}.values())
    if undecided := [words for card in cards for _, words in undecided_words(card, inventory)]:
        inventory = proposed(cards, inventory, engine, memory)
        said = ", ".join(map(repr, undecided[:5])) + (", ..." if len(undecided) > 5 else "")
        bank.display.say(
            f"labels and phrases without a decision: {len(undecided)} ({said}): proposed; approve them in {own}"
        )
    return inventory
