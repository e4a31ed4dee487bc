"""Training: the loss is what it says, the backbone stays, a killed run ends with the same bits."""

from pathlib import Path

import pytest
import torch

from promptbank.errors import TrainingError
from promptbank.model.forward import LanguageModel, prefill
from promptbank.model.head import FrozenHead
from promptbank.model.prompt_table import PromptTable
from promptbank.training.config import TrainConfig
from promptbank.training.dev import DevScore, DevSet
from promptbank.training.examples import example_losses, render_examples
from promptbank.training.kv_cache import PrefixCache
from promptbank.training.progress import EpochReport, NoProgress, StepReport
from promptbank.training.prompt_run import Plan
from promptbank.training.prompts import train_prompts
from promptbank.training.start import embedding_scale, start_ids, starting_table
from tests.killing import KillAt, Killed
from tests.tiny import KINDS, Kind, tiny_backbone
from tests.worlds import AFTER, BEFORE, SPLIT, card_of, examples_of, renderer_of

AFTER_AND_WORDS = "{sentence}<|VIRTUAL_PROMPT_0|> so: {label}"
CONFIG = TrainConfig(epochs=3, batch_size=4, lr=0.02, dtype="float32", patience=9, checkpoint_steps=1)


def world(kind: Kind = "llama", template: str = AFTER, splits: tuple[int, ...] = (4,), **keys: object):
    backbone = tiny_backbone(kind)
    renderer = renderer_of(backbone, card_of(template, splits, **keys))
    lm = LanguageModel(backbone.model)
    start = starting_table(lm, start_ids("text", renderer, vocabulary=lm.vocabulary, seed=0))
    return lm, renderer, start


def trained(folder: Path, config: TrainConfig = CONFIG, progress=None, **keys):
    lm, renderer, start = world(**keys)
    examples = examples_of(12)
    plan = Plan(renderer, examples[:8], examples[8:], config, start)
    return train_prompts(lm, [plan], folder=folder, identity="run", progress=progress)[0]


def token_losses(lm, table, row, wanted):
    """Oracle: the whole sequence through the whole model; -log p of the tokens at the wanted positions."""
    own = [table.input_rows[-i - 1] if i < 0 else lm.embedding(torch.tensor([i]))[0] for i in row.ids]
    logprobs = lm.model(inputs_embeds=torch.stack(own)[None], use_cache=False).logits[0].log_softmax(-1)
    return [-float(logprobs[t - 1, row.ids[t]].detach()) for t in wanted]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("template", "splits"), [(AFTER, (4,)), (BEFORE, (4,)), (SPLIT, (2, 2))])
def test_the_loss_is_the_mean_over_the_answer(kind: Kind, template: str, splits: tuple[int, ...]) -> None:
    lm, renderer, start = world(kind, template, splits)
    rows = render_examples(renderer, examples_of())
    found = example_losses(lm, [start] * len(rows), rows, None)
    for row, loss in zip(rows, found, strict=True):
        expected = token_losses(lm, start, row, range(len(row.prompt), len(row.ids)))
        assert float(loss) == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_without_answer_only_loss_discrete_tokens_count_and_virtual_ones_do_not() -> None:
    lm, renderer, start = world("gpt2", SPLIT, (2, 2), answer_only_loss=False)
    rows = render_examples(renderer, examples_of(3))
    found = example_losses(lm, [start] * len(rows), rows, None)
    for row, loss in zip(rows, found, strict=True):
        expected = token_losses(lm, start, row, [t for t in range(1, len(row.ids)) if row.ids[t] >= 0])
        assert float(loss) == pytest.approx(sum(expected) / len(expected), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer_only", [True, False])
def test_held_prefixes_give_the_same_loss_and_gradient(kind: Kind, answer_only: bool) -> None:
    lm, renderer, start = world(kind, AFTER_AND_WORDS, answer_only_loss=answer_only)
    rows = render_examples(renderer, examples_of())
    gradients = []
    held = [prefill(lm, [row.ids[: row.constant] for row in rows]), None]
    if kind == "gpt2":  # no BOS, but the text stands before the virtual tokens
        assert min(row.constant for row in rows) >= 1
    for prefix in held:
        table = PromptTable.of_rows(start.input_rows.clone().requires_grad_())
        losses = example_losses(lm, [table] * len(rows), rows, prefix)
        losses.mean().backward()
        gradients.append(table.input_rows.grad)
        for row, loss in zip(rows, losses.detach(), strict=True):
            learnt = range(len(row.prompt) if answer_only else row.constant + start.virtual_tokens, len(row.ids))
            expected = token_losses(lm, start, row, learnt)
            assert float(loss) == pytest.approx(sum(expected) / len(expected), abs=1e-4)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("answer_only", [True, False])
def test_held_prefixes_give_open_answers_the_same_dev_score(answer_only: bool) -> None:
    lm, renderer, start = world("gpt2", AFTER_AND_WORDS, label_space=None, answer_only_loss=answer_only)
    rows = render_examples(renderer, examples_of())
    beginnings = [row.beginning for row in rows]
    held = dict(zip(beginnings, prefill(lm, beginnings), strict=True))
    scores = [DevSet(lm, renderer, examples_of(), rows, prefix).score(start).loss for prefix in (held, None)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_that_does_not_learn_gives_the_same_loss_and_gradient(kind: Kind) -> None:
    lm, renderer, start = world(kind)
    rows = render_examples(renderer, examples_of())
    one, other = (FrozenHead.of(lm.head, torch.float32) for _ in range(2))
    found = []
    for heads in (None, [one] * len(rows), [one, *[other] * (len(rows) - 1)]):
        table = PromptTable.of_rows(start.input_rows.clone().requires_grad_())
        losses = example_losses(lm, [table] * len(rows), rows, None, heads=heads)
        losses.mean().backward()
        found.append((losses.detach(), table.input_rows.grad))
    for losses, gradient in found[1:]:
        assert torch.allclose(losses, found[0][0], rtol=1e-5)
        assert torch.allclose(gradient, found[0][1], rtol=1e-4, atol=1e-6)


def test_two_runs_in_one_batch_have_the_gradients_of_each_alone() -> None:
    lm, renderer, start = world()
    rows = render_examples(renderer, examples_of(4))
    other = PromptTable.of_rows(start.input_rows.flip(0).contiguous())
    alone = []
    for table in (start, other):
        leaf = PromptTable.of_rows(table.input_rows.clone().requires_grad_())
        example_losses(lm, [leaf] * 4, rows, None).sum().backward()
        alone.append(leaf.input_rows.grad)
    both = [PromptTable.of_rows(table.input_rows.clone().requires_grad_()) for table in (start, other)]
    example_losses(lm, [both[0]] * 4 + [both[1]] * 4, rows * 2, None).sum().backward()
    for table, gradient in zip(both, alone, strict=True):
        assert torch.allclose(table.input_rows.grad, gradient, rtol=1e-5, atol=1e-6)


def test_training_lowers_the_loss_and_leaves_the_backbone_alone(tmp_path: Path) -> None:
    lm, renderer, start = world()
    before = {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    examples = examples_of(12)
    config = CONFIG.model_copy(update={"epochs": 40, "lr": 0.1, "patience": 40})
    plan = Plan(renderer, examples[:8], examples[8:], config, start)
    out = train_prompts(lm, [plan], folder=tmp_path, identity="x")[0]
    assert out.epochs[-1].train_loss < 0.75 * out.epochs[0].train_loss
    assert all(torch.equal(tensor, before[name]) for name, tensor in lm.model.state_dict().items())
    assert all(p.grad is None for p in lm.model.parameters())


@pytest.mark.parametrize("encoder", ["lstm.v1", "mlp.v1", "embedding.v1"])
@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_killed_run_ends_with_the_bits_of_an_undisturbed_one(tmp_path: Path, encoder: str, step: int) -> None:
    config = CONFIG.model_copy(update={"encoder": encoder})
    whole = trained(tmp_path / "whole", config)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", config, progress=KillAt(step))
    again = trained(tmp_path / "killed", config)
    assert again.table.sha256 == whole.table.sha256
    assert again.epochs == whole.epochs
    assert again.best_epoch == whole.best_epoch


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    lm, renderer, start = world()
    examples = examples_of(12)
    plan = Plan(renderer, examples[:8], examples[8:], CONFIG, start)
    with pytest.raises(TrainingError, match="belongs to another run"):
        train_prompts(lm, [plan], folder=tmp_path, identity="other")


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-00000001.safetensors").write_bytes(b"not a safetensors file")
    with pytest.raises(TrainingError, match=r"is damaged \(step-00000001\.safetensors: "):
        trained(tmp_path)


def test_the_resume_file_of_an_earlier_release_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "resume.safetensors").write_bytes(b"of an encoder that is not read")
    with pytest.raises(TrainingError, match=r"resume\.safetensors was written by an earlier release.* delete it"):
        trained(tmp_path)
    assert (tmp_path / "resume.safetensors").exists()


def test_prefixes_over_the_budget_spill_and_change_nothing(tmp_path: Path) -> None:
    whole = trained(tmp_path / "memory")
    spilled = trained(tmp_path / "disk", CONFIG.model_copy(update={"cache_bytes": 0}))
    assert whole.cached == (8, 0)
    assert spilled.cached == (8, 8)
    assert whole.table.sha256 == spilled.table.sha256
    assert not list((tmp_path / "disk").glob("*-prefix/*"))


def test_a_prefix_cache_holds_what_a_single_pass_gives(tmp_path: Path) -> None:
    lm, renderer, _ = world("gemma3")
    rows = [row.beginning for row in render_examples(renderer, examples_of())]
    cache = PrefixCache(lm, rows, budget=2000, spill=tmp_path / "spill")
    assert any(cache.spilled(row) for row in rows)
    assert set(cache) == set(rows)
    assert len(cache) == len(set(rows))
    for row in rows:
        assert torch.allclose(cache[row], prefill(lm, [row])[0], atol=1e-5)
    cache.close()
    assert len(cache) == 0
    assert not list((tmp_path / "spill").iterdir())


@pytest.mark.parametrize("template", [AFTER, BEFORE])
def test_the_dev_score_counts_right_labels_by_brute_force(template: str) -> None:
    lm, renderer, start = world("llama", template)
    examples = examples_of()
    rows = render_examples(renderer, examples)
    score = DevSet(lm, renderer, examples, rows, None).score(start)
    right, losses = 0, []
    for example, row in zip(examples, rows, strict=True):
        by_label: dict[str, list[float]] = {}
        for form in renderer.forms:
            full = type(row)(row.prompt, form.ids, row.constant, 0)
            total = -sum(token_losses(lm, start, full, range(len(row.prompt), len(full.ids))))
            by_label.setdefault(form.label, []).append(total)
        scores = {label: torch.tensor(values).logsumexp(0) for label, values in by_label.items()}
        right += max(scores, key=scores.__getitem__) == example.answer
        losses.append(float(torch.stack(list(scores.values())).logsumexp(0) - scores[example.answer]))
    assert score.accuracy == right / len(examples)
    assert score.loss == pytest.approx(sum(losses) / len(losses), abs=1e-3)


class _Collect(NoProgress):
    def __init__(self) -> None:
        self.epochs: list[EpochReport] = []
        self.rates: list[float] = []

    def on_epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def on_step(self, report: StepReport) -> None:
        self.rates.append(report.lr)


def test_the_best_dev_epoch_is_kept_and_patience_ends_the_run(tmp_path: Path) -> None:
    progress = _Collect()
    config = CONFIG.model_copy(update={"epochs": 40, "patience": 2, "lr": 0.3, "keep_from": 0.1, "restarts": 0})
    out = trained(tmp_path, config, progress)
    best = max(out.epochs[4:], key=lambda e: (e.dev.accuracy, -e.dev.loss))
    assert out.best_epoch == best.epoch
    assert len(out.epochs) == min(40, out.best_epoch + 2)
    lm, renderer, _ = world()
    examples = examples_of(12)[8:]
    again = DevSet(lm, renderer, examples, render_examples(renderer, examples), None).score(out.table)
    assert again.accuracy == best.dev.accuracy
    assert again.loss == pytest.approx(best.dev.loss, abs=1e-4)


def test_an_early_epoch_is_not_kept_however_well_it_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([1.0, 0.9, 0.5, 0.7, 0.8, 0.8])
    monkeypatch.setattr(DevSet, "score", lambda _self, _table: DevScore(next(scores), 0.5))
    out = trained(tmp_path, CONFIG.model_copy(update={"epochs": 6, "patience": 2, "keep_from": 0.5}))
    assert len(out.epochs) == 6  # patience is counted from the fourth epoch on
    assert out.best_epoch == 5
    assert [epoch.best for epoch in out.epochs] == [False, False, False, True, True, False]


def test_the_rate_rises_to_its_peak_and_falls_to_zero(tmp_path: Path) -> None:
    progress = _Collect()
    trained(tmp_path, CONFIG.model_copy(update={"epochs": 10, "warmup": 0.2}), progress)
    assert len(progress.rates) == 20
    assert max(progress.rates) == progress.rates[3] == CONFIG.lr
    assert progress.rates[:4] == pytest.approx([CONFIG.lr * k / 4 for k in (1, 2, 3, 4)])
    assert progress.rates[-1] < 0.02 * CONFIG.lr


def test_an_open_task_is_chosen_by_its_loss(tmp_path: Path) -> None:
    out = trained(tmp_path, label_space=None)
    assert all(epoch.dev.accuracy is None for epoch in out.epochs)
    assert out.epochs[out.best_epoch - 1].dev.loss == min(epoch.dev.loss for epoch in out.epochs)


def test_no_rows_and_a_loss_that_is_not_finite_are_errors(tmp_path: Path) -> None:
    lm, renderer, start = world()
    with pytest.raises(TrainingError, match="both must have at least one"):
        train_prompts(lm, [Plan(renderer, [], examples_of(2), CONFIG, start)], folder=tmp_path, identity="x")
    rows, broken = examples_of(), PromptTable.of_rows(start.input_rows * float("nan"))
    with pytest.raises(TrainingError, match="lower --lr"):
        train_prompts(lm, [Plan(renderer, rows, rows, CONFIG, broken)], folder=tmp_path, identity="x")


@pytest.mark.parametrize("kind", ["text", "labels", "vocabulary"])
def test_prompts_start_from_embeddings_as_they_are_fed(kind: str) -> None:
    for backbone in map(tiny_backbone, KINDS):
        lm = LanguageModel(backbone.model)
        renderer = renderer_of(backbone, card_of(splits=(9,)))
        ids = start_ids(kind, renderer, vocabulary=lm.vocabulary, seed=4)
        assert len(ids) == 9
        assert torch.equal(starting_table(lm, ids).input_rows, lm.embedding(torch.tensor(ids)))
        every = lm.embedding(torch.arange(300))
        assert embedding_scale(lm) == pytest.approx(float(every.square().mean().sqrt()), rel=0.05)
