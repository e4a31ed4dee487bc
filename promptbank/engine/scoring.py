"""Labels by their whole surface forms: score(label) = logsumexp over its forms w of log P(w | x).

``log P(w | x)`` sums over all tokens of a form, its end token included. Not the first token alone (60 MASSIVE intents
start with 18 distinct tokens in Gemma's vocabulary) and not a mean of logarithms (a synonym would lower its label);
and without the end token a form that starts another one ("positiv", "positivt") would always win. The prompt runs
once; the forms follow on its keys and values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptbank.model.forward import Context, LanguageModel, cache_of
from promptbank.model.inject import pack
from promptbank.model.prompt_table import PromptTable
from promptbank.model.render import Form

__all__ = ["ScoringRequest", "label_scores", "score_forms"]

EXPANDED_TOKENS = 8192
"""Most held positions copied at once when forms are expanded: 0.3 GB for gemma-3-270m in float32."""


@dataclass(frozen=True, eq=False)
class ScoringRequest:
    """One prompt and the forms to be scored after it.

    Attributes:
        ids: rendered prompt ids.
        table: of the task.
        forms: forms of the task's labels.
    """

    ids: tuple[int, ...]
    table: PromptTable
    forms: tuple[Form, ...]


@torch.no_grad()
def score_forms(
    lm: LanguageModel, requests: Sequence[ScoringRequest], held: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Return log P(form | prompt) for every form of every request.

    Args:
        lm: the backbone.
        requests: B prompts, of any tasks and lengths. With ``held`` all must be equally long after the constant part.
        held: keys and values of each prompt's constant part, if they are at hand; ``ids`` then holds the rest only.

    Returns:
        B float32 tensors, one score for each form in order.
    """
    context = cache_of(held) if held is not None else lm.context(len(requests))
    last = lm.hidden(pack([r.ids for r in requests], [r.table for r in requests]), context)[:, -1]  # (B, H)
    owner = torch.tensor([b for b, r in enumerate(requests) for _ in r.forms])
    forms = [form.ids for r in requests for form in r.forms]
    first = _first_tokens(lm, last, owner, torch.tensor([ids[0] for ids in forms]))
    rest = _later_tokens(lm, context, owner, forms)
    return list(torch.split(first + rest, [len(r.forms) for r in requests]))


def _first_tokens(lm: LanguageModel, last: Tensor, owner: Tensor, targets: Tensor) -> Tensor:
    """Log-probabilities of the forms' first tokens, (N,); the head runs once for each prompt."""
    out = torch.empty(len(owner))
    for rows in torch.split(torch.arange(len(last)), lm.head_rows):
        mine = ((owner >= rows[0]) & (owner <= rows[-1])).nonzero().squeeze(1)
        logits = lm.head(last[rows]).float()  # (n, vocabulary)
        local = owner[mine] - rows[0]
        out[mine] = logits[local, targets[mine]] - logits.logsumexp(1)[local]
    return out


def _later_tokens(lm: LanguageModel, context: Context, owner: Tensor, forms: list[tuple[int, ...]]) -> Tensor:
    """Summed log-probabilities of the forms' tokens after the first, (N,)."""
    out = torch.zeros(len(forms))
    longer = [n for n, ids in enumerate(forms) if len(ids) > 1]
    step = max(1, EXPANDED_TOKENS // (context.mask.shape[1] + max(map(len, forms))))
    for start in range(0, len(longer), step):
        chosen = longer[start : start + step]
        heads = pack([forms[n][:-1] for n in chosen], pad="right")
        targets = pack([forms[n][1:] for n in chosen], pad="right").ids
        hidden = lm.hidden(heads, context.select(owner[chosen]))  # (n, T, H)
        real = heads.mask.bool()
        logprobs = torch.zeros(targets.shape)
        logprobs[real] = lm.logprobs(hidden[real], targets[real])
        out[chosen] = logprobs.sum(1)
    return out


def label_scores(forms: Sequence[Form], scores: Tensor) -> dict[str, float]:
    """Fold form scores into label scores by logsumexp over the forms of each label, in the forms' order."""
    grouped: dict[str, list[Tensor]] = {}
    for form, score in zip(forms, scores, strict=True):
        grouped.setdefault(form.label, []).append(score)
    return {label: float(torch.stack(values).logsumexp(0)) for label, values in grouped.items()}
