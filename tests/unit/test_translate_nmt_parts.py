"""Pairs, pieces, batches and sizes."""

from array import array
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptbank.errors import TrainingError
from promptbank.mt.marian.hub import resolve_marian
from promptbank.mt.marian.pieces import Pieces, load_pieces, train_pieces
from promptbank.mt.marian.run import marian_batches
from promptbank.mt.marian.sizes import MarianSizes, TrainSettings
from translate.engines.decoding import DecodingOptions, length_batches, translate_in_batches
from translate.errors import EngineError
from translate.protocols import Hypothesis

TEXTS = ["the red house is here", "det röda huset är här", "wake me up at nine", "väck mig klockan nio"] * 5


@pytest.fixture(scope="module")
def pieces():
    return train_pieces(TEXTS, 400)


def test_marians_layout(pieces):
    assert (pieces.eos, pieces.vocabulary["<unk>"], pieces.pad) == (0, 1, len(pieces.vocabulary) - 1)
    assert pieces.marked
    assert pieces.ids("the")[-1] == pieces.eos


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "M"]) | st.just(" ")))
def test_every_text_of_letters_comes_back_in_sentencepieces_normal_form(pieces, text):
    plain = pieces.text(pieces.ids(text))
    assert pieces.text(pieces.ids(plain)) == plain
    assert "\u2047" not in plain  # how SentencePiece writes what it does not know


@pytest.mark.parametrize("text", ["the house", "Ωmega 你好 🙂", "</s> <pad> <unk>"])
def test_unseen_letters_and_control_words_are_plain_text(pieces, text):
    ids = pieces.ids(text)
    assert pieces.eos not in ids[:-1]
    assert pieces.pad not in ids
    assert 1 not in ids
    assert pieces.text(ids) == text


def test_marks_are_one_token_each(pieces):
    assert [p for p in pieces.cut("wake at <s0> nine </s0>") if p.startswith("<s") or p.startswith("</s")] == [
        "<s0>",
        "</s0>",
    ]
    assert pieces.text(pieces.ids("wake <s0> nine </s0> x")) == "wake <s0> nine </s0> x"


def test_the_same_texts_give_the_same_pieces_and_files(tmp_path, pieces):
    assert train_pieces(TEXTS, 400) == pieces
    pieces.save(tmp_path)
    assert load_pieces(tmp_path) == pieces
    assert load_pieces(tmp_path).sha256 == pieces.sha256


def test_damaged_or_missing_piece_files_are_errors(tmp_path, pieces):
    with pytest.raises(EngineError, match=r"no source\.spm, target\.spm, vocab\.json"):
        load_pieces(tmp_path)
    pieces.save(tmp_path)
    (tmp_path / "target.spm").write_bytes(b"damaged")
    with pytest.raises(EngineError, match="damaged"):
        load_pieces(tmp_path)
    pieces.save(tmp_path)
    (tmp_path / "target_vocab.json").write_text("{}")
    with pytest.raises(EngineError, match="one shared vocabulary"):
        load_pieces(tmp_path)


@pytest.mark.parametrize("texts", [[], TEXTS])
def test_pieces_that_cannot_be_made_are_an_error(texts):
    with pytest.raises(TrainingError, match="no SentencePiece of 10 pieces"):
        train_pieces(texts, 10)


def test_the_code_of_a_target_language(pieces):
    many = Pieces(pieces.source, pieces.target, {**pieces.vocabulary, ">>swe<<": 999})
    assert many.start(">>swe<<") == [">>swe<<"]
    assert pieces.start(None) == []
    with pytest.raises(EngineError, match="None is not for this model, which takes one of >>swe<<"):
        many.start(None)
    with pytest.raises(EngineError, match="which takes none"):
        pieces.start(">>swe<<")


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 100), st.integers(0, 3))
def test_every_row_is_in_one_batch_and_no_batch_is_too_large(lengths, tokens, epoch):
    pairs = [(array("i", [0]), array("i", [0] * length)) for length in lengths]
    batches = marian_batches(pairs, tokens, seed=1, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= tokens for batch in batches)
    assert marian_batches(pairs, tokens, seed=1, epoch=epoch) == batches


def test_epochs_and_seeds_differ():
    pairs = [(array("i", [0] * 3), array("i", [0]))] * 40
    orders = [str(marian_batches(pairs, 9, seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


@given(st.lists(st.integers(1, 400), max_size=60), st.integers(1, 500))
def test_batches_hold_every_text_once_and_a_limit_of_its_own_length(lengths, tokens):
    found = length_batches(lengths, tokens)
    assert sorted(text for batch, _ in found for text in batch) == list(range(len(lengths)))
    for batch, limit in found:
        for text in batch:
            assert [limit] == [alone for _, alone in length_batches([lengths[text]], tokens)]
            assert limit >= 2 * lengths[text]


def test_texts_come_back_in_their_order_and_blanks_are_never_shown():
    shown = []

    def search(rows, limit):
        shown.extend(rows)
        return [Hypothesis("".join(row).upper(), -1.0) for row in rows]

    found = translate_in_batches(["bb", " ", "a", "c" * 30, ""], list, DecodingOptions(batch_tokens=16), search)
    assert [one.text for one in found] == ["BB", "", "A", "C" * 30, ""]
    assert len(shown) == 3


def test_a_text_that_is_cut_to_nothing_is_never_shown_to_a_model():
    def cut(text):
        return [">>swe<<", *text.replace("\u200b", ""), "</s>"]

    def search(rows, limit):
        return [Hypothesis("".join(row[1:-1]), -1.0) for row in rows]

    found = translate_in_batches(["\u200b", "a\u200b", "\u200b \u200b"], cut, DecodingOptions(), search)
    assert [(one.text, one.score) for one in found] == [("", None), ("a", -1.0), (" ", -1.0)]


def test_a_text_that_is_too_long_is_an_error_and_never_cut():
    with pytest.raises(EngineError, match="31 discrete tokens is too long, at most 30"):
        translate_in_batches(["a", "c" * 31], list, DecodingOptions(longest_source=30), lambda *_: [])


def test_sizes_and_settings_name_all_their_faults():
    with pytest.raises(TrainingError, match=r"vocabulary 0 .*; encoder_layers 0"):
        MarianSizes(vocabulary=0, encoder_layers=0)
    with pytest.raises(TrainingError, match="multiple of the 3 heads"):
        MarianSizes(heads=3)
    with pytest.raises(TrainingError, match=r"steps 0 .*dropout 1\.0 .*lr -1 .*batch_tokens 8 must hold"):
        TrainSettings(steps=0, dropout=1.0, lr=-1, batch_tokens=8)
    with pytest.raises(TrainingError, match=r"schedule is 'sine', one of linear\.v1, cosine\.v1, .*inverse-sqrt\.v1"):
        TrainSettings(schedule="sine")
    with pytest.raises(TrainingError, match=r"lr nan must be above 0; clip inf must be above 0"):
        TrainSettings(lr=float("nan"), clip=float("inf"))
    with pytest.raises(EngineError, match="beam 0"):
        DecodingOptions(beam=0)


def test_what_is_neither_a_folder_nor_a_repository_is_refused_at_once(tmp_path):
    assert resolve_marian(str(tmp_path)) == tmp_path
    with pytest.raises(EngineError, match="neither a folder nor a repository"):
        resolve_marian(str(tmp_path / "nowhere"))


def test_offline_the_hub_is_not_even_asked(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError, match="HF_HUB_OFFLINE is set"):
        resolve_marian("Helsinki-NLP/opus-mt-en-sv")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ["config.json", "pytorch_model.bin", "source.spm", "target.spm", "vocab.json"],
            "pickled weights are not loaded",
        ),
        (["config.json", "model.safetensors"], r"no Marian: it lacks source\.spm"),
    ],
)
def test_what_the_hub_has_is_looked_at_before_it_is_fetched(monkeypatch, files, said):
    from promptbank.mt.marian import hub

    monkeypatch.setattr(hub, "_cached", lambda *_: None)
    monkeypatch.setattr(hub, "_ask", lambda *_: ("main", frozenset(files)))
    with pytest.raises(EngineError, match=said):
        resolve_marian("owner/model")


def test_a_hub_that_does_not_answer_is_given_up_in_time(monkeypatch):
    from promptbank.mt.marian import hub

    monkeypatch.setattr(hub, "_cached", lambda *_: None)
    monkeypatch.setattr(hub, "_answer", lambda *_: None)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.05)
    with pytest.raises(EngineError, match=r"no answer within 0\.05 s.*name the folder"):
        resolve_marian("owner/model")


@pytest.mark.parametrize("ref", ["owner/model", "owner/model@refs/pr/4"])
def test_a_model_is_fetched_once_and_then_read_from_the_cache(monkeypatch, tmp_path, ref):
    import huggingface_hub

    from promptbank.mt.marian import hub

    fetched = []

    def snapshot_download(name, *, revision, local_files_only=False, **options):
        folder = tmp_path / f"{name}@{revision or 'main'}".replace("/", "-")
        if local_files_only and not folder.exists():
            raise FileNotFoundError(folder)
        if not local_files_only:
            assert "pytorch_model.bin" not in options["allow_patterns"]
            fetched.append((name, revision))
            folder.mkdir()
            for file in hub.NEEDED:
                (folder / file).touch()
        return str(folder)

    asked = []

    def model_info(self, name, *, revision, timeout):
        asked.append((name, revision))
        return SimpleNamespace(
            sha=revision or "main", siblings=[SimpleNamespace(rfilename=file) for file in hub.NEEDED]
        )

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    first, second = resolve_marian(ref), resolve_marian(ref)
    name, _, revision = ref.partition("@")
    assert asked == [(name, revision or None)]
    assert fetched == [(name, revision or "main")]
    assert first == second
    assert first.is_dir()


def test_a_hub_that_breaks_says_so_in_one_line(monkeypatch):
    import huggingface_hub

    from promptbank.mt.marian import hub

    def broken(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(hub, "_cached", lambda *_: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", broken)
    with pytest.raises(EngineError, match=r"cannot get 'owner/model' .*no route"):
        resolve_marian("owner/model")
