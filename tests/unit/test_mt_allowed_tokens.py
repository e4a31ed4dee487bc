"""The words a translator may write: a search over them is the search over all with the others struck out."""

import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from promptbank.engine.decoding import AllTokens, BeamSearch, decode
from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel
from promptbank.mt.engines.backbone import open_engine
from promptbank.mt.languages import Languages
from promptbank.mt.translator.allowed_tokens import FILE, AllowedTokens, read_tokens, tokens_bytes, writable_tokens
from promptbank.mt.translator.model import load_translator, prepared, save_translator
from promptbank.mt.translator.updates import FullUpdate
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.unit.test_decoding import PROMPTS, lm_of
from translate import Segment

EOS = 1
KNOWN = [*range(100, 180), EOS]
EN_SV = Languages("en", "sv")


def struck_out(lm: LanguageModel, prompt: tuple[int, ...], steps: int) -> tuple[int, ...]:
    """Greedy search over the model's own logits, all words but the open ones struck out; one pass a token."""
    closed = torch.ones(lm.vocabulary, dtype=torch.bool)
    closed[[*KNOWN, *prompt]] = False
    ids: list[int] = []
    while len(ids) < steps and (not ids or ids[-1] != EOS):
        with torch.no_grad():
            logits = lm.model(input_ids=torch.tensor([[*prompt, *ids]])).logits[0, -1]
        ids.append(int(logits.masked_fill(closed, -torch.inf).argmax()))
    return tuple(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_only_known_words_and_those_of_the_text_itself_are_written(kind: Kind) -> None:
    lm = lm_of(kind)
    how = BeamSearch(ratio=0, extra=12, once=0)
    found = decode(lm, PROMPTS, EOS, how, tokens=AllowedTokens(lm, KNOWN))
    assert [one.ids for one in found] == [struck_out(lm, prompt, 12) for prompt in PROMPTS]
    if kind != "gemma3":  # the tiny one repeats the last word of its text
        assert [one.ids for one in found] != [one.ids for one in decode(lm, PROMPTS, EOS, how)]


@pytest.mark.parametrize("beam", [1, 3])
def test_all_words_listed_is_no_list(beam: int) -> None:
    lm = lm_of("llama")
    how = BeamSearch(beam=beam, ratio=1, extra=6, once=3)
    listed = decode(lm, PROMPTS, EOS, how, tokens=AllowedTokens(lm, range(lm.vocabulary)))
    free = decode(lm, PROMPTS, EOS, how, tokens=AllTokens(lm))
    assert [one.ids for one in listed] == [one.ids for one in free]
    assert [one.score for one in listed] == pytest.approx([one.score for one in free], abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_text_may_not_take_the_words_of_its_neighbours(beam: int) -> None:
    lm = lm_of("llama", seed=3)
    how = BeamSearch(beam=beam, ratio=2, extra=4)
    words = AllowedTokens(lm, KNOWN)
    for prompt, found in zip(PROMPTS, decode(lm, PROMPTS, EOS, how, tokens=words), strict=True):
        (alone,) = decode(lm, [prompt], EOS, how, tokens=words)
        assert alone.ids == found.ids
        assert set(found.ids) <= {*KNOWN, *prompt}


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_a_file_of_words_gives_them_back(tmp_path_factory: pytest.TempPathFactory, case: tuple[int, set[int]]) -> None:
    vocabulary, words = case
    folder = tmp_path_factory.mktemp("words")
    (folder / FILE).write_bytes(tokens_bytes(words, vocabulary))
    assert read_tokens(folder, vocabulary) == sorted(words)


@pytest.mark.parametrize("kind", KINDS)
def test_words_in_the_letters_of_the_corpus_are_open_and_other_scripts_are_not(kind: Kind) -> None:
    tokenizer = tiny_backbone(kind).tokenizer
    rows = [tokenizer.encode(text) for text in ("the year is good", "profit rose")] * 20
    found = writable_tokens(tokenizer, rows)
    assert {word for row in rows for word in row} <= found
    letters = {character for row in rows for word in row for character in tokenizer.decode([word])}
    added = set(tokenizer.get_added_vocab().values())
    assert found & added <= {word for row in rows for word in row}
    for word in set(tokenizer.get_vocab().values()) - added:
        spelt = tokenizer.decode([word])
        assert (word in found) == (set(spelt) - {"\ufffd"} <= letters), spelt
    assert len(found) < len(tokenizer.get_vocab())


def test_a_letter_that_hardly_ever_stands_in_the_corpus_opens_nothing() -> None:
    tokenizer = tiny_backbone("llama").tokenizer
    often = tokenizer.encode("the year is good")
    once = next(word for word in tokenizer.get_vocab().values() if set(tokenizer.decode([word])) & set("xqzjk"))
    letter = next(iter(set(tokenizer.decode([once])) & set("xqzjk")))
    found = writable_tokens(tokenizer, [*[often] * 20_000, [once]])
    assert once in found
    others = {w for w in tokenizer.get_vocab().values() if letter in tokenizer.decode([w])} - {once}
    assert found.isdisjoint(others)


def test_a_damaged_file_or_one_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    assert read_tokens(tmp_path, 300) is None
    whole = tokens_bytes([1, 2], 300)
    (tmp_path / FILE).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(TrainingError, match="is damaged"):
        read_tokens(tmp_path, 300)
    (tmp_path / FILE).write_bytes(zlib.compress(b"\0" * 20))
    with pytest.raises(TrainingError, match="of about 160 tokens, the backbone has 300"):
        read_tokens(tmp_path, 300)


def test_a_translator_keeps_its_words_and_its_engine_is_another_one_without(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    model = prepared(backbone, FullUpdate())
    some, every = tmp_path / "some", tmp_path / "all"
    for folder, words in ((some, KNOWN), (every, None)):
        save_translator(folder, model, backbone, FullUpdate(), languages=EN_SV, facts={}, tokens=words)
    assert load_translator(some, backbone).tokens == sorted(KNOWN)
    assert load_translator(every, backbone).tokens is None
    held, free = (open_engine(folder, backbone) for folder in (some, every))
    assert held.info().engine_id != free.info().engine_id
    segment = Segment("k", "en", "sv", "the year is good")
    assert held.translate([segment])[0].text != free.translate([segment])[0].text
    save_translator(some, model, backbone, FullUpdate(), languages=EN_SV, facts={})
    assert load_translator(some, backbone).tokens is None
