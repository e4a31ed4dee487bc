"""Training a translator: what moves, what a killed run leaves, what is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from promptbank.errors import TrainingError
from promptbank.model.backbone import Backbone
from promptbank.model.forward import LanguageModel
from promptbank.mt.engines.backbone import open_engine
from promptbank.mt.languages import Languages
from promptbank.mt.translator.averaging import mean_of
from promptbank.mt.translator.model import load_translator, merged, prepared
from promptbank.mt.translator.pairs import PairFormat, render_pairs
from promptbank.mt.translator.plan import EvalTexts, MtPlan, start_numbers
from promptbank.mt.translator.settings import MtSettings
from promptbank.mt.translator.snapshot import snapshot_translator
from promptbank.mt.translator.train import train_translator
from promptbank.mt.translator.updates import FullUpdate, LowRankUpdate, Update, update_of
from promptbank.training.checkpoint import learnt
from promptbank.training.curve import CurvePoint, LearningCurve
from promptbank.training.progress import NoProgress, StepReport
from tests.tiny import KINDS, Kind, tiny_backbone
from translate.pipeline.memory import make_segment

EN_SV = Languages("en", "sv")
PAIRS = [(f"the {a} {b}", f"{b} {a}en") for a in ("year", "text", "tone") for b in ("is", "rose", "of", "said")]
UPDATES: list[Update] = [FullUpdate(), LowRankUpdate(rank=4, alpha=8)]
SETTINGS = MtSettings(
    steps=6, tokens=80, lr=1e-3, warmup=2, every=2, eval_rows=2, dtype="float32", checkpoint_seconds=1e9, seed=5
)


class Heard(NoProgress):
    """Keeps what a training reports."""

    def __init__(self) -> None:
        self.steps: list[StepReport] = []
        self.points: list[CurvePoint] = []

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_point(self, point: CurvePoint) -> None:
        self.points.append(point)


def plan_of(backbone: Backbone, out: Path, update: Update, settings: MtSettings = SETTINGS, **keys: object) -> MtPlan:
    pair_format = PairFormat(backbone.tokenizer, EN_SV)
    rows = render_pairs(pair_format, PAIRS, window=200)
    sets = [EvalTexts("toy", *map(tuple, zip(*PAIRS, strict=True)))]
    plan = MtPlan(update, pair_format, rows[2:], rows[:2], "c" * 64, sets, settings, out)
    return replace(plan, **keys)  # type: ignore[arg-type]


def after(steps: int) -> Callable[[], bool]:
    """Ask to stop at the so-manieth question."""
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: type(u).__name__)
@pytest.mark.parametrize("questions", [1, 4, 6, 9])
def test_a_stopped_run_ends_with_the_same_bits(tmp_path: Path, update: Update, questions: int) -> None:
    backbone = tiny_backbone("gemma3")
    settings = replace(SETTINGS, accumulate=2, average=2, sample=20)
    whole = train_translator(backbone, plan_of(backbone, tmp_path / "a", update, settings), Heard())
    cut = plan_of(backbone, tmp_path / "b", update, settings)
    assert train_translator(backbone, cut, Heard(), after(questions)) is None
    assert any((tmp_path / "b" / "checkpoints").glob("step-*.safetensors"))
    again = train_translator(tiny_backbone("gemma3"), cut, Heard())
    assert whole is not None
    assert again is not None
    assert (whole / "update.safetensors").read_bytes() == (again / "update.safetensors").read_bytes()
    first, second = (LearningCurve(tmp_path / name / "curve.jsonl").read() for name in "ab")
    assert [replace(e, seconds=0) for e in first] == [replace(e, seconds=0) for e in second]
    assert not (tmp_path / "b" / "checkpoints").exists()


def test_a_run_killed_between_checkpoints_ends_with_the_same_bits(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")

    class Killed(Exception):
        pass

    class Dies(Heard):
        def on_step(self, report: StepReport) -> None:
            if report.step == 5:
                raise Killed

    settings = replace(SETTINGS, checkpoint_seconds=0)
    whole = train_translator(backbone, plan_of(backbone, tmp_path / "a", FullUpdate(), settings), Heard())
    plan = plan_of(backbone, tmp_path / "b", FullUpdate(), settings)
    with pytest.raises(Killed):
        train_translator(backbone, plan, Dies())
    kept = sorted(path.name for path in (tmp_path / "b" / "checkpoints").iterdir())
    assert kept == ["step-00000003.safetensors", "step-00000004.safetensors"]
    newest = tmp_path / "b" / "checkpoints" / kept[-1]
    newest.write_bytes(newest.read_bytes()[:5000])  # the machine died while the disk wrote
    heard = Heard()
    again = train_translator(backbone, plan, heard)
    assert heard.steps[0].step == 4
    assert whole is not None
    assert again is not None
    assert (whole / "update.safetensors").read_bytes() == (again / "update.safetensors").read_bytes()


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    plan = plan_of(backbone, tmp_path, FullUpdate())
    assert train_translator(backbone, plan, Heard(), after(4)) is None
    for other in (replace(plan, corpus_sha256="d" * 64), replace(plan, settings=replace(SETTINGS, lr=2e-3))):
        with pytest.raises(TrainingError, match="belongs to another run, with other data, backbone or settings"):
            train_translator(backbone, other, Heard())


def test_a_run_that_has_ended_is_not_run_again(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    plan = plan_of(backbone, tmp_path, FullUpdate())
    folder = train_translator(backbone, plan, Heard())
    heard = Heard()
    assert train_translator(backbone, plan, heard) == folder
    assert heard.steps == []


def test_a_translator_of_another_run_stays_with_its_curve(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    plan = plan_of(backbone, tmp_path, FullUpdate(), replace(SETTINGS, steps=2))
    folder = train_translator(backbone, plan, Heard())
    assert folder is not None
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for other in (
        replace(plan, corpus_sha256="d" * 64),
        replace(plan, settings=SETTINGS),
        replace(plan, start=folder),
    ):
        with pytest.raises(TrainingError, match="name another --out"):
            train_translator(backbone, other, Heard())
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize("kind", KINDS)
def test_full_training_moves_every_layer_and_no_embedding(tmp_path: Path, kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    before = {name: t.clone() for name, t in backbone.model.state_dict().items()}
    folder = train_translator(backbone, plan_of(backbone, tmp_path, FullUpdate()), Heard())
    assert folder is not None
    moved = load_file(folder / "update.safetensors")
    frozen = {n for n in before if any(part in n for part in ("embed_tokens", "wte", "wpe", "lm_head"))}
    assert set(moved) == set(before) - frozen
    assert [n for n, t in moved.items() if torch.equal(t.float(), before[n].bfloat16().float())] == []
    assert all(torch.equal(before[name], t) for name, t in backbone.model.state_dict().items())


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_low_rank_training_moves_additions_to_every_linear_layer_alone(tmp_path: Path, kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    update = LowRankUpdate(rank=4)
    model = prepared(backbone, update)
    linear = [n for n, m in backbone.model.named_modules() if isinstance(m, torch.nn.Linear) and n != "lm_head"]
    assert set(learnt(model)) == {f"{name}.{part}" for name in linear for part in "ab"}
    folder = train_translator(backbone, plan_of(backbone, tmp_path, update), Heard())
    assert folder is not None
    stored = load_file(folder / "update.safetensors")
    assert set(stored) == set(learnt(model))
    assert all(tensor.dtype == torch.bfloat16 for tensor in stored.values())
    assert all(tensor.any() for tensor in stored.values())


def test_a_model_without_linear_layers_has_nothing_for_low_rank() -> None:
    with pytest.raises(TrainingError, match="no linear layers"):
        prepared(tiny_backbone("gpt2"), LowRankUpdate())


@pytest.mark.parametrize("kind", ["llama", "gemma3"])
def test_merged_low_rank_weights_compute_what_unmerged_ones_do(kind: Kind) -> None:
    backbone = tiny_backbone(kind)
    update = LowRankUpdate(rank=4, alpha=8)
    model = prepared(backbone, update)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in learnt(model).items():
            if name.endswith(".b"):
                parameter.normal_(generator=generator, std=0.05)
        ids = torch.randint(3, 300, (2, 9), generator=generator)
        ours = model(input_ids=ids).logits
        plain = merged(model, backbone, update, torch.float32).model
        torch.testing.assert_close(plain(input_ids=ids).logits, ours, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(backbone.model(input_ids=ids).logits, ours, atol=0.1)
    assert not any("base" in name for name, _ in plain.named_modules())


@pytest.mark.parametrize("update", UPDATES, ids=lambda u: type(u).__name__)
def test_pairs_that_were_learnt_by_heart_are_translated(tmp_path: Path, update: Update) -> None:
    backbone = tiny_backbone("llama")
    settings = replace(SETTINGS, steps=600, tokens=400, lr=1e-2, warmup=5, every=600, eval_rows=10, weight_decay=0)
    plan = plan_of(backbone, tmp_path, update, settings)
    plan = replace(plan, train=render_pairs(plan.pair_format, PAIRS, window=200))
    heard = Heard()
    folder = train_translator(backbone, plan, heard)
    assert folder is not None
    engine = open_engine(folder, backbone)
    found = engine.translate([make_segment("en", "sv", "plain", src) for src, _ in PAIRS])
    assert sum(h.text == tgt for h, (_, tgt) in zip(found, PAIRS, strict=True)) >= 10
    assert heard.points[-1].chrf2["toy"] > 80 > heard.points[0].chrf2["toy"]


def test_two_batches_of_a_step_have_the_gradient_of_one(tmp_path: Path) -> None:
    """Every answer token weighs the same, however the rows of a step are batched."""
    backbone = tiny_backbone("llama")
    few = plan_of(backbone, tmp_path, FullUpdate())
    rows = [few.pair_format.pair("the year is", "is"), few.pair_format.pair("bad", "a heavy blow for the outlook")]
    width = max(len(row.ids) for row in rows)
    results = []
    for name, tokens, accumulate in (("one", 2 * width, 1), ("two", width, 2)):
        settings = replace(SETTINGS, steps=1, tokens=tokens, accumulate=accumulate, every=1, eval_rows=0)
        heard = Heard()
        train_translator(backbone, replace(few, train=rows, dev=[], settings=settings, out=tmp_path / name), heard)
        results.append(heard.steps[0])
    assert len(rows[0].answer) < len(rows[1].answer)
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-5)
    assert results[0].tokens == results[1].tokens == sum(len(row.ids) for row in rows)


def test_averaging_stores_the_mean_of_the_last_weights(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    seen: list[dict[str, torch.Tensor]] = []

    class Looks(Heard):
        def on_step(self, report: StepReport) -> None:
            for path in (tmp_path / "checkpoints").glob("kept-*.safetensors"):
                if path.name not in names:
                    names.append(path.name)
                    seen.append(load_file(path))

    names: list[str] = []
    settings = replace(SETTINGS, steps=7, average=3, dtype="float32", checkpoint_seconds=0)
    folder = train_translator(backbone, plan_of(backbone, tmp_path, FullUpdate(), settings), Looks())
    assert folder is not None
    facts = json.loads((folder / "translator.json").read_text())["training"]
    assert facts["averaged_steps"] == [4, 6, 7]
    assert facts["last"]["averaged"] is True
    assert names == ["kept-00000002.safetensors", "kept-00000004.safetensors", "kept-00000006.safetensors"]
    # the last step's weights are never on disk; they lie on the line from the others' mean to the stored mean
    stored = load_file(folder / "update.safetensors")
    shift = max(float((stored[n].float() - mean_of(seen[1:])[n]).abs().max()) for n in stored)
    assert 0 < shift < 0.02


def test_a_mean_is_the_mean() -> None:
    found = mean_of([{"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 8.0])}])
    assert found["w"].tolist() == [2.0, 5.0]
    with pytest.raises(TrainingError, match="--average 1"):
        mean_of([])


def test_a_start_is_where_the_curve_begins(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    first = train_translator(backbone, plan_of(backbone, tmp_path / "a", FullUpdate()), heard := Heard())
    other = Heard()
    train_translator(backbone, plan_of(backbone, tmp_path / "b", FullUpdate(), start=first), other)
    ended, began = heard.points[-1].dev_loss, other.points[0].dev_loss
    assert ended is not None
    assert began == pytest.approx(ended, rel=0.02)  # it was stored in bfloat16
    with pytest.raises(TrainingError, match="no translator to start from"):
        train_translator(backbone, plan_of(backbone, tmp_path / "c", FullUpdate(), start=tmp_path), Heard())


def test_half_precision_passes_learn_about_the_same(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    losses = []
    for dtype in ("float32", "bfloat16"):
        for update in UPDATES:
            heard = Heard()
            settings = replace(SETTINGS, dtype=dtype, eval_rows=0)
            folder = tmp_path / dtype / type(update).__name__
            train_translator(backbone, plan_of(backbone, folder, update, settings), heard)
            losses.append(heard.points[-1].dev_loss)
    assert losses[2:] == pytest.approx(losses[:2], rel=0.05)


def test_a_loss_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    settings = replace(SETTINGS, lr=1e30, warmup=0, eval_rows=0, clip=1e30)
    with pytest.raises(TrainingError, match="try a lower --lr"):
        train_translator(backbone, plan_of(backbone, tmp_path, FullUpdate(), settings, dev=[]), Heard())


@pytest.mark.parametrize(
    ("schedule", "step", "share"),
    [
        ("linear", 0, 1 / 4), ("linear", 3, 1.0), ("linear", 4, 1.0), ("linear", 10, 0.5), ("linear", 16, 0.0),
        ("cosine", 4, 1.0), ("cosine", 10, 0.5), ("cosine", 7, 0.5 + math.sqrt(0.5) / 2), ("cosine", 16, 0.0),
    ],
)  # fmt: skip
def test_rates_rise_and_fall(schedule: str, step: int, share: float) -> None:
    settings = MtSettings(steps=16, warmup=4, schedule=schedule, lr=0.1)
    assert settings.rates().rate(step) == pytest.approx(0.1 * share)


def test_all_faults_of_settings_are_told_at_once() -> None:
    with pytest.raises(TrainingError, match=r"steps is 0.*lr is -1.*schedule is 'up'.*dtype is 'int8'"):
        MtSettings(steps=0, lr=-1, schedule="up", dtype="int8")


def test_an_update_is_what_was_stored() -> None:
    for update in UPDATES:
        assert update_of(update.as_dict()) == update
    with pytest.raises(TrainingError, match=r"unknown method 'x'.*full.v1, lora.v1"):
        update_of({"method": "x"})


def test_a_curve_replaces_what_is_run_again_and_drops_a_cut_line(tmp_path: Path) -> None:
    curve = LearningCurve(tmp_path / "curve.jsonl")
    for step in (0, 2, 4):
        curve.add(CurvePoint(step, 1.0, 1.0))
    curve.add(CurvePoint(4, None, 0.5, averaged=True))
    assert [(e.step, e.averaged) for e in curve.read()] == [(0, False), (2, False), (4, False), (4, True)]
    curve.rewind(2)
    curve.add(CurvePoint(2, 2.0, 2.0))
    with (tmp_path / "curve.jsonl").open("a") as file:
        file.write('{"step": 4, "tra')
    assert [(e.step, e.train_loss) for e in curve.read()] == [(0, 1.0), (2, 2.0)]


def test_a_low_rank_training_does_not_start_from_a_full_one(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    full = train_translator(backbone, plan_of(backbone, tmp_path / "a", FullUpdate()), Heard())
    plan = plan_of(backbone, tmp_path / "b", LowRankUpdate(rank=2), start=full)
    with pytest.raises(TrainingError, match="not one of this backbone and method"):
        train_translator(backbone, plan, Heard())


def test_a_full_training_goes_on_from_a_low_rank_one(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    low = train_translator(backbone, plan_of(backbone, tmp_path / "a", LowRankUpdate(rank=2)), Heard())
    assert low is not None
    wanted = load_translator(low, backbone).lm.model.state_dict()
    found = start_numbers(low, backbone, FullUpdate())
    assert set(found) == set(learnt(prepared(backbone, FullUpdate())))
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.items())
    plan = plan_of(backbone, tmp_path / "b", FullUpdate(), start=low)
    assert train_translator(backbone, plan, Heard()) is not None


def test_the_copy_that_learns_is_private() -> None:
    backbone = tiny_backbone("llama")
    model = prepared(backbone, FullUpdate())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert LanguageModel(backbone.model).embedding.weight.any()
    assert not any(p.requires_grad for p in backbone.model.parameters())


def test_a_run_under_way_can_be_tried_and_goes_on_as_if_nobody_had(tmp_path: Path) -> None:
    backbone = tiny_backbone("llama")
    settings = replace(SETTINGS, average=2, checkpoint_seconds=0.0)
    plan = plan_of(backbone, tmp_path / "run", FullUpdate(), settings)
    with pytest.raises(TrainingError, match="no checkpoint yet"):
        snapshot_translator(backbone, plan, tmp_path / "try")
    with pytest.raises(TrainingError, match="name another folder"):
        snapshot_translator(backbone, plan, tmp_path / "other" / ".." / "run" / "model")
    assert train_translator(backbone, plan, Heard(), after(9)) is None
    folder = tmp_path / "run" / "checkpoints"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    last = sorted(folder.glob("step-*"))[-1]
    newest, step = load_file(last), int(last.stem.removeprefix("step-"))
    kept = {int(path.stem.removeprefix("kept-")): load_file(path) for path in folder.glob("kept-*")}
    assert any(step / 2 <= n < step for n in kept)
    snapshot_translator(backbone, plan, tmp_path / "try")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    name = "model.layers.0.mlp.up_proj.weight"
    states = [tensors[name] for n, tensors in kept.items() if step / 2 <= n < step] + [newest[f"weight.{name}"]]
    stored = load_file(tmp_path / "try" / "update.safetensors")[name]
    assert torch.equal(stored, torch.stack(states).double().mean(0).float().bfloat16())
    assert translated(backbone, tmp_path / "try")


def translated(backbone: Backbone, folder: Path) -> str:
    """What a stored translator makes of a word."""
    engine = open_engine(folder, backbone)
    return engine.translate([make_segment("en", "sv", "plain", "the text")])[0].text or "nothing"


@pytest.mark.parametrize("lr", [float("nan"), float("inf"), 0.0])
def test_a_rate_is_a_number_above_0(lr: float) -> None:
    with pytest.raises(TrainingError, match=f"lr is {lr}, a number above 0"):
        MtSettings(lr=lr)
