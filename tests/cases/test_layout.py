"""Line breaks, lists, tables and indents come back as they were, and spans stay in their lines."""

import re
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translate import EngineInfo, Hypothesis, IntentLabel, Record, Segment, Span, source_hash, tidy
from translate.checks import Draft, run_checks
from translate.inventory.inventory import Inventory
from translate.pipeline.memory import DictMemory, segment_key, translate_plain
from translate.pipeline.pipeline import Setup, translate_records
from translate.protocols import Markers
from translate.records.layout import join_layout, skeleton, split_layout, tidy_layout
from translate.records.record import slots_from_spans, tidy_text


class Backwards:
    """An engine that turns the letters of each word round, and keeps marks; it refuses to see a line break or tab."""

    def __init__(self, markers: Markers = "none") -> None:
        self._markers, self.asked = markers, list[str]()

    def info(self) -> EngineInfo:
        return EngineInfo("backwards", ("en-sv",), self._markers)

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        self.asked += [segment.text for segment in segments]
        assert not any(re.search(r"[\t\n\r\v\f\x85\u2028\u2029]", segment.text) for segment in segments)
        return [Hypothesis(turned(s.text), float(-len(s.text))) for s in segments]


def turned(text: str) -> str:
    return re.sub(r"</?s\d+>|[^\W\d_]+", lambda found: found[0] if found[0][0] == "<" else found[0][::-1], text)


KEPT = {
    "Line one\nline two\n\n- item\t1": "eniL eno\nenil owt\n\n- meti\t1",
    "1. wake me\n2) call home\n   a) now": "1. ekaw em\n2) llac emoh\n   a) won",
    "name\tage\nann\t17\nbo\t2.5 years": "eman\tega\nnna\t17\nob\t2.5 sraey",
    "# Title\r\n\r\n> quoted\r\n* [ ] todo": "# eltiT\r\n\r\n> detouq\r\n* [ ] odot",
    "yes\n-----\nno": "sey\n-----\non",
    "\u2022 one\n\u2022 two\u2028three": "\u2022 eno\n\u2022 owt\u2028eerht",
    "a\n\tindented": "a\n\tdetnedni",
    "- one line": "- eno enil",
    "- [x] done\n+ 1.2) deep": "- [x] enod\n+ 1.2) peed",
}


@pytest.mark.parametrize("text", KEPT)
def test_the_engine_sees_lines_and_the_layout_stays(text: str) -> None:
    engine = Backwards()
    assert translate_plain(engine, DictMemory(), ("en", "sv"), [text]) == [KEPT[text]]
    (done,) = translate_records([Record("1", "1", "t", text)], Backwards(), DictMemory(), Setup(Inventory("en", "sv")))
    assert done.text == KEPT[text]
    assert done.target is not None
    assert "layout_lost" not in [flag.name for flag in done.flags]


@pytest.mark.parametrize("markers", ["none", "bracket", "trained"])
def test_spans_stay_in_their_lines(markers: Markers) -> None:
    text = "wake me:\n- at nine\n- on friday, please\n"
    spans = tuple(Span(text.index(v), text.index(v) + len(v), k) for v, k in (("nine", "time"), ("friday", "date")))
    record = Record("1", "1", "t", text, spans, IntentLabel("alarm", slots_from_spans(text, spans)))
    (done,) = translate_records([record], Backwards(markers), DictMemory(), Setup(Inventory("en", "sv")))
    assert done.text == "ekaw em:\n- ta enin\n- no yadirf, esaelp"
    if markers != "none":
        assert [span and span.of(done.text) for span in done.spans] == ["enin", "yadirf"]


def test_a_break_inside_a_span_is_told() -> None:
    text = "fly to new\nyork\nnow"
    span = Span(7, 15, "city")
    made = tidy(Record("1", "1", "t", text, (span,), IntentLabel("fly", slots_from_spans(text, (span,)))))
    assert (made.text, made.spans[0].of(made.text)) == ("fly to new york\nnow", "new york")
    assert made.notes == ("a line break or tab inside a span became a space",)
    assert tidy(made) == made


def test_a_translation_that_lost_its_layout_is_flagged() -> None:
    source = Record("1", "1", "t", "one\n- two\n- three\tx")
    for lost in ("ett - två - tre x", "ett\ntvå\ntre\tx", "ett\n- två\n- tre x", "ett\n- två\n\n- tre\tx"):
        assert "layout_lost" in [flag.name for flag in run_checks(Draft(source, lost, (), "en", "sv"))]
    assert "layout_lost" not in [f.name for f in run_checks(Draft(source, "ett\n- två\n- tre\tx", (), "en", "sv"))]


def test_the_score_of_several_lines_is_their_mean_by_length() -> None:
    text = "abc\nabcdefghi"
    (done,) = translate_records([Record("1", "1", "t", text)], Backwards(), DictMemory(), Setup(Inventory("en", "sv")))
    assert done.score == pytest.approx((3 * -3 + 9 * -9) / 12)


LETTERS = st.sampled_from("ab1\u00e9e\u0301.-*#>)( \u00a0\t\n\r\u2028[]x")
TEXTS = st.text(LETTERS | st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_what_is_cut_comes_back(text: str) -> None:
    parts = split_layout(text)
    assert len(parts) % 2 == 1
    assert join_layout(parts, parts[1::2]) == text
    assert all(not re.search(r"[\t\n\r\v\f\x85\u2028\u2029]", piece) for piece in parts[1::2])


@given(TEXTS)
def test_other_words_leave_the_skeleton_as_it_is(text: str) -> None:
    parts = split_layout(text)
    said = join_layout(parts, ["ord ord" if piece else "" for piece in parts[1::2]])
    if "\t" in text or "\n" in text:
        assert skeleton(said) == skeleton(text)


@given(TEXTS)
def test_tidying_is_done_once_and_keeps_breaks_and_tabs(text: str) -> None:
    tidied = tidy_layout(text)
    assert tidy_layout(tidied) == tidied == tidied.strip()
    assert tidied.split() == unicodedata.normalize("NFC", text).split()
    breaks = re.findall(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", text.strip())
    assert re.findall(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", tidied) == breaks
    assert tidy(Record("1", "1", "t", text)).text == tidied


@given(st.text(st.sampled_from("ab \u00a0.-*"), min_size=1))
def test_a_text_of_one_line_is_known_as_it_ever_was(text: str) -> None:
    made, old = tidy(Record("1", "1", "t", text)), Record("1", "1", "t", tidy_text(text))
    assert source_hash(made) == source_hash(old)
    engine = Backwards()
    memory = DictMemory()
    translate_plain(engine, memory, ("en", "sv"), [made.text])
    assert engine.asked == ([old.text] if old.text else [])
    assert set(memory.recall("backwards", [segment_key("en", "sv", "plain", old.text)])) == (
        {segment_key("en", "sv", "plain", old.text)} if old.text else set()
    )
