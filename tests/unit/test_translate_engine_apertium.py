"""Apertium, for real where it is installed; its stream format everywhere."""

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.spec import is_lang
from translate import EngineError, Segment
from translate.engines import apertium
from translate.engines.apertium import ApertiumEngine, apertium_pairs, escape, unescape

TEXTS = [
    "wake me up at nine am on friday",
    "set the [coffee machine] to [nine am]",
    "hello world",
    "",
    "brexit hits *stars* & <b>bold</b> a/b^c$ {x} @me \\ #5",
    "two\nlines\0and a NUL",
    "The dog sees a cat. It runs!",
]


def installed(langpair):
    if shutil.which("apertium") is None:
        return False
    return langpair in apertium_pairs()


needs_galician = pytest.mark.skipif(
    not installed("en-gl"), reason="Apertium with en-gl is not installed (apt-get install apertium apertium-en-gl)"
)


def segments(texts):
    return [Segment(str(n), "en", "gl", text) for n, text in enumerate(texts)]


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" ")))
def test_what_is_escaped_comes_back_without_a_mark(text):
    assert unescape(escape(text)) == " ".join(text.split())


@given(st.text())
def test_nothing_of_a_text_stays_special_in_the_stream(text):
    bare = escape(text).replace("[*]", "").replace("[#]", "")
    for special in "[]{}^$/@<>":
        assert bare.count(special) == bare.count("\\" + special)


def test_marks_are_removed_and_signs_of_the_text_stay():
    found = unescape(r"o *floccinaucini's gato #ver, @casa \[*x\] 5[*]3 \@me")
    assert found == "o floccinaucini's gato ver, casa [x] 5*3 @me"


def test_without_the_program_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EngineError, match="apt-get install apertium"):
        ApertiumEngine(("en", "gl"))


@pytest.fixture
def fake(monkeypatch):
    """A program whose answers are set by hand."""
    answers = {"-l": "  en-gl\n  eng-spa\n  spa-eng_US\n  hbs-eng\n", "-V": "Apertium 3.8.3\n"}

    def run(*arguments, stdin=""):
        assert (arguments[0] == "-z") == bool(stdin)
        return answers.get(arguments[0], "")

    monkeypatch.setattr(apertium, "_run", run)
    return answers


def test_directions_are_named_by_two_letter_codes(fake):
    expected = {"en-gl": "en-gl", "en-es": "eng-spa", "es-en-US": "spa-eng_US", "hbs-en": "hbs-eng"}
    assert apertium_pairs() == expected


def test_a_variant_is_a_region_of_the_target(fake):
    fake["-l"] = "  spa-por_BR\n  eng-cat_valencia\n"
    assert ApertiumEngine(("es", "pt-BR")).info().engine_id.startswith("apertium:spa-por_BR:")
    assert ApertiumEngine(("en", "ca-valencia")).info().langpairs == ("en-ca-valencia",)
    assert all(is_lang(code) for code in ("pt-BR", "ca-valencia"))
    with pytest.raises(EngineError, match="not es-pt;"):
        ApertiumEngine(("es", "pt"))


def test_a_pair_that_is_not_installed_is_refused_with_those_that_are(fake):
    with pytest.raises(EngineError, match=r"en-es, en-gl.*not en-sv"):
        ApertiumEngine(("en", "sv"))


@pytest.mark.parametrize("answer", ["", "ola[\n].[]\0", "ola[\n].[]\0mundo\0"])
def test_a_lost_text_is_an_error_and_never_a_shift(fake, answer):
    fake["-z"] = answer
    with pytest.raises(EngineError, match="of 2 texts"):
        ApertiumEngine(("en", "gl")).translate(segments(["hello", "world"]))


def test_nothing_to_translate_starts_no_process(fake):
    assert [found.text for found in ApertiumEngine(("en", "gl")).translate(segments(["", " \n"]))] == ["", ""]


def test_a_program_that_fails_is_an_error_with_its_words(tmp_path, monkeypatch):
    program = tmp_path / "apertium"
    program.write_text("#!/bin/sh\necho 'Error: no modes' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(program))
    with pytest.raises(EngineError, match="status 3: Error: no modes"):
        apertium_pairs()


@needs_galician
def test_a_sentence_is_translated_into_galician():
    engine = ApertiumEngine(("en", "gl"))
    [found] = engine.translate(segments(["The dog sees a cat."]))
    assert found.text == "O can ve un gato."
    assert found.score is None
    assert engine.info().langpairs == ("en-gl",)
    assert engine.info().engine_id.startswith("apertium:en-gl:3.")


@needs_galician
def test_line_n_in_is_line_n_out_and_as_the_program_translates_it_alone():
    outputs = ApertiumEngine(("en", "gl")).translate(segments(TEXTS))
    assert len(outputs) == len(TEXTS)
    for text, output in zip(TEXTS, outputs, strict=True):
        alone = subprocess.run(["apertium", "-u", "en-gl"], input=" ".join(text.replace("\0", " ").split()).encode(),
                               capture_output=True, check=True).stdout.decode()  # fmt: skip
        if "*" not in text:  # the program itself cannot tell a user's stars from its marks
            assert output.text == " ".join(alone.split())


@needs_galician
def test_brackets_around_spans_and_unknown_words_survive():
    marked, unknown = ApertiumEngine(("en", "gl")).translate(segments([TEXTS[1], "I like floccinaucini cats"]))
    assert marked.text.count("[") == marked.text.count("]") == 2
    assert "floccinaucini" in unknown.text
    assert "*" not in unknown.text
