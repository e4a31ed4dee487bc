"""A run: files in, the same files out, nothing asked twice, nothing of a person's work lost."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from promptbank.config import Settings
from promptbank.errors import InputError
from promptbank.mt.cards import undecided_words
from promptbank.mt.engines.provider import EngineRequest
from promptbank.mt.engines.providers import choose_engine, offers, open_engine
from promptbank.mt.labels import proposed
from promptbank.mt.memory import BankMemory, apply_overrides, kept_overrides
from promptbank.mt.review import decided_pair, read_decisions, unapplied
from promptbank.mt.task_records import source_examples
from promptbank.mt.translate_set import (
    SourceFile,
    TranslatedSet,
    locked,
    refuse_names,
    translate_sources,
    write_translated,
)
from store import open_store
from tasks import DataError, InputRecord, TaskCard, builtin_card, builtin_cards, fold_of, parse_card, read_examples
from translate import EngineError, EngineInfo, Hypothesis, Segment
from translate.checks import FlagPolicy
from translate.inventory.file import shipped_inventory
from translate.inventory.inventory import Decision, Inventory
from translate.pipeline.alignment import RememberedAligner
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import Setup
from translate.review.items import review_items

SENTIMENT, SLOTS = builtin_card("sentiment-task", "en"), builtin_card("intent_and_slot", "en")
WORDS = {"profit": "vinsten", "rose": "steg", "fell": "föll", "the": "", "set": "ställ", "an": "ett", "alarm": "larm"}
FIQA = [
    {"sentence": "the profit rose Sentiment for Acme", "label": "positive", "target": "Acme", "id": "1", "group": "g1"},
    {
        "sentence": "the profit fell Sentiment for Tesco",
        "label": "negative",
        "target": "Tesco",
        "id": "2",
        "group": "g2",
    },
]
ALARM = [
    {
        "utterance": "set an alarm for sunday",
        "label": "\nIntent: alarm_set\nSlots: date(sunday)",
        "id": "3",
        "group": "g3",
    }
]


class WordEngine:
    """Translates word by word with a small list, marks included; counts what it is asked."""

    def __init__(self, words: dict[str, str] = WORDS, tgt: str = "sv") -> None:
        self._words, self._tgt = words, tgt
        self.asked: list[str] = []

    def info(self) -> EngineInfo:
        return EngineInfo("words", (f"en-{self._tgt}",), "bracket")

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        self.asked += [segment.text for segment in segments]
        return [Hypothesis(" ".join(map(self._word, s.text.split()))) for s in segments]

    def _word(self, word: str) -> str:
        bare = word.strip("[].")
        return word.replace(bare, self._words.get(bare, bare)) if bare else word


def source(name: str, rows: list[dict[str, str]], card: TaskCard = SENTIMENT) -> SourceFile:
    lines = [InputRecord(n, row, f"{name}:{n}") for n, row in enumerate(rows, start=1)]
    return SourceFile(name, card, source_examples(lines, card, name=name))


def run(*sources: SourceFile, engine: WordEngine | None = None, **setup: object) -> TranslatedSet:
    made = Setup(shipped_inventory("en", "sv"), **setup)  # type: ignore[arg-type]
    return translate_sources(sources, engine or WordEngine(), DictMemory(), made, known=builtin_cards())


def test_files_keep_name_order_ids_groups_and_so_their_folds(tmp_path: Path) -> None:
    write_translated(run(source("fiqa.jsonl", FIQA)), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "fiqa.jsonl").read_text().splitlines()]
    assert [(r["id"], r["group"], r["label"]) for r in rows] == [("1", "g1", "positiv"), ("2", "g2", "negativ")]
    examples = read_examples([tmp_path / "fiqa.jsonl"], builtin_card("sentiment-task", "sv"))
    assert [e.answer for e in examples] == ["positive", "negative"]
    assert [fold_of(e.group, 10) for e in examples] == [fold_of(r["group"], 10) for r in FIQA]


def test_a_slot_s_value_is_a_part_of_the_translated_text(tmp_path: Path) -> None:
    engine = WordEngine({**WORDS, "for": "på", "sunday": "söndag"})
    write_translated(run(source("a.jsonl", ALARM, SLOTS), engine=engine), tmp_path)
    row = json.loads((tmp_path / "a.jsonl").read_text())
    assert row["utterance"] == "ställ ett larm på söndag"
    assert row["label"] == "\nIntent: alarm_set\nSlots: date(söndag)"


def test_a_label_that_could_not_be_read_back_is_left_to_a_person_and_the_run_goes_on() -> None:
    other = ALARM[0] | {"utterance": "set an alarm for monday", "label": "\nIntent: alarm_set\nSlots: date(monday)"}
    rows = [ALARM[0] | {"id": "bad"}, other | {"id": "good"}]
    done = run(source("alarm.jsonl", rows, SLOTS), engine=WordEngine({"sunday": "a), time(b", "monday": "måndag"}))
    (file,) = done.files
    assert [example.written is not None for example in file.examples] == [False, True]
    assert "holds '), time('" in file.examples[0].records[0].flags[-1].evidence
    assert "bad" in {item.row_id for item in review_items(done.records, FlagPolicy())}


def test_a_blank_slot_value_is_a_fault_of_its_line() -> None:
    with pytest.raises(DataError, match=r"alarm.jsonl:1.*empty value"):
        source("alarm.jsonl", [{**ALARM[0], "label": "\nIntent: alarm_set\nSlots: date( )"}], SLOTS)


def test_an_engine_is_shown_words_only() -> None:
    engine = WordEngine()
    run(source("fiqa.jsonl", FIQA), source("a.jsonl", ALARM, SLOTS), engine=engine)
    shown = " ".join(engine.asked)
    assert not any(word in shown for word in ("positive", "Sentiment", "alarm_set", "Intent", "date"))


def test_a_second_run_asks_the_engine_nothing_and_writes_the_same_bytes(tmp_path: Path) -> None:
    engine, setup = WordEngine(), Setup(shipped_inventory("en", "sv"))
    with open_store(f"sqlite:///{tmp_path}/bank.db") as store:
        for name in ("one", "two"):
            done = translate_sources([source("f.jsonl", FIQA)], engine, BankMemory(store), setup, known=builtin_cards())
            write_translated(done, tmp_path / name)
            asked = len(engine.asked)
    assert asked == len(engine.asked) == len(set(engine.asked))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert [(tmp_path / "one" / f).read_bytes() for f in files] == [(tmp_path / "two" / f).read_bytes() for f in files]


def test_a_person_s_decision_holds_for_another_engine(tmp_path: Path) -> None:
    def review(row: dict[str, str]) -> dict[str, str]:
        return {**row, "decision": "edit", "edited_text": "vinsten ökade kraftigt för koncernen i år"}

    copying = WordEngine({})
    rows = [{"sentence": "the profit rose sharply at the group this year", "label": "positive"}]
    write_translated(run(source("f.jsonl", rows), engine=copying), tmp_path)
    shown = list(csv.DictReader(io.StringIO((tmp_path / "review.csv").read_text())))
    assert len(shown) == 1, "a copy must be up for review"
    with (tmp_path / "review.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, shown[0].keys())
        writer.writeheader()
        writer.writerows(map(review, shown))
    assert unapplied(tmp_path, {}) == 1
    with open_store(f"sqlite:///{tmp_path}/bank.db") as store:
        decided, items = read_decisions(tmp_path / "review.csv")
        apply_overrides(store, *decided_pair(items, None, None), decided)
        kept = kept_overrides(store, "en", "sv")
    assert unapplied(tmp_path, kept) == 0
    assert unapplied(tmp_path, {key: replace(one, text="en annan") for key, one in kept.items()}) == 1
    done = run(source("f.jsonl", rows), engine=WordEngine({"the": "den"}), overrides=kept)
    assert json.loads(done.files[0].text)["sentence"] == "vinsten ökade kraftigt för koncernen i år"


def test_flagged_rows_can_be_left_out_and_stay_in_review(tmp_path: Path) -> None:
    rows = [*FIQA, {"sentence": "it all went very badly wrong for everyone here", "label": "negative", "id": "9"}]
    made = Setup(shipped_inventory("en", "sv"))
    done = translate_sources(
        [source("f.jsonl", rows)],
        WordEngine(),
        DictMemory(),
        made,
        known=builtin_cards(),
        only=("ok", "unchecked", "warn"),
    )
    write_translated(done, tmp_path)
    assert "9" not in [json.loads(line)["id"] for line in done.files[0].text.splitlines()]
    assert "went very badly" in (tmp_path / "review.csv").read_text()
    assert done.counts()["rows"] == 3
    assert done.counts()["written"] == 2


def test_a_language_without_cards_gets_one_that_reads_the_files(tmp_path: Path) -> None:
    words = {"positive": "positivo", "negative": "negativo", "Sentiment": "Sentimento", "for": "por"}
    engine = WordEngine({**words, "profit": "beneficio"}, tgt="gl")
    labels = proposed([SENTIMENT], Inventory("en", "gl"), engine, DictMemory())
    done = translate_sources([source("f.jsonl", FIQA)], engine, DictMemory(), Setup(labels), known=builtin_cards())
    write_translated(done, tmp_path)
    (card,) = done.made_cards
    assert card.label_space == {"positive": ("positivo",), "negative": ("negativo",)}
    assert card.phrases == {"target": "{sentence} Sentimento por {target}"}
    assert [e.answer for e in read_examples([tmp_path / "f.jsonl"], card)] == ["positive", "negative"]
    assert {flag.name for outcome in done.records for flag in outcome.flags} >= {"label_auto"}


def test_proposed_labels_never_collide() -> None:
    engine = WordEngine({"positive": "same", "negative": "same"}, tgt="gl")
    labels = proposed([SENTIMENT], Inventory("en", "gl"), engine, DictMemory())
    assert labels.label_space("sentiment-task") == {"positive": ("same",), "negative": ("negative",)}


def two_labels(label_space: dict[str, list[str]], description: str = "") -> TaskCard:
    return parse_card(
        {
            "taskname": "mail",
            "lang": "en",
            "prompt_template": "{text}<|VIRTUAL_PROMPT_0|> {label}",
            "total_virtual_tokens": 1,
            "virtual_token_splits": [1],
            "label_space": label_space,
            "description": description,
        }
    )


def test_a_label_whose_words_are_taken_keeps_its_own_words_and_not_its_id() -> None:
    card = two_labels({"0": ["bad"], "1": ["awful", "terrible"], "2": ["very_bad"]})
    same = WordEngine({"bad": "malo", "awful": "malo", "very": "", "terrible": "terrible"}, tgt="gl")
    labels = proposed([card], Inventory("en", "gl"), same, DictMemory())
    assert labels.label_space("mail") == {"0": ("malo",), "1": ("awful",), "2": ("very_bad",)}
    silent = WordEngine({"bad": "", "awful": "", "very": ""}, tgt="gl")
    labels = proposed([card], Inventory("en", "gl"), silent, DictMemory())
    assert labels.label_space("mail") == {"0": ("bad",), "1": ("awful",), "2": ("very_bad",)}


def test_a_phrase_that_is_also_a_label_is_decided_as_both() -> None:
    card = two_labels({"spam": ["spam"], "ham": ["ham"]}, description="spam")
    labels = proposed([card], Inventory("en", "gl"), WordEngine({"spam": "lixo"}, tgt="gl"), DictMemory())
    assert undecided_words(card, labels) == []
    assert (labels.find(("text",), "spam"), labels.find(("label", "mail"), "spam")) == (
        Decision(target="lixo"),
        Decision(target="lixo"),
    )


def test_decisions_hold_for_the_languages_they_were_made_in() -> None:
    rows = [{"sentence": "the profit rose sharply at the group this year", "label": "positive"}]
    (item,) = review_items(run(source("f.jsonl", rows), engine=WordEngine({})).records, FlagPolicy(), ("en", "gl"))
    assert decided_pair([item], None, None) == ("en", "gl")
    with pytest.raises(InputError, match="--tgt is 'sv', but the review file is of en-gl"):
        decided_pair([item], "en", "sv")
    with pytest.raises(InputError, match="does not say its languages"):
        decided_pair([replace(item, src="", tgt="")], "en", None)


def test_no_file_takes_the_place_of_its_source_of_another_or_of_the_run_s_own(tmp_path: Path) -> None:
    itself = replace(source("f.jsonl", FIQA), path=tmp_path / "f.jsonl")
    twice, own = source("g.jsonl", FIQA), source("review.jsonl", FIQA)
    with pytest.raises(InputError, match=r"2 source files.*own files.*itself would be overwritten"):
        refuse_names([itself, twice, twice, own], tmp_path)
    refuse_names([itself, twice], tmp_path / "sv")


def test_labels_of_a_person_are_not_overwritten_by_others(tmp_path: Path) -> None:
    first, second = (run(source("f.jsonl", FIQA)) for _ in range(2))
    write_translated(first, tmp_path)
    labels = tmp_path / "labels.sv.toml"
    labels.write_text("# mine\n" + labels.read_text().replace('target = "positiv"', 'target = "gott"', 1))
    mine = labels.read_text()
    write_translated(second, tmp_path)
    assert labels.read_text() == mine
    assert 'target = "positiv"' in (tmp_path / "labels.sv.used.toml").read_text()
    labels.write_text(mine.replace('target = "gott"', 'target = "positiv"'))
    write_translated(second, tmp_path)
    assert not (tmp_path / "labels.sv.used.toml").exists()


def test_one_folder_has_one_writer(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InputError, match="another process"), locked(tmp_path):
        pass


def test_without_an_engine_the_error_names_the_ways_to_get_one(tmp_path: Path) -> None:
    asked = EngineRequest("en", "tlh", None, Settings(home=tmp_path, db="sqlite://"))
    with pytest.raises(EngineError) as caught:
        choose_engine("auto", asked)
    assert all(way in str(caught.value) for way in ("mt train", "CTranslate2", "Apertium", "recorded:FILE"))
    assert not any(offer.available for offer in offers(asked))


def test_an_engine_of_another_pair_is_refused(tmp_path: Path) -> None:
    known = tmp_path / "known.jsonl"
    known.write_text('{"source": "a", "target": "b"}\n')
    asked = EngineRequest("en", "sv", None, Settings(home=tmp_path, db="sqlite://"))
    offer = choose_engine(f"recorded:{known}", asked)
    assert open_engine(offer, asked).info().langpairs == ("en-sv",)
    with pytest.raises(EngineError, match="no engine here"):
        choose_engine("nothing-of-this-name", asked)


def test_a_damaged_translator_of_the_home_stops_no_other_engine(tmp_path: Path) -> None:
    (tmp_path / "mt" / "half" / "model").mkdir(parents=True)
    (tmp_path / "mt" / "half" / "model" / "translator.json").write_text('{"langpair": "en-')
    (tmp_path / "mt" / "other" / "model").mkdir(parents=True)
    (tmp_path / "mt" / "other" / "model" / "tokenizer_config.json").write_text("{")
    asked = EngineRequest("en", "sv", None, Settings(home=tmp_path, db="sqlite://"))
    assert choose_engine("copy", asked).engine == "copy"
    assert choose_engine("auto", asked).engine == "en-sv"
    damaged = [offer for offer in offers(asked) if offer.why.startswith("damaged: ")]
    assert [(offer.engine, offer.available) for offer in damaged] == [("half", False), ("other", False)]


def test_links_are_kept_so_that_a_second_run_has_the_same(tmp_path: Path) -> None:
    class Moody:
        """Gives other links each time, as a sampler without a seed does."""

        calls = 0

        def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
            self.calls += bool(pairs)
            return [[(0, self.calls)] for _ in pairs]

    moody = Moody()
    with open_store(f"sqlite:///{tmp_path}/bank.db") as store:
        memory = BankMemory(store)
        first = RememberedAligner(moody, memory, "moody", ("en", "sv")).align([("a", "b"), ("c", "d")])
        again = RememberedAligner(moody, memory, "moody", ("en", "sv")).align([("c", "d"), ("a", "b"), ("e", "f")])
    assert first == [[(0, 1)], [(0, 1)]]
    assert again == [[(0, 1)], [(0, 1)], [(0, 2)]]
