"""Values: every number and clock time that num2words can say is read back."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translate.values import compare_texts, read_values, written_value

num2words = pytest.importorskip("num2words").num2words


@given(n=st.integers(2, 10**9), lang=st.sampled_from(["en", "is", "sv"]))
def test_a_number_in_words_is_read_back(n: int, lang: str) -> None:
    mentions = read_values(num2words(n, lang=lang).replace(",", ""), lang)
    assert [[int(r.value) for r in m.readings if r.kind == "number"] for m in mentions] == [[n]]


@given(n=st.integers(1, 31), lang=st.sampled_from(["en", "sv"]))
def test_an_ordinal_in_words_is_read_back(n: int, lang: str) -> None:
    said = num2words(n, lang=lang, to="ordinal").replace("tjugode", "tjugonde")  # as the dictionary (SAOL) has it
    (mention,) = read_values(said, lang)
    assert n in {int(reading.value) for reading in mention.readings}


@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_clock_time_is_the_same_in_digits_in_both_languages(hour: int, minute: int) -> None:
    half = "am" if hour < 12 else "pm"
    english = f"{(hour - 1) % 12 + 1}:{minute:02} {half}"
    for tgt, clock in (("sv", "klockan"), ("is", "klukkan")):
        assert compare_texts(english, f"{clock} {hour:02}.{minute:02}", src="en", tgt=tgt).compatible
        assert not compare_texts(english, f"{clock} {hour:02}.{(minute + 1) % 60:02}", src="en", tgt=tgt).compatible


@given(text=st.text(max_size=60), lang=st.sampled_from(["en", "is", "sv", "gl"]))
def test_any_text_is_read_without_error_and_mentions_are_in_order(text: str, lang: str) -> None:
    mentions = read_values(text, lang)
    assert all(m.text == text[m.start : m.end] and m.readings for m in mentions)
    assert all(a.end <= b.start for a, b in pairwise(mentions))


@given(
    said=st.from_regex(
        r"((nine|at|half|past|am|pm|9|\.|:|30|march|twenty|two|hundred|and|first|kl) ){0,9}", fullmatch=True
    )
)
def test_a_text_agrees_with_itself(said: str) -> None:
    assert compare_texts(said, said, src="en", tgt="en").compatible
    assert compare_texts(said, said, src="sv", tgt="sv").compatible
    assert compare_texts(said, said, src="is", tgt="is").compatible


@given(
    value=st.decimals(0, 999_999, allow_nan=False, allow_infinity=False, places=2),
    form=st.sampled_from(["{}", "${}", "£{}", "{}%", "{} percent", "{} euros", "${}k", "${} million", "{}bn", "€{}tn"]),
    grouped=st.booleans(),
    tgt=st.sampled_from(["is", "sv"]),
)
def test_a_value_is_written_so_that_the_target_reads_the_same(
    value: Decimal, form: str, grouped: bool, tgt: str
) -> None:
    digits = f"{value:,}" if grouped else f"{value}"
    (said,) = read_values(form.format(digits), "en")
    written = written_value(said, tgt)
    assert written is not None
    (read,) = read_values(f"Nu {written} igen", tgt)
    assert read.readings == said.readings


@given(day=st.integers(1, 31), month=st.sampled_from(["January", "Feb", "April", "Sept", "Dec"]))
def test_a_date_is_written_so_that_swedish_reads_the_same(day: int, month: str) -> None:
    for text in (f"{month} {day}", f"{day} {month}"):
        (said,) = read_values(text, "en")
        (read,) = read_values(written_value(said, "sv") or "", "sv")
        assert read.readings == said.readings
