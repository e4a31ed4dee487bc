"""The tokenizer hash: over content, not over files."""

import json

import pytest
import sentencepiece
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from promptbank.model.backbone.tokenizer_hash import hash_tokenizer
from tests.tiny import CORPUS, KINDS, tiny_tokenizer


def rebuilt(tokenizer, change):
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    change(parts)
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(parts)),
        **{f"{name}_token": f"<{name}>" for name in ("bos", "eos", "pad")},
    )


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_loading_keeps_the_hash(kind, tmp_path):
    tokenizer = tiny_tokenizer(kind)
    tokenizer.save_pretrained(tmp_path)
    assert hash_tokenizer(AutoTokenizer.from_pretrained(tmp_path)) == hash_tokenizer(tokenizer)


def test_padding_and_truncating_a_batch_leaves_no_trace():
    tokenizer = tiny_tokenizer("llama")
    before = hash_tokenizer(tokenizer)
    tokenizer(["a longer text", "b"], padding=True, truncation=True, max_length=3)
    assert json.loads(tokenizer.backend_tokenizer.to_str())["padding"] is not None
    assert hash_tokenizer(tokenizer) == before


def test_merges_as_strings_and_as_pairs_agree():
    tokenizer = tiny_tokenizer("gpt2")

    def to_strings(parts):
        parts["model"]["merges"] = [" ".join(pair) for pair in parts["model"]["merges"]]

    assert hash_tokenizer(rebuilt(tokenizer, to_strings)) == hash_tokenizer(tokenizer)


def swap_ids(parts):
    vocabulary = parts["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]


def drop_last_merge(parts):
    parts["model"]["merges"].pop()


def lower_case(parts):
    parts["normalizer"] = {"type": "Lowercase"}


def space_first(parts):
    parts["pre_tokenizer"]["add_prefix_space"] = True


def no_bos(parts):
    parts["post_processor"] = None


@pytest.mark.parametrize("change", [swap_ids, drop_last_merge, lower_case, space_first, no_bos])
def test_what_changes_ids_changes_the_hash(change):
    tokenizer = tiny_tokenizer("llama")
    assert hash_tokenizer(rebuilt(tokenizer, change)) != hash_tokenizer(tokenizer)


def test_another_end_token_changes_the_hash():
    tokenizer, other = tiny_tokenizer("gpt2"), tiny_tokenizer("gpt2")
    other.eos_token = other.pad_token
    assert hash_tokenizer(other) != hash_tokenizer(tokenizer)


def sentencepiece_tokenizer(folder, corpus):
    from transformers import GPTSw3Tokenizer

    folder.mkdir()
    model = folder / "spiece.model"
    with model.open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus),
            model_writer=out,
            vocab_size=60,
            hard_vocab_limit=False,
            num_threads=1,
            minloglevel=2,
        )
    return GPTSw3Tokenizer(str(model))


def test_a_tokenizer_without_a_fast_form_is_hashed_over_its_sentencepiece_model(tmp_path):
    first = sentencepiece_tokenizer(tmp_path / "first", CORPUS)
    other = sentencepiece_tokenizer(tmp_path / "other", CORPUS[:3])
    assert not first.is_fast
    first.save_pretrained(tmp_path / "saved")
    again = type(first).from_pretrained(tmp_path / "saved")
    assert hash_tokenizer(again) == hash_tokenizer(first) != hash_tokenizer(other)
