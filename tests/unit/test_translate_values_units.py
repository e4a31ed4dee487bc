"""Units: stated once for a list or a range, lost, or invented."""

import pytest

from translate.values import compare_texts


def reasons(source: str, target: str) -> tuple[str, ...]:
    return compare_texts(source, target, src="en", tgt="sv").reasons()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("$10 to $12", "10 till 12 dollar"),
        ("$10-12", "10\u201312 dollar"),
        ("$1.2-1.5 billion", "1,2-1,5 miljarder dollar"),
        ("$1.2-1.5 billion", "1,2 miljarder dollar till 1,5 miljarder dollar"),
        ("10% to 12%", "10 till 12 %"),
        ("$10, $12, and $15", "10, 12 och 15 dollar"),
        ("£10m to £12m", "10 till 12 miljoner pund"),
        ("from 5 to 6 million kronor", "från 5 till 6 mkr"),
        ("five or six dollars", "fem dollar eller sex dollar"),
        ("in 2014 and $5", "2014 och 5 dollar"),
        ("convert five american dollars", "konvertera fem amerikanska dollar"),
    ],
)
def test_a_unit_stated_once_counts_for_the_list_or_range(source: str, target: str) -> None:
    assert reasons(source, target) == ()


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("$10 to $12", "10 till 12", ["10 USD ('$10') lost", "12 USD ('$12') lost"]),
        ("$1.2-1.5 billion", "1,2-1,5 miljarder", ["1.2 USD ('$1.2') lost"]),
        ("10% of 12%", "10 av 12 %", ["10 % ('10%') lost"]),
        ("$10 and 12 men", "10 dollar och 12 kronor", ["12 ('12') got"]),
        (
            "$1.2 million to $1.5 billion",
            "1,2 till 1,5 miljarder dollar",
            ["the source says 1200000", "the target says 1.2 "],
        ),
        ("the third, 5%", "3 %, 5 %", ["3 ('third') got"]),
    ],
)
def test_a_unit_that_the_list_or_range_does_not_state_is_told(source: str, target: str, told: list[str]) -> None:
    found = reasons(source, target)
    assert len(found) == len(told)
    assert all(reason.startswith(one) for reason, one in zip(found, told, strict=True))


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("it rose 5 today", "den steg 5 % idag", "5 ('5') got a unit: 5 % ('5 %')"),
        ("5 apples", "5 dollar", "5 ('5') got a unit: 5 USD ('5 dollar')"),
    ],
)
def test_an_invented_unit_is_told(source: str, target: str, told: str) -> None:
    found = compare_texts(source, target, src="en", tgt="sv")
    assert not found.compatible
    assert found.reasons() == (told,)
    assert found.reasons(frozenset({"number"})) == ()
