"""Records: spans and slots agree with the text by construction and move along; protected strings are found."""

import pytest

from translate import ClassLabel, Frame, IntentLabel, Record, RecordError, SlotLabel, Span, source_hash, tidy
from translate.records.protect import find_protected, is_kept, mask, read_names, unmask
from translate.records.record import slots_from_spans

TEXT = "wake me at nine am on friday"
SPANS = (Span(11, 18, "time"), Span(22, 28, "date"))


def alarm(**changed: object) -> Record:
    label = IntentLabel("alarm_set", slots_from_spans(TEXT, SPANS))
    fields = {"id": "r1", "group": "g1", "taskname": "intent_and_slot", "text": TEXT, "spans": SPANS, "label": label}
    return Record(**{**fields, **changed})


def test_slots_of_spans_are_the_stretches_themselves() -> None:
    assert [(s.type, s.value, s.span) for s in slots_from_spans(TEXT, SPANS)] == [
        ("time", "nine am", 0),
        ("date", "friday", 1),
    ]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"spans": (Span(5, 5, "time"),), "label": None}, "empty or outside"),
        ({"spans": (Span(22, 99, "date"),), "label": None}, "outside a text of 28 characters"),
        ({"spans": (Span(0, 9, "a"), Span(8, 12, "b")), "label": None}, "a and b overlap"),
        (
            {"label": IntentLabel("alarm_set", (SlotLabel("time", "nine", 0),))},
            r"time\(nine\) is not its span time\(nine am\)",
        ),
        ({"label": IntentLabel("alarm_set", (SlotLabel("time", "nine am", 2),))}, "names span 2; there are 2"),
    ],
)
def test_a_record_that_contradicts_itself_cannot_be_made(changed: dict[str, object], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        alarm(**changed)


def test_a_slot_that_stands_nowhere_in_the_text_keeps_its_value() -> None:
    label = IntentLabel("alarm_set", (SlotLabel("time", "9:00", None),))
    assert alarm(spans=(), label=label).label == label


def test_a_frame_expands_nothing_inside_its_values() -> None:
    frame = Frame("{sentence} Sentiment for {target}", "sentence", (("target", "{sentence}"),))
    assert frame.render("{target} up") == "{target} up Sentiment for {sentence}"


def test_a_frame_names_the_placeholders_it_lacks() -> None:
    with pytest.raises(RecordError, match=r"\['sentence'\]"):
        Frame("{sentence} Sentiment", "sentence", (("target", "Acme"),))


def test_tidying_composes_letters_and_spaces_and_moves_spans_along() -> None:
    text = "  re\u0301sume\u0301   at\u00a0nine  am "
    nine = Span(text.index("nine"), len(text) - 1, "time")
    made = tidy(alarm(text=text, spans=(nine,), label=IntentLabel("x", slots_from_spans(text, (nine,)))))
    assert made.text == "résumé at nine am"
    assert made.spans[0].of(made.text) == "nine am"
    assert made.label == IntentLabel("x", (SlotLabel("time", "nine am", 0),))


def test_a_source_is_known_by_what_it_says_not_by_its_id() -> None:
    assert source_hash(alarm()) == source_hash(alarm(id="r2", group="g2"))
    assert source_hash(alarm()) != source_hash(alarm(label=ClassLabel("positive")))
    assert source_hash(alarm()) != source_hash(alarm(text=TEXT + " "))


def test_what_must_survive_is_found_with_its_kind() -> None:
    text = "$TSLA & $5, ask ann.b@acme.co or @acme at https://acme.co/a?b=1. COVID-19 #ev Acme Ltd"
    found = [(p.kind, p.string) for p in find_protected(text, ["Acme", "Acme Ltd"])]
    assert found == [
        ("ticker", "$TSLA"),
        ("email", "ann.b@acme.co"),
        ("handle", "@acme"),
        ("url", "https://acme.co/a?b=1"),
        ("code", "COVID-19"),
        ("hashtag", "#ev"),
        ("name", "Acme Ltd"),
    ]


def test_a_name_is_found_as_a_word_only() -> None:
    assert find_protected("LloydsPharmacy", ["Lloyds"]) == ()


@pytest.mark.parametrize("text", ["Lloyds betalar", "Lloyds' utdelning", "hos Lloyds-banken", "Lloyds:s vinst"])
def test_an_inflected_name_is_kept(text: str) -> None:
    assert is_kept("Lloyds", text)


def test_a_rewritten_name_is_lost() -> None:
    assert not is_kept("Lloyds", "Lloyd betalar")


def test_masked_strings_come_back_and_a_lost_or_doubled_placeholder_is_told() -> None:
    text = "X0 says $TSLA beats Acme"
    masked, meaning = mask(text, find_protected(text, ["Acme"]))
    assert masked == "X1 says X2 beats X3"  # X0 looks like a code, so it is protected too
    assert unmask("Enligt X1 slås X3 av X2", meaning) == "Enligt X0 slås Acme av $TSLA"
    assert unmask("X1, X2 och X2", meaning) is None
    assert unmask("X1 och X2", meaning) is None


def test_a_list_of_names_has_comments_and_no_doubles() -> None:
    assert read_names(["# banks", "Lloyds", "", " Acme Ltd ", "Lloyds"]) == ("Lloyds", "Acme Ltd")
