"""The pipeline: the article's rows come out right, structure never reaches the engine, a second run asks it nothing."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from translate import (
    ClassLabel,
    EngineError,
    EngineInfo,
    Frame,
    Hypothesis,
    IntentLabel,
    PolicyError,
    Record,
    Segment,
    SlotLabel,
    Span,
    source_hash,
)
from translate.checks import FlagPolicy
from translate.engines import CopyEngine, RecordedEngine, load_recorded
from translate.inventory.file import shipped_inventory
from translate.inventory.inventory import Decision, Inventory
from translate.pipeline.memory import DictMemory
from translate.pipeline.pipeline import Setup, translate_records
from translate.pipeline.translated import Override, TranslatedRecord, provenance
from translate.records.record import slots_from_spans
from translate.review.items import review_items

SETUP = Setup(shipped_inventory("en", "sv"))


def request(row_id: str, annotated: str, intent: str) -> Record:
    """A record of the assistant kind from "set an alarm for [date : sunday]"."""
    text, spans = "", []
    for n, part in enumerate(annotated.replace("]", "[").split("[")):
        kind, _, value = part.partition(" : ") if n % 2 else ("", "", part)
        spans += [Span(len(text), len(text) + len(value), kind)] if kind else []
        text += value
    label = IntentLabel(intent, slots_from_spans(text, spans))
    return Record(row_id, f"g{row_id}", "intent_and_slot", text, tuple(spans), label)


HEADLINE = Record(
    "4",
    "g4",
    "sentiment-task",
    "Britain's Lloyds to pay first dividend since rescue",
    label=ClassLabel("positive"),
    frame=Frame("{sentence} Sentiment for {target}", "sentence", (("target", "Lloyds"),)),
)
ARTICLE = [
    request("1", "can you start the [device_type : coffee machine] for me", "iot_coffee"),
    request("2", "set an alarm for [date : sunday]", "alarm_set"),
    request("3", "wake me up at [time : nine am] on [date : friday]", "alarm_set"),
    HEADLINE,
]
TRANSLATED = {
    "can you start the [coffee machine] for me": "kan du starta [kaffemaskinen] åt mig",
    "set an alarm for [sunday]": "ställ ett larm på [söndag]",
    "wake me up at [nine am] on [friday]": "väck mig på [fredag] klockan [nio på morgonen]",
    HEADLINE.text: "Brittiska Lloyds betalar första utdelningen sedan räddningen",
}


def recorded(**known: str) -> RecordedEngine:
    return RecordedEngine("test", "en", "sv", {text: Hypothesis(said) for text, said in (TRANSLATED | known).items()})


class Spy:
    """Passes everything on, and keeps what it was asked."""

    def __init__(self, engine: RecordedEngine | CopyEngine) -> None:
        self._engine = engine
        self.asked: list[str] = []

    def info(self) -> EngineInfo:
        return self._engine.info()

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        self.asked += [segment.text for segment in segments]
        return self._engine.translate(segments)


def shown(outcome: TranslatedRecord) -> str:
    """A row in the article's format, as a task's renderer would write it."""
    target = outcome.target
    assert target is not None
    if isinstance(target.label, IntentLabel):
        slots = ", ".join(f"{slot.type}({slot.value})" for slot in target.label.slots) or "None"
        return f"{target.text}\nIntent: {target.label.intent}\nSlots: {slots}"
    return f"{target.framed} {outcome.label_text}"


def test_the_articles_rows_come_out_right() -> None:
    outcomes = translate_records(ARTICLE, recorded(), DictMemory(), SETUP)
    assert [shown(outcome) for outcome in outcomes] == [
        "kan du starta kaffemaskinen åt mig\nIntent: iot_coffee\nSlots: device_type(kaffemaskinen)",
        "ställ ett larm på söndag\nIntent: alarm_set\nSlots: date(söndag)",
        "väck mig på fredag klockan nio på morgonen\nIntent: alarm_set\nSlots: time(nio på morgonen), date(fredag)",
        "Brittiska Lloyds betalar första utdelningen sedan räddningen Känslan för Lloyds positiv",
    ]
    assert [(o.status, o.flags) for o in outcomes] == [("unchecked", ())] * 4
    assert [(o.target.id, o.target.group) for o in outcomes if o.target] == [(r.id, r.group) for r in ARTICLE]


def test_every_slot_value_is_a_stretch_of_the_target_text() -> None:
    for outcome in translate_records(ARTICLE, recorded(), DictMemory(), SETUP):
        assert outcome.target is not None
        slots = outcome.target.label.slots if isinstance(outcome.target.label, IntentLabel) else ()
        assert all(slot.value and slot.value in outcome.target.text for slot in slots)


def test_no_label_type_or_phrase_reaches_the_engine() -> None:
    spy = Spy(recorded())
    translate_records(ARTICLE, spy, DictMemory(), SETUP)
    assert sorted(spy.asked) == sorted(TRANSLATED)


def test_a_second_run_asks_the_engine_nothing_and_gives_the_same() -> None:
    memory, second = DictMemory(), Spy(recorded())
    first = translate_records(ARTICLE, recorded(), memory, SETUP)
    assert translate_records(ARTICLE, second, memory, SETUP) == first
    assert second.asked == []


def test_outcomes_do_not_depend_on_the_order_or_the_size_of_batches() -> None:
    forth = translate_records(ARTICLE, recorded(), DictMemory(), SETUP)
    back = translate_records(ARTICLE[::-1], recorded(), DictMemory(), replace(SETUP, characters=1))
    assert back[::-1] == forth


def test_a_clock_error_goes_to_review_with_both_times() -> None:
    said = "väck mig på [fredag] klockan [nio på kvällen]"
    (outcome,) = translate_records(
        ARTICLE[2:3], recorded(**{"wake me up at [nine am] on [friday]": said}), DictMemory(), SETUP
    )
    assert outcome.status == "review"
    assert any("09:00" in f.evidence and "21:00" in f.evidence for f in outcome.flags if f.name == "time_mismatch")


def test_spoilt_marks_are_searched_in_a_plain_translation() -> None:
    known = {
        "set an alarm for [sunday]": "ställ ett larm på [söndag",
        "set an alarm for sunday": "ställ ett larm på söndag.",
        "sunday": "Söndag.",
    }
    (outcome,) = translate_records(ARTICLE[1:2], recorded(**known), DictMemory(), SETUP)
    assert shown(outcome).endswith("date(söndag)")
    assert (outcome.mode, [f.name for f in outcome.flags]) == ("plain", ["marks_refused"])


def test_a_row_whose_slot_is_lost_is_not_emitted_but_shown_to_a_person() -> None:
    known = {
        "set an alarm for [sunday]": "ställ ett larm",
        "set an alarm for sunday": "ställ ett larm",
        "sunday": "söndag",
    }
    (outcome,) = translate_records(ARTICLE[1:2], recorded(**known), DictMemory(), SETUP)
    assert (outcome.target, outcome.status, outcome.text) == (None, "review", "ställ ett larm")
    assert {"slot_lost", "date_mismatch"} <= {flag.name for flag in outcome.flags}


class Links:
    """An aligner with known links."""

    def __init__(self, links: list[tuple[int, int]]) -> None:
        self._links = links

    def align(self, pairs: Sequence[tuple[str, str]]) -> list[list[tuple[int, int]]]:
        return [self._links for _ in pairs]


def test_an_aligner_finds_what_no_form_tells() -> None:
    plain = {"can you start the coffee machine for me": "kan du slå på bryggaren", "coffee machine": "kaffemaskin"}
    engine = replace(recorded(**plain), markers="none")
    assert translate_records(ARTICLE[:1], engine, DictMemory(), SETUP)[0].target is None
    aligned = replace(SETUP, aligner=Links([(4, 4), (5, 4)]))
    (outcome,) = translate_records(ARTICLE[:1], engine, DictMemory(), aligned)
    assert shown(outcome).endswith("device_type(bryggaren)")


def test_a_lost_name_is_translated_once_more_with_a_placeholder() -> None:
    known = {
        HEADLINE.text: "Storbritanniens Lloyd betalar",
        "Britain's X0 to pay first dividend since rescue": "X0 betalar första utdelningen sedan räddningen",
    }
    (outcome,) = translate_records([HEADLINE], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert (outcome.text, outcome.mode) == ("Lloyds betalar första utdelningen sedan räddningen", "masked")


def test_a_name_lost_even_so_is_flagged() -> None:
    known = {HEADLINE.text: "Banken betalar", "Britain's X0 to pay first dividend since rescue": "Banken betalar"}
    (outcome,) = translate_records([HEADLINE], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert (outcome.mode, outcome.status) == ("plain", "review")
    assert "entity_lost" in {flag.name for flag in outcome.flags}


def headline(text: str, target: str) -> Record:
    return Record("5", "g5", "sentiment-task", text, label=ClassLabel("positive"), protected=(target,))


DEAL = headline("Shell buys BG for $69.7 billion in May", "Shell")


def test_a_spoilt_value_is_held_out_and_written_as_the_target_language_writes_it() -> None:
    known = {
        DEAL.text: "Shell köper BG för $69,7 miljontals i maj",
        "X0 buys BG for X1 in May": "X0 köper BG för X1 i maj",
    }
    spy = Spy(replace(recorded(**known), rewrites=True))
    (outcome,) = translate_records([DEAL], spy, DictMemory(), SETUP)
    assert (outcome.text, outcome.mode) == ("Shell köper BG för 69,7 miljarder dollar i maj", "values")
    assert outcome.status == "unchecked"
    assert spy.asked == list(known)


def test_another_way_that_the_checks_doubt_no_less_is_not_taken() -> None:
    known = {
        DEAL.text: "Shell köper BG för 70 dollar i maj",
        "X0 buys BG for X1 in May": "X0 köper X1 i maj för 7 euro",
    }
    (outcome,) = translate_records([DEAL], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert (outcome.text, outcome.mode, outcome.status) == ("Shell köper BG för 70 dollar i maj", "plain", "review")


def test_a_placeholder_that_got_lost_leaves_the_first_translation() -> None:
    known = {DEAL.text: "Shell köper BG för 70 dollar i maj", "X0 buys BG for X1 in May": "X0 köper BG i maj"}
    (outcome,) = translate_records([DEAL], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert (outcome.mode, outcome.status) == ("plain", "review")


CUT = headline("Shell And Statoil Are Said To Cut Thousands Of Jobs", "Shell")
SEEN = headline("banks and shops are said to cut thousands of jobs at Statoil", "Shell")
SAID_OF_CUTS = {
    CUT.text: CUT.text,
    "X0 and Statoil are said to cut thousands of jobs": "X0 och Statoil sägs skära ned tusentals jobb",
    SEEN.text: "banker och affärer sägs skära ned tusentals jobb hos Statoil",
}


def test_a_headline_that_was_copied_goes_in_as_a_sentence_and_names_keep_their_capitals() -> None:
    engine = replace(recorded(**SAID_OF_CUTS), rewrites=True)
    outcome, _ = translate_records([CUT, SEEN], engine, DictMemory(), SETUP)
    assert (outcome.text, outcome.mode) == ("Shell och Statoil sägs skära ned tusentals jobb", "recased")
    assert [(flag.name, flag.number) for flag in outcome.flags] == [("recased", 8)]  # all but the two names
    assert outcome.status == "warn"


def test_a_decision_on_one_row_changes_the_translation_of_no_other() -> None:
    engine = replace(recorded(**SAID_OF_CUTS), rewrites=True)
    before, _ = translate_records([CUT, SEEN], engine, DictMemory(), SETUP)
    for override in (Override(source_hash(SEEN), drop=True), Override(source_hash(SEEN), text="banker skär ned")):
        decided = replace(SETUP, overrides={override.source_hash: override})
        after, _ = translate_records([CUT, SEEN], engine, DictMemory(), decided)
        assert after == before


def test_a_value_in_the_sources_spelling_is_respelt_and_nothing_else_changes() -> None:
    row = headline("Tesla recalls 2,700 Model X cars", "Tesla")
    spy = Spy(replace(recorded(**{row.text: "Tesla återkallar 2,700 Model X-bilar"}), rewrites=True))
    (outcome,) = translate_records([row], spy, DictMemory(), SETUP)
    assert (outcome.text, outcome.mode, outcome.status) == (
        "Tesla återkallar 2 700 Model X-bilar",
        "spelt",
        "unchecked",
    )
    assert spy.asked == [row.text]


def test_a_value_with_its_comma_changed_is_respelt_too_and_a_broken_pound_sign_goes_with_it() -> None:
    known = {DEAL.text: "Shell köper BG för $69,7 billion i maj"}
    (outcome,) = translate_records([DEAL], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert (outcome.text, outcome.mode) == ("Shell köper BG för 69,7 miljarder dollar i maj", "spelt")
    row = headline("Tesco gets a Â£250m infusion", "Tesco")
    known = {row.text: "Tesco får en Â£250 m infusion", "X0 gets a X1 infusion": "X0 får en infusion på X1"}
    (outcome,) = translate_records([row], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert outcome.text == "Tesco får en infusion på 250 miljoner pund"


def test_a_compound_of_a_written_value_is_no_better() -> None:
    known = {
        DEAL.text: "Shell köper BG för 70 dollar i maj",
        "X0 buys BG for X1 in May": "X0, ett X1-köp i maj",
    }
    (outcome,) = translate_records([DEAL], replace(recorded(**known), rewrites=True), DictMemory(), SETUP)
    assert outcome.mode == "plain"


def test_a_row_that_can_be_written_is_never_changed_for_one_that_cannot() -> None:
    row = request("1", "wake me at 9:15 am on [date : friday]", "alarm_set")
    first = recorded(**{"wake me at 9:15 am on [friday]": "väck mig klockan 8.15 på morgonen på [lördag]"})
    known = {
        "wake me at 9:15 am on [friday]": "väck mig klockan 9.15 på morgonen [då",
        "wake me at 9:15 am on friday": "väck mig klockan 9.15 på morgonen då",
        "friday": "fredag",
    }
    fallback = replace(recorded(**known), name="other")
    (outcome,) = translate_records([row], first, DictMemory(), replace(SETUP, fallback=fallback))
    assert outcome.target is not None
    assert outcome.engine_id == first.info().engine_id


@pytest.mark.parametrize("said", ["Shell köper BG för 70 dollar i maj", "Bolaget köper BG för 70 dollar i maj"])
def test_a_recording_and_a_service_are_asked_for_the_very_text_alone(said: str) -> None:
    spy = Spy(recorded(**{DEAL.text: said}))
    translate_records([DEAL], spy, DictMemory(), SETUP)
    assert spy.asked == [DEAL.text]


MEETING = request("7", "about the [event_name : meeting] at the [place_name : office]", "calendar_query")
MEETING_SAID = {"about the [meeting] at the [office]": "på [kontoret] om [mötet]"}


class Patient(Spy):
    """May be asked the same in other ways."""

    def info(self) -> EngineInfo:
        return replace(super().info(), rewrites=True)


def test_spans_that_changed_places_are_told_apart_by_what_they_are_alone() -> None:
    alone = {"meeting": "möte", "office": "kontor"}
    (outcome,) = translate_records([MEETING], Patient(recorded(**MEETING_SAID, **alone)), DictMemory(), SETUP)
    assert shown(outcome).endswith("event_name(mötet), place_name(kontoret)")
    assert outcome.status == "unchecked"


def test_spans_that_only_the_order_of_the_words_tells_apart_are_told() -> None:
    (outcome,) = translate_records([MEETING], recorded(**MEETING_SAID), DictMemory(), SETUP)  # a recording: asked once
    assert [(flag.name, flag.evidence) for flag in outcome.flags] == [("span_searched", "found by order (0)")]
    assert outcome.status == "warn"


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text_stays_empty_and_the_engine_is_not_asked(text: str) -> None:
    spy = Spy(recorded())
    (outcome,) = translate_records([replace(HEADLINE, text=text)], spy, DictMemory(), SETUP)
    assert spy.asked == []
    assert outcome.target is not None
    assert outcome.target.framed == " Känslan för Lloyds"
    assert outcome.status == "ok"


@pytest.mark.parametrize("name", [unicodedata.normalize("NFD", "Nestlé"), "Royal  Mail"])
def test_a_name_in_another_spelling_of_the_same_letters_is_protected(name: str) -> None:
    text = f"{name} cuts costs"
    tidied = " ".join(unicodedata.normalize("NFC", text).split())
    engine = recorded(**{tidied: "Bolaget skär ner kostnader"})
    setup = replace(SETUP, names=(name,))
    (outcome,) = translate_records([Record("1", "g", "x", text)], engine, DictMemory(), setup)
    assert "entity_lost" in {flag.name for flag in outcome.flags}


def test_a_text_with_more_spans_than_there_are_marks_goes_without() -> None:
    spans = " ".join(f"[x : w{n}]" for n in range(11))
    spy = Spy(recorded(**{" ".join(f"w{n}" for n in range(11)): "ord"}, **{f"w{n}": "ord" for n in range(11)}))
    translate_records([request("1", spans, "any")], spy, DictMemory(), replace(SETUP, aligner=None))
    assert not any("[" in text for text in spy.asked)


def test_a_span_found_by_a_search_that_is_often_wrong_is_told() -> None:
    plain = {"can you start the coffee machine for me": "kan du slå på bryggaren", "coffee machine": "kaffemaskin"}
    aligned = replace(SETUP, aligner=Links([(4, 4), (5, 4)]))
    (outcome,) = translate_records(ARTICLE[:1], replace(recorded(**plain), markers="none"), DictMemory(), aligned)
    assert [(f.name, f.severity, f.evidence) for f in outcome.flags if f.name == "span_searched"] == [
        ("span_searched", "warn", "found by align (75)")
    ]


def test_a_wrong_clock_time_stays_with_its_own_span() -> None:
    row = request("1", "cancel my [time : five p. m.] [general_frequency : daily] call", "alarm_remove")
    known = {"cancel my [five p. m.] [daily] call": "avboka mitt [femton på eftermiddagen] [dag] ring"}
    (outcome,) = translate_records([row], recorded(**known), DictMemory(), SETUP)
    assert shown(outcome).endswith("time(femton på eftermiddagen), general_frequency(dag)")


def test_doubtful_rows_and_no_others_go_to_the_fallback_engine() -> None:
    fallback = Spy(replace(recorded(**{DEAL.text: "Shell köper BG för 69,7 miljarder dollar i maj"}), name="other"))
    first = recorded(**{DEAL.text: "Shell köper BG för 70 dollar i maj"})
    good, mended = translate_records([HEADLINE, DEAL], first, DictMemory(), replace(SETUP, fallback=fallback))
    assert fallback.asked == [DEAL.text]
    assert (mended.status, mended.engine_id) == ("unchecked", fallback.info().engine_id)
    assert good.engine_id == first.info().engine_id


class Dying:
    """An engine that dies at a text, once what came before it is kept."""

    def __init__(self, engine: RecordedEngine, at: str) -> None:
        self._engine, self._at = engine, at

    def info(self) -> EngineInfo:
        return self._engine.info()

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        if any(segment.text == self._at for segment in segments):
            raise KeyboardInterrupt
        return self._engine.translate(segments)


def test_a_run_that_died_in_another_way_goes_on_there_and_ends_the_same() -> None:
    other, masked = "Sales fell to $5 million", "Sales fell to X0"
    rows = [DEAL, headline(other, "Shell")]
    first = {DEAL.text: "Shell köper BG för $69,7 miljontals i maj", "X0 buys BG for X1 in May": "X1"}
    known = {**first, other: "Försäljningen föll till 6 dollar", masked: "Försäljningen föll till 6 dollar"}
    engine, memory = replace(recorded(**known), rewrites=True), DictMemory()
    fallback = replace(recorded(**(known | {other: "Försäljningen föll till 5 miljoner dollar"})), name="other")
    setup = replace(SETUP, fallback=fallback)
    with pytest.raises(KeyboardInterrupt):
        translate_records(rows, engine, memory, replace(setup, fallback=Dying(fallback, other)))
    spy = Spy(engine)
    outcomes = translate_records(rows, spy, memory, setup)
    assert spy.asked == []
    assert outcomes == translate_records(rows, engine, DictMemory(), setup)
    assert outcomes[1].text == "Försäljningen föll till 5 miljoner dollar"


def test_what_no_translation_can_mend_is_not_sent_again() -> None:
    renamed = Inventory("en", "sv", {("intent",): {"alarm_set": Decision("larm_ställ")}})
    fallback = Spy(recorded())
    (outcome,) = translate_records(ARTICLE[1:2], recorded(), DictMemory(), Setup(renamed, fallback=fallback))
    assert ([flag.name for flag in outcome.flags], fallback.asked) == (["label_auto"], [])


def test_a_fallback_engine_of_another_pair_is_refused() -> None:
    with pytest.raises(EngineError, match="translates en-gl, not en-sv"):
        translate_records(ARTICLE, recorded(), DictMemory(), replace(SETUP, fallback=CopyEngine("en", "gl")))


def test_a_copying_engine_passes_no_check() -> None:
    outcomes = translate_records(ARTICLE, CopyEngine("en", "sv"), DictMemory(), SETUP)
    assert {outcome.status for outcome in outcomes} == {"review"}
    assert all({"copy", "language"} <= {f.name for f in o.flags} for o in outcomes)


def test_an_engine_of_another_pair_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(EngineError, match="translates en-gl, not en-sv"):
        translate_records(ARTICLE, CopyEngine("en", "gl"), DictMemory(), SETUP)


def test_what_a_person_decided_holds_for_every_engine() -> None:
    text = "larma på söndag"
    edit = Override(source_hash(ARTICLE[1]), text=text, spans=(Span(9, 15, "date"),))
    drop = Override(source_hash(ARTICLE[0]), drop=True)
    decided = replace(SETUP, overrides={o.source_hash: o for o in (edit, drop)})
    spy = Spy(CopyEngine("en", "sv"))
    dropped, edited = translate_records(ARTICLE[:2], spy, DictMemory(), decided)
    assert (dropped.target, dropped.status, spy.asked) == (None, "drop", [])
    assert shown(edited) == f"{text}\nIntent: alarm_set\nSlots: date(söndag)"
    assert edited.mode == "human"


def test_renamed_ids_are_renamed_one_to_one() -> None:
    decisions = {("intent",): {"alarm_set": Decision("larm_ställ")}, ("slot_type",): {"date": Decision("datum")}}
    (outcome,) = translate_records(ARTICLE[1:2], recorded(), DictMemory(), Setup(Inventory("en", "sv", decisions)))
    assert shown(outcome) == "ställ ett larm på söndag\nIntent: larm_ställ\nSlots: datum(söndag)"
    assert outcome.status == "warn"  # no person has approved the new ids


def test_a_language_without_an_inventory_keeps_ids_and_says_so() -> None:
    engine = RecordedEngine(
        "test", "en", "gl", {HEADLINE.text: Hypothesis("O Lloyds británico pagará o primeiro dividendo")}
    )
    (outcome,) = translate_records([HEADLINE], engine, DictMemory(), Setup(shipped_inventory("en", "gl")))
    assert outcome.label_text == "positive"
    assert {"label_auto", "values_unchecked"} <= {flag.name for flag in outcome.flags}
    assert outcome.status == "warn"


def test_a_policy_decides_the_status() -> None:
    lenient = replace(SETUP, policy=FlagPolicy({"copy": "info", "language": "info", "left_words": "info"}))
    (outcome,) = translate_records(ARTICLE[1:2], CopyEngine("en", "sv"), DictMemory(), lenient)
    assert outcome.status == "review"  # sunday is no Swedish date
    (outcome,) = translate_records([replace(HEADLINE, frame=None)], CopyEngine("en", "sv"), DictMemory(), lenient)
    assert outcome.status == "unchecked"


def test_a_policy_with_an_unknown_flag_is_refused_before_anything_is_sent() -> None:
    spy = Spy(recorded())
    with pytest.raises(PolicyError, match="'copied'"):
        translate_records(ARTICLE, spy, DictMemory(), replace(SETUP, policy=FlagPolicy({"copied": "drop"})))
    assert spy.asked == []


def test_provenance_is_plain_data_and_the_same_every_time() -> None:
    outcomes = [translate_records(ARTICLE, recorded(), DictMemory(), SETUP) for _ in range(2)]
    first, second = (json.dumps([provenance(o) for o in each]) for each in outcomes)
    assert first == second
    assert json.loads(first)[1]["spans"] == [{"start": 18, "end": 24, "type": "date"}]


def test_recorded_translations_come_from_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "google.jsonl"
    path.write_text('{"source": "a", "target": "b", "score": -1}\n\n', encoding="utf-8-sig")
    engine = load_recorded(path, "en", "sv")
    assert engine.known == {"a": Hypothesis("b", -1.0)}
    assert engine.info().engine_id.startswith("recorded:google:")
    assert replace(engine, known={"a": Hypothesis("c")}).info().engine_id != engine.info().engine_id


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"source": "a"}',
        '{"source": 1, "target": "b"}',
        '{"source": "a", "target": "\\ud800"}',
        '{"source": "a", "target": "b", "score": "high"}',
        '{"source": "a", "target": "b", "score": [1]}',
    ],
)
def test_a_faulty_recording_names_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(EngineError, match="line 1"):
        load_recorded(path, "en", "sv")


def test_a_text_that_was_never_recorded_is_named() -> None:
    with pytest.raises(EngineError, match="never recorded, the first is 'new'"):
        translate_records([replace(HEADLINE, text="new")], recorded(), DictMemory(), SETUP)


def test_a_translation_that_does_not_lead_home_is_flagged() -> None:
    class Back(CopyEngine):
        """Knows one sentence's way back."""

        def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
            known = {"Resultatet steg kraftigt.": "Profit rose sharply."}
            return [Hypothesis(known.get(s.text, "something else entirely")) for s in segments]

    texts = ["Profit rose sharply.", "The plant in Lund was closed."]
    records = [Record(str(n), str(n), "t", text) for n, text in enumerate(texts)]
    known = {texts[0]: Hypothesis("Resultatet steg kraftigt."), texts[1]: Hypothesis("Fabriken i Lund stängdes.")}
    engine = RecordedEngine("r", "en", "sv", known)
    found = translate_records(records, engine, DictMemory(), replace(SETUP, back=Back("sv", "en")))
    assert [any(flag.name == "back_translation" for flag in one.flags) for one in found] == [False, True]
    with pytest.raises(EngineError, match="not sv-en"):
        translate_records(records, engine, DictMemory(), replace(SETUP, back=CopyEngine("en", "sv")))


def test_a_person_s_word_does_not_mend_a_label_that_the_source_s_text_lacks() -> None:
    label = IntentLabel("alarm_set", (SlotLabel("date", "today", None),))
    stray = Record("r", "g", "intent_and_slot", "set an alarm", label=label, notes=("src_slot_not_in_text",))

    def decided(override: Override) -> TranslatedRecord:
        setup = replace(SETUP, overrides={source_hash(stray): override})
        (outcome,) = translate_records([stray], recorded(), DictMemory(), setup)
        return outcome

    kept = decided(Override(source_hash(stray), text="ställ ett larm"))
    assert (kept.mode, kept.status, [flag.name for flag in kept.flags]) == ("human", "review", ["src_slot_not_in_text"])
    assert [item.row_id for item in review_items([kept], FlagPolicy())] == ["r"]
    dropped = decided(Override(source_hash(stray), drop=True))
    assert (dropped.status, dropped.flags) == ("drop", ())


def test_a_doubted_row_is_also_sent_without_marks() -> None:
    texts = {
        "set an alarm for [sunday]": "larma på [sunday]",
        "set an alarm for sunday": "larma på söndag",
        "sunday": "söndag",
    }
    engine = RecordedEngine("test", "en", "sv", {text: Hypothesis(said) for text, said in texts.items()})
    object.__setattr__(engine, "info", lambda: replace(RecordedEngine.info(engine), rewrites=True))
    (outcome,) = translate_records(ARTICLE[1:2], engine, DictMemory(), SETUP)
    assert (outcome.mode, outcome.text, outcome.status) == ("plain", "larma på söndag", "unchecked")
