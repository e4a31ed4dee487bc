"""The memory: nothing is translated twice, a kill loses at most a batch, order and batches depend on texts alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translate import EngineError, EngineInfo, Hypothesis, Segment
from translate.pipeline.memory import DictMemory, Step, batches, make_segment, segment_key, translate_segments


class Counting:
    """Shouts; counts what it is asked, and dies after some batches when told to."""

    def __init__(self, engine_id: str = "shout", dies_after: int | None = None) -> None:
        self.asked: list[list[str]] = []
        self._id, self._dies_after = engine_id, dies_after

    def info(self) -> EngineInfo:
        return EngineInfo(self._id, ("en-sv",), "bracket")

    def translate(self, segments: list[Segment]) -> list[Hypothesis]:
        if len(self.asked) == self._dies_after:
            raise KeyboardInterrupt
        self.asked.append([segment.text for segment in segments])
        return [Hypothesis(segment.text.upper()) for segment in segments]


def segments(*texts: str) -> list[Segment]:
    return [make_segment("en", "sv", "plain", text) for text in texts]


TEXTS = segments("aaaa", "bb", "cc", "dddd", "bb")


def test_each_distinct_text_is_translated_once() -> None:
    engine = Counting()
    found = translate_segments(engine, DictMemory(), TEXTS)
    assert sorted(text for batch in engine.asked for text in batch) == ["aaaa", "bb", "cc", "dddd"]
    assert [found[s.key].text for s in TEXTS] == ["AAAA", "BB", "CC", "DDDD", "BB"]


def test_a_second_run_asks_the_engine_nothing() -> None:
    memory, first, second = DictMemory(), Counting(), Counting()
    one = translate_segments(first, memory, TEXTS)
    steps: list[Step] = []
    assert translate_segments(second, memory, TEXTS, on_step=steps.append) == one
    assert second.asked == []
    assert steps == [Step(4, 4, 4)]


def test_another_engine_is_asked_again() -> None:
    memory = DictMemory()
    translate_segments(Counting(), memory, TEXTS)
    other = Counting("other")
    translate_segments(other, memory, TEXTS)
    assert other.asked


def test_a_kill_loses_at_most_the_batch_it_was_in() -> None:
    memory, killed, after = DictMemory(), Counting(dies_after=2), Counting()
    with pytest.raises(KeyboardInterrupt):
        translate_segments(killed, memory, TEXTS, characters=4)
    translate_segments(after, memory, TEXTS, characters=4)
    whole = Counting()
    translate_segments(whole, DictMemory(), TEXTS, characters=4)
    assert killed.asked + after.asked == whole.asked


def test_progress_counts_segments() -> None:
    steps: list[Step] = []
    translate_segments(Counting(), DictMemory(), TEXTS, characters=4, on_step=steps.append)
    assert [(step.done, step.total) for step in steps] == [(0, 4), (1, 4), (2, 4), (4, 4)]


def test_an_engine_that_gives_too_few_is_an_error() -> None:
    class Lazy(Counting):
        def translate(self, segments: list[Segment]) -> list[Hypothesis]:
            return []

    with pytest.raises(EngineError, match="0 translations for 4 segments"):
        translate_segments(Lazy(), DictMemory(), TEXTS)


def test_a_key_tells_languages_modes_and_texts_apart() -> None:
    parts = [
        ("en", "sv", "plain", "a"),
        ("en", "gl", "plain", "a"),
        ("en", "sv", "bracket", "a"),
        ("e", "nsv", "plain", "a"),
    ]
    assert len({segment_key(*part) for part in parts}) == len(parts)


@given(texts=st.lists(st.text(min_size=1, max_size=30), max_size=20), size=st.integers(1, 60), data=st.data())
def test_batches_hold_each_text_once_within_the_size_in_any_order(
    texts: list[str], size: int, data: st.DataObject
) -> None:
    made = list(batches(segments(*texts), size))
    shuffled = data.draw(st.permutations(texts))
    assert list(batches(segments(*shuffled), size)) == made
    assert sorted(s.text for batch in made for s in batch) == sorted(set(texts))
    assert all(len(batch) == 1 or max(len(s.text) for s in batch) * len(batch) <= size for batch in made)


def test_what_no_database_keeps_becomes_a_sign_that_a_check_flags() -> None:
    class Odd:
        def info(self) -> EngineInfo:
            return EngineInfo("odd", ("en-sv",), "none")

        def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
            return [Hypothesis("a\0b\ud800c") for _ in segments]

    segment = make_segment("en", "sv", "plain", "x")
    assert translate_segments(Odd(), DictMemory(), [segment])[segment.key].text == "a\ufffdb\ufffdc"


def test_a_run_that_goes_on_has_the_batches_of_one_that_was_never_killed() -> None:
    texts = segments(*(f"text number {n}" for n in range(40)))
    whole, broken, memory = Counting(), Counting(dies_after=3), DictMemory()
    translate_segments(whole, DictMemory(), texts, characters=100)
    with pytest.raises(KeyboardInterrupt):
        translate_segments(broken, memory, texts, characters=100)
    again = Counting()
    translate_segments(again, memory, texts, characters=100)
    assert broken.asked + again.asked == whole.asked
