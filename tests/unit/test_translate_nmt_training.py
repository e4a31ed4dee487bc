"""A tiny Marian: it learns, it is killed and taken up again, it is saved and loaded."""

import os
import signal
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import log_softmax

from promptbank.errors import TrainingError
from promptbank.mt.marian.model import build_marian, load_marian, parameters, save_marian
from promptbank.mt.marian.pieces import Pieces, load_pieces
from promptbank.mt.marian.run import batch_loss
from promptbank.mt.marian.search import search
from promptbank.mt.marian.sizes import MarianSizes
from promptbank.mt.marian.training import train_marian
from promptbank.training.curve import LearningCurve
from promptbank.training.signals import stop_on_signal
from tests.marian import MARIAN_PAIRS as PAIRS
from tests.marian import PLAN, SETTINGS, SIZES

SHORT = replace(
    PLAN, settings=replace(SETTINGS, steps=12, dropout=0.1, label_smoothing=0.1, check_every=5, log_every=2)
)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("marian")
    return folder, train_marian(PLAN, folder)


def greedy(folder, text):
    pieces = load_pieces(folder)
    [(ids, _)] = search(load_marian(folder), [pieces.ids(text)], 40, beam=1)
    return pieces.text(ids)


def bits(folder):
    return {name: tensor.numpy().tobytes() for name, tensor in load_file(folder / "model/model.safetensors").items()}


def test_twenty_pairs_are_learnt_by_heart(learnt):
    folder, outcome = learnt
    assert outcome.finished
    assert (outcome.pairs, outcome.left_out) == (20, 0)
    assert {src: greedy(outcome.model, src) for src, _ in PAIRS} == dict(PAIRS)
    points = LearningCurve(folder / "curve.jsonl").read()
    assert [point.step for point in points] == list(range(20, 301, 20))
    assert points[-1].train_loss < 0.1 < points[0].train_loss
    assert [point.step for point in points if point.dev_loss is not None] == [100, 200, 300]
    assert not (folder / "checkpoints").exists()


def test_a_finished_training_is_not_made_again(learnt):
    folder, outcome = learnt
    assert train_marian(PLAN, folder, should_stop=lambda: pytest.fail("a step was made")) == outcome


def test_the_folder_loads_in_transformers_with_the_same_ids_and_translation(learnt):
    from transformers import MarianMTModel, MarianTokenizer

    _, outcome = learnt
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends sacremoses
        tokenizer = MarianTokenizer.from_pretrained(outcome.model, local_files_only=True)
        model = MarianMTModel.from_pretrained(outcome.model, local_files_only=True)
        pieces = load_pieces(outcome.model)
        for src, tgt in PAIRS:
            batch = tokenizer(src, return_tensors="pt")
            assert batch.input_ids[0].tolist() == pieces.ids(src)
            assert tokenizer(text_target=tgt).input_ids == pieces.ids(tgt, target=True)
        assert tokenizer.decode(model.generate(**batch, num_beams=1)[0], skip_special_tokens=True) == tgt


def test_the_padding_embedding_stays_zero_since_decoders_start_from_it(learnt):
    _, outcome = learnt
    model = load_marian(outcome.model)
    assert not model.get_input_embeddings().weight[model.config.pad_token_id].any()


def test_saved_and_loaded_gives_the_same_logits(tmp_path, learnt):
    _, outcome = learnt
    model, pieces = load_marian(outcome.model), load_pieces(outcome.model)
    save_marian(model, pieces, ("en", "sv"), tmp_path / "again")
    ids = torch.tensor([pieces.ids("the old house")])
    again = load_marian(tmp_path / "again")
    assert torch.equal(
        model(input_ids=ids, decoder_input_ids=ids).logits, again(input_ids=ids, decoder_input_ids=ids).logits
    )
    assert load_pieces(tmp_path / "again") == pieces
    assert list(tmp_path.iterdir()) == [tmp_path / "again"]


@pytest.mark.parametrize("stops", [[3], [4], [0, 2, 5]])
def test_stopped_and_taken_up_again_ends_with_the_same_bits(tmp_path, stops):
    train_marian(SHORT, tmp_path / "whole")
    for stop in stops:
        steps = iter(range(stop))
        outcome = train_marian(SHORT, tmp_path / "cut", should_stop=lambda steps=steps: next(steps, None) is None)
        assert not outcome.finished
        assert outcome.model is None
        assert list((tmp_path / "cut/checkpoints").glob("step-*.safetensors"))
    assert train_marian(SHORT, tmp_path / "cut").finished
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")
    whole, cut = (LearningCurve(tmp_path / name / "curve.jsonl").read() for name in ("whole", "cut"))
    assert [point.step for point in cut] == [point.step for point in whole]
    assert [point.train_loss for point in cut] == [point.train_loss for point in whole]
    assert [point.dev_loss for point in cut] == [point.dev_loss for point in whole]


KILLED = """
import sys, time
from pathlib import Path
from tests.unit.test_translate_nmt_training import SHORT
from promptbank.mt.marian.training import train_marian
from promptbank.training.progress import NoProgress
from promptbank.training.signals import stop_on_signal
class Slowly(NoProgress):
    def on_point(self, point):
        print(point.step, flush=True)
        time.sleep(0.3)
with stop_on_signal() as stop:
    outcome = train_marian(SHORT, Path(sys.argv[1]), progress=Slowly(), should_stop=stop)
print("stopped", outcome.step, outcome.finished, flush=True)
"""


@pytest.mark.new_process
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tmp_path, number):
    train_marian(SHORT, tmp_path / "whole")
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "cut")], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        for line in process.stdout:
            if line.strip() == "6":  # SIGKILL: one step after the checkpoint of step 5
                break
        process.send_signal(number)
        said = process.stdout.read()
    if number == signal.SIGTERM:
        assert "stopped" in said
        assert said.split()[-1] == "False"
        assert process.returncode == 0
    assert list((tmp_path / "cut/checkpoints").glob("step-*.safetensors"))
    assert train_marian(SHORT, tmp_path / "cut").finished
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


@pytest.fixture
def interruptible():
    """SIGINT raises, as it does in a terminal: what is started in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_acts_as_it_always_did():
    with stop_on_signal() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": PAIRS[:19]}, "train"),
        ({"settings": replace(SHORT.settings, lr=1e-3)}, "settings"),
        ({"langpair": ("en", "da")}, "langpair"),
    ],
)
def test_another_training_in_the_same_folder_is_refused(tmp_path, change, said):
    train_marian(SHORT, tmp_path, should_stop=lambda: True)
    with pytest.raises(TrainingError, match=f"another training .*{said}"):
        train_marian(replace(SHORT, **change), tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    train_marian(SHORT, tmp_path, should_stop=lambda: True)
    (file,) = (tmp_path / "checkpoints").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="damaged"):
        train_marian(SHORT, tmp_path)


def test_the_checkpoint_of_an_earlier_release_is_refused_and_stays(tmp_path):
    train_marian(SHORT, tmp_path, should_stop=lambda: True)
    former = tmp_path / "checkpoint.safetensors"
    (next((tmp_path / "checkpoints").iterdir())).rename(former)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors was written by an earlier release.* delete it"):
        train_marian(SHORT, tmp_path)
    assert former.exists()
    assert not (tmp_path / "curve.jsonl").read_text()


def test_nothing_to_learn_from_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="no pairs"):
        train_marian(replace(SHORT, train=[]), tmp_path)
    with pytest.raises(TrainingError, match="all 20 pairs are longer than 2"):
        train_marian(replace(SHORT, settings=replace(SHORT.settings, longest=2)), tmp_path)


def test_long_pairs_are_left_out_and_counted(tmp_path):
    long = [("the red house " * 20, "det röda huset")]
    outcome = train_marian(replace(SHORT, train=[*PAIRS, *long]), tmp_path, should_stop=lambda: True)
    assert (outcome.pairs, outcome.left_out) == (20, 1)


def test_a_training_that_failed_before_its_first_step_leaves_no_pieces_of_its_texts_to_the_next(tmp_path):
    with pytest.raises(TrainingError, match="all 20 pairs are longer than 2"):
        train_marian(replace(SHORT, settings=replace(SHORT.settings, longest=2)), tmp_path / "failed")
    other = replace(SHORT, train=[(f"um {n} dois", f"ett {n} två") for n in range(30)], dev=())
    for name in ("failed", "fresh"):
        train_marian(other, tmp_path / name, should_stop=lambda: True)
    failed, fresh = (load_pieces(tmp_path / name / "pieces") for name in ("failed", "fresh"))
    assert failed == fresh


def test_another_training_is_refused_before_it_changes_the_pieces_of_a_folder(tmp_path):
    train_marian(SHORT, tmp_path, should_stop=lambda: True)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    with pytest.raises(TrainingError, match=r"another training \(train differ\)"):
        train_marian(replace(SHORT, train=PAIRS[:9]), tmp_path)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(TrainingError, match="try a lower --lr"):
        train_marian(replace(SHORT, settings=replace(SHORT.settings, lr=1e30, clip=1e30)), tmp_path)


@torch.no_grad()
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_each_pair_alone_and_of_the_formula(learnt, smoothing):
    _, outcome = learnt
    model, pieces = load_marian(outcome.model), load_pieces(outcome.model)
    rows = [(pieces.ids(src), pieces.ids(tgt, target=True)) for src, tgt in [("the red house", "det"), *PAIRS[:3]]]
    expected = 0.0
    for src, tgt in rows:
        fed = torch.tensor([[pieces.pad, *tgt[:-1]]])
        logits = model(input_ids=torch.tensor([src]), decoder_input_ids=fed).logits[0, :, : pieces.pad]
        logs = log_softmax(logits, dim=-1)
        right = -logs[range(len(tgt)), tgt]
        expected += float(((1 - smoothing) * right - smoothing * logs.mean(dim=-1)).sum())
    total, tokens = batch_loss(model, rows, smoothing)
    assert tokens == sum(len(tgt) for _, tgt in rows)
    assert float(total) == pytest.approx(expected, rel=1e-5)


def test_the_default_model_has_six_point_six_million_parameters():
    sizes = MarianSizes()
    words = {"</s>": 0, "<unk>": 1, **{f"w{n}": n for n in range(2, sizes.vocabulary)}, "<pad>": sizes.vocabulary}
    model = build_marian(sizes, Pieces(b"", b"", words))
    width, inner = sizes.width, sizes.feed_forward
    attention = 4 * (width * width + width)
    norm, forward = 2 * width, 2 * width * inner + inner + width
    encoder = sizes.encoder_layers * (attention + forward + 2 * norm)
    decoder = sizes.decoder_layers * (2 * attention + forward + 3 * norm)
    assert parameters(model) == (sizes.vocabulary + 1) * width + encoder + decoder
    assert round(parameters(model) / 1e6, 1) == 6.6


def test_parameters_of_a_saved_model_are_counted_alike(learnt):
    pieces = load_pieces(learnt[1].model)
    assert parameters(load_marian(learnt[1].model)) == parameters(build_marian(SIZES, pieces))


def test_building_a_model_leaves_the_global_generator_alone(learnt):
    pieces = load_pieces(learnt[1].model)
    before = torch.get_rng_state()
    build_marian(SIZES, pieces)
    assert torch.equal(torch.get_rng_state(), before)
