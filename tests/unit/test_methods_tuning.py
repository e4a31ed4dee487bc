"""Methods that tune weights: a private copy learns, the backbone stays; what each costs and what it forgets."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from promptbank.errors import ConfigError, InputError, TrainingError, UnknownTaskError
from promptbank.lab.experiments.compare import learn_stream
from promptbank.lab.methods.learner import Learner, score_of
from promptbank.lab.methods.registry import METHODS, method_name
from promptbank.lab.methods.tuning import WeightTuning
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.training.config import TrainConfig
from promptbank.training.progress import NoProgress, StepReport
from tasks import Example, Split, TaskCard
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import SPLIT, card_of, examples_of, renderer_of

CONFIG = TrainConfig(epochs=2, batch_size=4, lr=0.01, dtype="float32", patience=9)
MASK = -100


def split_of(examples: Sequence[Example]) -> Split:
    return Split(tuple(examples[:8]), tuple(examples[8:12]), tuple(examples[:8]))


def begun(method: str, kind: Kind = "gpt2", config: TrainConfig = CONFIG) -> tuple[Backbone, Any]:
    backbone = tiny_backbone(kind)
    return backbone, METHODS[method].begin(backbone, LanguageModel(backbone.model), config)


def weights_of(backbone: Backbone) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def copies(learner: WeightTuning) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in learner.lm.model.state_dict().items()}


@pytest.mark.parametrize("method", METHODS)
def test_the_shared_backbone_stays_to_the_bit(method: str) -> None:
    backbone, learner = begun(method)
    before = weights_of(backbone)
    learner.learn(card_of(), split_of(examples_of(12)))
    learner.evaluate(card_of(), examples_of(4))
    assert weights_of(backbone) == before
    assert not any(p.requires_grad or p.grad is not None for p in backbone.model.parameters())
    assert not backbone.model.training


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ["lora.v1", "bitfit.v1", "full.v1", "full-body.v1"])
def test_learning_changes_what_should_learn_and_nothing_else(method: str, dtype: str) -> None:
    _, learner = begun(method, config=CONFIG.model_copy(update={"dtype": dtype}))
    before, names = copies(learner), set(learner.state)
    learner.learn(card_of(), split_of(examples_of(12)))
    after = copies(learner)
    tied = {"lm_head.weight"} if "transformer.wte.weight" in names else set()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= names | tied
    assert len(changed) > 0.8 * len(names)  # a key's bias moves no attention weight, so not all must change
    assert all(p.dtype == torch.float32 for p in learner.state.values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_loss_is_that_of_the_model_itself_on_the_answers(kind: Kind) -> None:
    class First(NoProgress):
        def __init__(self) -> None:
            self.losses: list[float] = []

        def on_step(self, report: StepReport) -> None:
            self.losses.append(report.loss)

    heard, card, examples = First(), card_of(SPLIT, (2, 1)), examples_of(12)
    backbone, learner = begun("full.v1", kind, CONFIG.model_copy(update={"batch_size": 8}))
    learner.learn(card, split_of(examples), heard)
    renderer = renderer_of(backbone, card)
    losses = []
    for example in examples[:8]:
        prompt = _plain_ids(backbone, card, example)
        answer = list(renderer.answer(card.form(example.answer or "")))
        ids = torch.tensor([prompt + answer])
        labels = torch.tensor([[MASK] * len(prompt) + answer])
        losses.append(float(backbone.model(input_ids=ids, labels=labels).loss))
    assert heard.losses[0] == pytest.approx(sum(losses) / 8, rel=1e-4)


def _plain_ids(backbone: Backbone, card: TaskCard, example: Example) -> list[int]:
    """The words of `SPLIT` without its virtual tokens, as one string after the tokenizer's own start."""
    assert card.prompt_template == SPLIT
    ids: list[int] = backbone.tokenizer(f" {example.fields['sentence']} so:")["input_ids"]
    return ids


@pytest.mark.parametrize("method", ["lora.v1", "full.v1", "full-body.v1"])
def test_a_method_learns(method: str) -> None:
    _, learner = begun(method, "llama", CONFIG.model_copy(update={"epochs": 12, "lr": 0.02}))
    split = split_of(examples_of(16))
    fit = learner.learn(card_of(), split)
    assert fit.epochs[-1].train_loss < 0.5 * fit.epochs[0].train_loss
    assert score_of(learner.evaluate(card_of(), split.train)) > 0.8


@pytest.mark.parametrize("method", ["lora.v1", "full.v1"])
def test_the_weights_of_the_best_epoch_are_kept(method: str) -> None:
    _, learner = begun(method, "llama", CONFIG.model_copy(update={"epochs": 6, "lr": 0.05}))
    split = split_of(examples_of(12))
    fit = learner.learn(card_of(), split)
    best = fit.epochs[fit.best_epoch - 1].dev
    assert all(not e.dev.better_than(best) for e in fit.epochs[1:])
    assert score_of(learner.evaluate(card_of(), split.dev)) == best.accuracy
    shorter = CONFIG.model_copy(update={"epochs": 6, "lr": 0.05, "patience": 1})
    stopped = begun(method, "llama", shorter)[1].learn(card_of(), split)
    assert len(stopped.epochs) <= stopped.best_epoch + 1


def test_a_seed_gives_one_result_and_the_global_random_state_stays() -> None:
    state = torch.get_rng_state()
    ends = []
    for seed in (3, 3, 4):
        _, learner = begun("lora.v1", "llama", CONFIG.model_copy(update={"seed": seed}))
        learner.learn(card_of(), split_of(examples_of(12)))
        ends.append(torch.cat([p.detach().flatten() for p in learner.state.values()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_bitfit_learns_biases_and_says_where_there_are_none() -> None:
    _, learner = begun("bitfit.v1")
    assert learner.state
    assert all(name.endswith(".bias") for name in learner.state)
    with pytest.raises(TrainingError, match="LlamaForCausalLM has no bias"):
        begun("bitfit.v1", "llama")


@pytest.mark.parametrize(
    ("method", "kind", "trainable", "stored"),
    [
        ("lora.v1", "llama", 3584, 4 * 3584),  # 2 layers of 16 x (32 + 32) for q and 16 x (32 + 16) for v
        ("lora.v1", "gpt2", 4096, 4 * 4096),  # 2 layers of 16 x (32 + 96)
        ("prompt.v1", "llama", 128, 512),  # V H = 4 x 32
        ("full.v1", "gpt2", 43_264, 4 * 43_264),  # the vocabulary's 300 x 32 once, 256 x 32 places, 2 x 12704, norm 64
        ("full-body.v1", "gpt2", 33_664, 4 * 33_664),  # less 300 x 32
    ],
)
def test_sizes_are_those_worked_out_by_hand(method: str, kind: Kind, trainable: int, stored: int) -> None:
    size = begun(method, kind)[1].size(card_of())
    assert (size.trainable, size.stored_bytes) == (trainable, stored)


def test_what_stays_of_ptuning_is_the_row_not_the_encoder() -> None:
    lstm, rows = (begun(name)[1].size(card_of()) for name in ("ptuning.v1", "prompt.v1"))
    assert lstm.stored_bytes == rows.stored_bytes == 4 * 32 * 4
    assert lstm.trainable > rows.trainable


def test_shots_are_stored_as_text_and_tfidf_as_a_weight_for_each_word() -> None:
    split = split_of(examples_of(12))
    _, icl = begun("icl.v1")
    icl.learn(card_of(), split)
    size = icl.size(card_of())
    assert size.trainable == 0
    assert 4 * 10 < size.stored_bytes < 4 * 200
    pytest.importorskip("sklearn")
    _, tfidf = begun("tfidf.v1")
    tfidf.learn(card_of(), split)
    texts = [e.fields["sentence"].split() for e in (*split.train, *split.dev)]
    words = [[w.strip(",") for w in text if len(w.strip(",")) > 1] for text in texts]
    pairs = {pair for text in words for pair in pairwise(text)}
    features = {w for text in words for w in text} | {f"{a} {b}" for a, b in pairs}
    size = tfidf.size(card_of())
    assert size.trainable == len(features) + 1  # an intercept
    vocabulary = sum(len(feature.encode()) + 1 for feature in features)
    assert size.stored_bytes == 4 * (2 * len(features) + 1) + vocabulary  # coefficients and IDF weights as float32


def opposite(examples: Sequence[Example]) -> list[Example]:
    """The same sentences as another task with the labels swapped, so that one set of weights cannot keep both."""
    other = {"positive": "negative", "negative": "positive"}
    return [replace(e, taskname="spite", answer=other[e.answer or ""]) for e in examples]


def stream_of() -> list[tuple[TaskCard, Split]]:
    examples = examples_of(12)
    return [
        (card_of(), split_of(examples)),
        (card_of(taskname="spite"), split_of(opposite(examples))),
    ]


def test_full_fine_tuning_forgets_and_rows_do_not() -> None:
    config = CONFIG.model_copy(update={"epochs": 12, "lr": 0.01})
    stages: list[int] = []
    backbone = tiny_backbone("llama")
    lm = LanguageModel(backbone.model)
    learner = METHODS["full.v1"].begin(backbone, lm, config)
    tuned = learn_stream(learner, stream_of(), on_stage=lambda _n, _fit, s: stages.append(len(s)))
    assert stages == [1, 2]
    assert [len(row) for row in tuned] == [1, 2]
    assert tuned[0][0] > 0.8
    assert tuned[1][0] < tuned[0][0] - 0.5
    rows = learn_stream(METHODS["ptuning.v1"].begin(backbone, lm, config), stream_of())
    assert rows[1][0] == rows[0][0]


def test_a_second_row_leaves_the_first_ones_answers_to_the_bit() -> None:
    _, learner = begun("ptuning.v1", "llama")
    (first, split), (second, other) = stream_of()
    learner.learn(first, split)
    table = learner.tasks[("mood", "en")].table.sha256
    learner.learn(second, other)
    assert learner.tasks[("mood", "en")].table.sha256 == table
    assert learner.tasks[("spite", "en")].table.sha256 != table


def test_lora_goes_on_with_the_same_adapter() -> None:
    _, learner = begun("lora.v1", "llama")
    (first, split), (second, other) = stream_of()
    learner.learn(first, split)
    before = {name: p.detach().clone() for name, p in learner.state.items()}
    learner.learn(second, other)
    assert learner.state.keys() == before.keys()
    assert any(not torch.equal(p, before[name]) for name, p in learner.state.items())


def test_a_row_that_leaves_nothing_before_the_answer_is_refused() -> None:
    _, learner = begun("full.v1")  # GPT-2 adds no start token
    empty = replace(examples_of(1)[0], fields={"sentence": ""})
    with pytest.raises(InputError, match="nothing to answer"):
        learner.evaluate(card_of(), [empty])


def test_a_loss_that_is_not_finite_stops_before_the_step() -> None:
    _, learner = begun("lora.v1", "llama")
    next(iter(learner.state.values())).data.fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"the loss is nan at step 1; try a lower --lr than 0\.01"):
        learner.learn(card_of(), split_of(examples_of(12)))


def test_no_rows_no_stream_no_row_and_no_such_method_are_said() -> None:
    _, learner = begun("full.v1")
    with pytest.raises(TrainingError, match="both must have at least one"):
        learner.learn(card_of(), Split((), tuple(examples_of(1)), ()))
    with pytest.raises(TrainingError, match="no task"):
        learn_stream(learner, [])
    with pytest.raises(UnknownTaskError, match="mood:en has no row yet"):
        begun("prompt.v1")[1].evaluate(card_of(), examples_of(1))
    with pytest.raises(ConfigError, match="no bank to start from, so init 'from:other'"):
        begun("prompt.v1", config=CONFIG.model_copy(update={"init": "from:other"}))
    with pytest.raises(ConfigError, match="unknown method 'lara'; known: ptuning, deep, prompt, lora"):
        method_name("lara")


def test_open_answers_can_be_tuned_and_forgotten_too() -> None:
    config = CONFIG.model_copy(update={"epochs": 12, "lr": 0.01})
    _, learner = begun("full.v1", "llama", config)
    (first, split), (second, other) = (
        (card.model_copy(update={"label_space": None}), split) for card, split in stream_of()
    )
    assert score_of(learner.evaluate(first, split.test)) == 0
    learner.learn(first, split)
    learnt = score_of(learner.evaluate(first, split.test))
    assert learnt > 0.8
    learner.learn(second, other)
    assert score_of(learner.evaluate(first, split.test)) < learnt - 0.5


def test_every_method_is_named_with_a_version_and_describes_itself() -> None:
    for name, method in METHODS.items():
        assert method_name(name) == name == method_name(name.rpartition(".")[0])
        assert isinstance(method.settings(), dict)
        assert set(method.training) <= set(TrainConfig.model_fields)
    assert METHODS["lora.v1"].settings() == {"rank": 16, "alpha": 32, "dropout": 0.05}
    assert METHODS["full-body.v1"].settings() == {"embeddings": False}
    assert issubclass(WeightTuning, Learner)
