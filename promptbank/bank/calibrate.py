"""Measure the label prior that a calibrated row stores (Zhao et al. 2021)."""

import math
from dataclasses import replace

import torch

from promptbank.engine.prior import CONTENT_FREE, FLOOR, prior_of
from promptbank.engine.scoring import ScoringRequest, label_scores, score_forms
from promptbank.model.forward import LanguageModel
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Renderer

__all__ = ["calibrated_renderer"]


@torch.no_grad()
def calibrated_renderer(lm: LanguageModel, renderer: Renderer, table: PromptTable) -> Renderer:
    """Return the renderer with log p_cf of each label in its policy, p_cf at least `FLOOR`.

    Content-free inputs stand in every text field; the template's own words stay.

    Args:
        lm: the float32 backbone.
        renderer: of a closed card.
        table: of the task.
    """
    scores = []
    for text in CONTENT_FREE:
        prompt = renderer.prompt(dict.fromkeys(renderer.card.fields, text))
        found = score_forms(lm, [ScoringRequest.of(prompt.ids, table, renderer)])[0]
        scores.append(label_scores(renderer.forms, found))
    log_prior = {label: math.log(max(p, FLOOR)) for label, p in prior_of(scores).items()}
    return renderer.with_policy(replace(renderer.policy, log_prior=log_prior))
