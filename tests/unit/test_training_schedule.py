"""The learning rate of every step, against the formulas that each kind of training has always had."""

from __future__ import annotations

import math

import pytest

from promptbank.errors import TrainingError
from promptbank.mt.marian.sizes import TrainSettings
from promptbank.mt.translator.settings import MtSettings
from promptbank.training.schedule import SCHEDULES, Schedule, schedule_name, warmup_steps

EXACT = 1e-15
"""Relative; a formula may multiply in another order."""


@pytest.mark.parametrize(("steps", "share"), [(1, 0.1), (7, 0.0), (20, 0.2), (100, 0.1), (33, 0.99)])
def test_prompts_and_weights_rise_over_a_share_of_the_steps_and_fall_as_a_cosine(steps: int, share: float) -> None:
    rising = max(1, round(steps * share))
    schedule = Schedule("cosine.v2", 5e-3, warmup_steps(share, steps), steps)
    for step in range(steps):
        fall = 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
        expected = 5e-3 * ((step + 1) / rising if step < rising else fall)
        assert schedule.rate(step) == pytest.approx(expected, rel=EXACT)


FALLS = {
    "linear": lambda done: 1 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
    "constant": lambda _done: 1.0,
}


@pytest.mark.parametrize("name", FALLS)
@pytest.mark.parametrize(("steps", "warmup"), [(16, 4), (50, 0), (3, 3), (5, 9)])
def test_translators_rise_over_some_steps_and_fall_over_the_rest(name: str, steps: int, warmup: int) -> None:
    settings = MtSettings(steps=steps, warmup=warmup, schedule=name, lr=8e-4)
    for step in range(steps):
        done = (step - warmup) / max(1, steps - warmup)
        expected = 8e-4 * (step + 1) / warmup if step < warmup else 8e-4 * FALLS[name](done)
        assert settings.rates().rate(step) == pytest.approx(expected, rel=EXACT, abs=1e-19)


@pytest.mark.parametrize("name", ["inverse-sqrt.v1", "cosine.v1"])
@pytest.mark.parametrize(("steps", "warmup"), [(110, 10), (20, 1), (7, 7), (4, 9)])
def test_marians_fall_from_the_last_step_of_the_rise_on(name: str, steps: int, warmup: int) -> None:
    rates = TrainSettings(steps=steps, warmup=warmup, schedule=name, lr=1e-2).rates()
    for step in range(1, steps + 1):  # counted from 1, as Vaswani et al. do
        cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps + 1 - warmup)))
        fall = {"inverse-sqrt.v1": math.sqrt(warmup / step), "cosine.v1": cosine}[name]
        expected = 1e-2 * (step / warmup if step < warmup else fall)
        assert rates.rate(step - 1) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_rises_evenly_to_its_peak_and_never_over_it(name: str) -> None:
    schedule = Schedule(name, 2.0, 4, 40)
    rates = [schedule.rate(done) for done in range(40)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert max(rates) == 2.0
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_a_name_without_a_version_means_the_newest() -> None:
    assert [schedule_name(name) for name in ("linear", "cosine", "constant", "inverse-sqrt")] == [
        "linear.v1", "cosine.v2", "constant.v1", "inverse-sqrt.v1",
    ]  # fmt: skip
    assert all(schedule_name(name) == name for name in SCHEDULES)
    with pytest.raises(TrainingError, match=r"schedule is 'sine', one of linear\.v1, cosine\.v1, cosine\.v2"):
        schedule_name("sine")


@pytest.mark.parametrize(("asked", "stored"), [("constant", "constant"), ("cosine.v2", "cosine"), ("linear", "linear")])
def test_the_identity_of_a_training_keeps_the_names_of_release_0_1_0(asked: str, stored: str) -> None:
    assert MtSettings(schedule=asked).deciding()["schedule"] == stored


def test_the_identity_tells_schedules_apart() -> None:
    assert len({MtSettings(schedule=name).deciding()["schedule"] for name in SCHEDULES}) == len(SCHEDULES)
