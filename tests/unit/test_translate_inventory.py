"""The inventory: one decision a label, collisions refused, approved entries safe from proposals, files come back."""

from pathlib import Path

import pytest

from tasks.builtin import builtin_card
from translate.errors import InventoryError
from translate.inventory.file import (
    dump_inventory,
    load_inventory,
    parse_inventory,
    shipped_inventory,
)
from translate.inventory.inventory import Decision, Inventory, InventoryText, merge

SENTIMENT = ("label", "sentiment-task")
HEAD = 'src = "en"\ntgt = "sv"\n'


def inventory(*entries: tuple[tuple[str, ...], str, Decision]) -> Inventory:
    decisions: dict[tuple[str, ...], dict[str, Decision]] = {}
    for section, key, decision in entries:
        decisions.setdefault(section, {})[key] = decision
    return Inventory("en", "sv", decisions)


def test_the_shipped_labels_are_those_of_the_shipped_swedish_card() -> None:
    card = builtin_card("sentiment-task", "sv")
    assert shipped_inventory("en", "sv").label_space("sentiment-task") == dict(card.label_space or {})
    phrase = builtin_card("sentiment-task", "en").phrases["target"]
    assert shipped_inventory("en", "sv").text(phrase).text == card.phrases["target"]


def test_intents_and_slot_types_stay_as_they_are_unless_renamed() -> None:
    assert shipped_inventory("en", "sv").id_of(("intent",), "iot_coffee").text == "iot_coffee"
    renamed = inventory((("intent",), "iot_coffee", Decision("sak_kaffe")))
    assert (renamed.id_of(("intent",), "iot_coffee").text, renamed.id_of(("intent",), "iot_coffee").auto) == (
        "sak_kaffe",
        True,
    )


def test_a_pair_without_a_shipped_inventory_has_an_empty_one() -> None:
    assert shipped_inventory("en", "gl").decisions == {}
    assert shipped_inventory("de", "sv").decisions == {}
    assert shipped_inventory("en", "../x").decisions == {}


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (
            [(SENTIMENT, "positive", Decision("bra", ("fin",))), (SENTIMENT, "negative", Decision("dålig", ("FIN",)))],
            "'fin' would mean negative and positive",
        ),
        (
            [(("intent",), "a", Decision("b")), (("intent",), "b", Decision(keep=True))],
            "'b' would mean a and b",
        ),
        (
            [(("slot_type",), x, Decision(keep=True, phrase="namn")) for x in ("a", "b")],
            "phrases: 'namn' would mean a and b",
        ),
        ([(SENTIMENT, "positive", Decision("bra", keep=True))], "exclude each other"),
        ([(SENTIMENT, "positive", Decision())], "no target"),
        ([(("text",), "for {target}", Decision("för {mål}"))], "other placeholders"),
        ([(("intent",), "iot_coffee", Decision("iot _ kaffe"))], "'iot _ kaffe' is no id"),
    ],
)
def test_a_faulty_decision_is_refused(entries: list[tuple[tuple[str, ...], str, Decision]], says: str) -> None:
    with pytest.raises(InventoryError, match=says):
        inventory(*entries)


def test_two_values_may_share_a_form() -> None:
    shared = [(("value", "date"), key, Decision("dagens")) for key in ("today", "today's")]
    assert inventory(*shared).value_forms("date", "Today") == ("dagens",)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(InventoryError) as caught:
        inventory((SENTIMENT, "a", Decision()), (("intent",), "b", Decision("1")))
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("src = ", "no TOML"),
        (HEAD + "[sentiment.positive]\ntarget = 'x'", "sentiment: Extra inputs"),
        (HEAD + "[intent.a]\ntraget = 'x'", "intent.a.traget: Unexpected keyword argument"),
        (HEAD + "[intent.a]\ntarget = 'x'\nstatus = 'maybe'", "'approved' or 'auto'"),
    ],
)
def test_a_faulty_file_names_the_place(text: str, says: str) -> None:
    with pytest.raises(InventoryError, match=says):
        parse_inventory(text, "labels.sv.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"none\.toml"):
        load_inventory(tmp_path / "none.toml")


def test_a_written_inventory_comes_back(tmp_path: Path) -> None:
    odd = Decision('å "{target}" \\ \x7f\n', ("x'y",), status="approved", by="Åsa")
    made = inventory((("text",), 'on "{target}".', odd), (("slot_type",), "time", Decision(keep=True, phrase="tid")))
    (tmp_path / "labels.sv.toml").write_text(dump_inventory(made), encoding="utf-8")
    assert load_inventory(tmp_path / "labels.sv.toml").decisions == made.decisions
    assert [path.name for path in tmp_path.iterdir()] == ["labels.sv.toml"]


@pytest.mark.parametrize("tgt", ["is", "sv"])
def test_the_shipped_file_comes_back(tgt: str) -> None:
    shipped = shipped_inventory("en", tgt)
    assert shipped.decisions
    assert parse_inventory(dump_inventory(shipped), "again").decisions == shipped.decisions


def test_proposals_leave_approved_entries_alone_and_add_to_the_others() -> None:
    known = inventory(
        (SENTIMENT, "positive", Decision("positiv", status="approved")), (SENTIMENT, "negative", Decision("negativ"))
    )
    proposed = inventory(
        (SENTIMENT, "positive", Decision("bra")),
        (SENTIMENT, "negative", Decision("dålig", ("negativt",))),
        (SENTIMENT, "neutral", Decision("neutral", ("negativ", "neutralt"))),
    )
    merged = merge(known, proposed).decisions[SENTIMENT]
    assert merged["positive"] == Decision("positiv", status="approved")
    assert merged["negative"].forms == ("negativ", "dålig", "negativt")
    assert merged["neutral"].forms == ("neutral", "neutralt")  # "negativ" already means negative


def test_a_proposed_target_that_means_another_label_is_refused() -> None:
    known = inventory((SENTIMENT, "positive", Decision("bra", status="approved")))
    with pytest.raises(InventoryError, match="'bra' would mean fine and positive"):
        merge(known, inventory((SENTIMENT, "fine", Decision("bra"))))


def test_proposals_of_another_pair_are_refused() -> None:
    with pytest.raises(InventoryError, match="en-gl proposals do not fit en-sv"):
        merge(inventory(), Inventory("en", "gl"))


def test_a_phrase_that_is_kept_stays_as_it_is() -> None:
    kept = Inventory("en", "sv", {("text",): {"The mood is": Decision(keep=True, status="approved")}})
    assert kept.text("The mood is") == InventoryText("The mood is", auto=False)
