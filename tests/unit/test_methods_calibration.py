"""Calibration against the formulas of Zhao et al. 2021 and Zhou et al. 2023, worked out by hand."""

import math

import pytest
import torch

from promptbank.bank import calibrate
from promptbank.engine.prior import FLOOR, prior_of, probabilities
from promptbank.errors import ConfigError
from promptbank.lab.methods.calibration import CALIBRATIONS, calibrated
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from tests.tiny import tiny_backbone
from tests.worlds import card_of, renderer_of

LABELS = ("a", "b", "c")


def logs(*values: float) -> dict[str, float]:
    return {label: math.log(value) for label, value in zip(LABELS, values, strict=False)}


def values(row: dict[str, float]) -> list[float]:
    return list(row.values())


ROWS = [logs(0.02, 0.01, 0.01), logs(0.3, 0.1, 0.4), logs(0.5, 0.2, 0.1)] * 3
PRIOR = prior_of([logs(0.3, 0.1, 0.05), logs(0.1, 0.2, 0.05)])
PRIORS = [PRIOR] * len(ROWS)


def test_probabilities_are_renormalised_over_the_label_set() -> None:
    assert values(probabilities(logs(0.02, 0.01, 0.01))) == pytest.approx([0.5, 0.25, 0.25])


def test_scores_far_below_the_smallest_float_still_have_probabilities() -> None:
    assert values(probabilities({"a": -2000.0, "b": -2000.0 + math.log(3)})) == pytest.approx([0.25, 0.75])
    far = prior_of([{"a": -2000.0, "b": -2000.0 + math.log(3)}, {"a": -2010.0, "b": -2010.0}])
    assert far["b"] == pytest.approx((3 + math.exp(-10)) / (4 + 2 * math.exp(-10)))


def test_the_prior_averages_raw_probabilities_and_normalises_once() -> None:
    # raw means .2, .15, .05; normalising each input first would give (.67 + .29) / 2 = .476 for "a"
    assert values(PRIOR) == pytest.approx([0.5, 0.375, 0.125])


def test_no_calibration_leaves_the_probabilities() -> None:
    assert calibrated("none", ROWS, PRIORS) == [probabilities(row) for row in ROWS]


def test_diag_divides_by_the_prior() -> None:
    expected = [0.5 / 0.5, 0.25 / 0.375, 0.25 / 0.125]
    found = calibrated("diag", ROWS, PRIORS)[0]
    assert values(found) == pytest.approx([value / sum(expected) for value in expected])


def test_identity_subtracts_the_prior() -> None:
    assert values(calibrated("identity", ROWS, PRIORS)[0]) == pytest.approx([0.0, -0.125, 0.125])


def test_batch_divides_by_the_mean_over_the_rows() -> None:
    table = [values(probabilities(row)) for row in ROWS]
    means = [sum(column) / len(table) for column in zip(*table, strict=True)]
    found = calibrated("batch", ROWS, PRIORS)[1]
    ratios = [p / m for p, m in zip(table[1], means, strict=True)]
    assert values(found) == pytest.approx([ratio / sum(ratios) for ratio in ratios])


@pytest.mark.parametrize("name", ["diag", "identity"])
def test_an_input_without_content_comes_out_uniform(name: str) -> None:
    neutral = {label: math.log(p) for label, p in PRIOR.items()}
    found = values(calibrated(name, [neutral], [PRIOR])[0])
    assert found == pytest.approx([found[0]] * 3)


def test_equal_rows_come_out_uniform_from_batch() -> None:
    found = values(calibrated("batch", [logs(0.7, 0.2, 0.1)] * 8, PRIORS[:8])[3])
    assert found == pytest.approx([1 / 3] * 3)


def test_a_backbone_with_a_preference_and_no_signal_gives_even_odds_after_diag() -> None:
    biased = logs(0.9, 0.1)
    assert values(calibrated("diag", [biased], [prior_of([biased] * 3)])[0]) == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_the_order_of_the_labels_changes_nothing(name: str) -> None:
    turned = [{label: row[label] for label in reversed(LABELS)} for row in ROWS]
    prior = {label: PRIOR[label] for label in reversed(LABELS)}
    for row, other in zip(calibrated(name, ROWS, PRIORS), calibrated(name, turned, [prior] * 9), strict=True):
        assert {label: other[label] for label in LABELS} == pytest.approx(row)


@pytest.mark.parametrize("name", ["none", "diag", "batch"])
def test_calibrated_probabilities_sum_to_one(name: str) -> None:
    for row in calibrated(name, ROWS, PRIORS):
        assert sum(row.values()) == pytest.approx(1)


def test_a_prior_of_nothing_divides_by_the_floor() -> None:
    found = calibrated("diag", [logs(0.5, 0.5)], [{"a": 1.0, "b": 0.0}])[0]
    assert found["b"] == pytest.approx(1, abs=1e-6)


def test_batch_refuses_fewer_than_eight_rows() -> None:
    with pytest.raises(ConfigError, match="at least 8 of them, not 7"):
        calibrated("batch", ROWS[:7], PRIORS[:7])
    assert len(calibrated("batch", ROWS[:8], PRIORS[:8])) == 8


def test_an_unknown_calibration_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'platt'; known: none, diag, identity, batch"):
        calibrated("platt", ROWS, PRIORS)


def test_a_calibrated_row_gives_no_label_more_than_the_floor_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, card = tiny_backbone("llama"), card_of()
    renderer = renderer_of(backbone, card)
    first, *others = card.label_space or {}
    monkeypatch.setattr(calibrate, "label_scores", lambda *_: {first: 0.0, **dict.fromkeys(others, -1e4)})
    table = PromptTable.of_rows(torch.zeros(card.total_virtual_tokens, backbone.hidden_size))
    prior = calibrate.calibrated_renderer(LanguageModel(backbone.model), renderer, table).policy.log_prior
    assert prior == {first: pytest.approx(0.0), **dict.fromkeys(others, pytest.approx(math.log(FLOOR)))}
