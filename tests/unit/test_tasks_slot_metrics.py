"""Scores of intents and slots, worked out by hand."""

import pytest

from tasks import DataError, intent_slot_report


def label(intent: str, slots: str = "None") -> str:
    return f"\nIntent: {intent}\nSlots: {slots}"


def test_the_scores_are_those_worked_out_by_hand() -> None:
    rows = [  # utterance, gold, predicted
        ("nine am on friday", label("set", "time(nine am), date(friday)"), label("set", "date(friday), time(nine am)")),
        ("nine am on friday", label("set", "time(nine am), date(friday)"), label("set", "time(nine), date(friday)")),
        ("one or one", label("ask", "n(one), n(one)"), label("ask", "n(one)")),
        ("stop", label("stop"), label("play", "song(stop me)")),
        ("stop", label("stop"), "I would say stop"),
        ("one to one", label("ask", "a(one), b(one)"), label("ask", "b(one), a(one)")),
    ]
    report = intent_slot_report(*zip(*rows, strict=True))
    # gold slots 2+2+2+0+0+2 = 8; predicted 2+2+1+1+0+2 = 8; right by value 2+1+1+0+0+2 = 6
    assert report.as_dict() == pytest.approx(
        {
            "n": 6,
            "intent_accuracy": 4 / 6,
            "slot_precision": 6 / 8,
            "slot_recall": 6 / 8,
            "slot_f1": 6 / 8,
            "span_f1": 2 * 4 / 16,  # the last row's two values stand in each other's places
            "exact_match": 2 / 6,
            "grounded": 4 / 6,  # "stop me" is not in "stop", and one row cannot be read
            "parsed": 5 / 6,
        }
    )


def test_precision_recall_and_f1_differ_as_they_should() -> None:
    report = intent_slot_report(["a b c"], [label("i", "x(a)")], [label("i", "x(a), y(b), z(c)")])
    assert (report.slot_precision, report.slot_recall, report.slot_f1) == (1 / 3, 1, 0.5)


def test_what_is_undefined_is_0() -> None:
    report = intent_slot_report(["a"], [label("i")], [label("i")])
    assert (report.slot_precision, report.slot_recall, report.slot_f1, report.span_f1) == (0, 0, 0, 0)
    assert (report.exact_match, report.grounded, report.parsed) == (1, 1, 1)


def test_a_value_outside_the_utterance_is_never_in_its_place() -> None:
    text = label("i", "x(gone)")
    report = intent_slot_report(["here"], [text], [text])
    assert (report.slot_f1, report.span_f1, report.exact_match, report.grounded) == (1, 0, 1, 0)


def test_types_of_the_card_decide_what_can_be_read() -> None:
    gold, predicted = label("i", "x(a), y(b)"), label("i", "z(a)")
    assert intent_slot_report(["a), y(b"], [gold], [predicted]).parsed == 1
    assert intent_slot_report(["a), y(b"], [gold], [predicted], ["x", "y"]).parsed == 0
    assert intent_slot_report(["a), y(b"], [gold], [label("i", "x(a), y(b)")], ["x"]).grounded == 1


def test_unreadable_gold_and_unequal_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="gold answer 2 cannot be read: character 0"):
        intent_slot_report(["a", "b"], [label("i"), "x"], [label("i")] * 2)
    for texts, gold, predicted in (([], [], []), (["a"], [], []), (["a"], [label("i")], [])):
        with pytest.raises(ValueError, match="equal numbers above 0"):
            intent_slot_report(texts, gold, predicted)
