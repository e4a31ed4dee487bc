"""Prompt encoders: small networks that make a task's prompt table while it is learnt, and are thrown away after.

All give input rows ``P = P0 + scale * f()``. ``P0`` is where the prompt starts (text, label words, sampled vocabulary
or another task's row), ``scale`` is the root mean square of the backbone's embeddings, and the last layer of ``f``
starts at zero, so step 0 is exactly ``P0``. Without that, an LSTM with default initialisation emits nearly one vector
at every virtual token (mean cosine 0.98 at H=128), of a norm that has nothing to do with the backbone. Residual Prompt
Tuning (Razdaibiedina et al. 2023) found +7 SuperGLUE points from a residual form.

Other tensors of a prompt's kind are parameters themselves, in the same form: a start, and a scale times what is learnt.

Names carry a version: a stored training configuration means the same network for ever.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from promptbank.model.prompt_kinds import INPUT_ROWS
from promptbank.model.prompt_table import PromptTable

__all__ = ["ENCODERS", "EmbeddingEncoder", "LstmEncoder", "MlpEncoder", "PromptEncoder", "build_encoder"]


class PromptEncoder(nn.Module, ABC):
    """Base of the encoders: the residual form around a subclass's `residual`.

    Args:
        start: its input rows are P0, (V, H); its kind is what is learnt.
        scale: factor on the learned part; the root mean square of the backbone's embedding weights as they are fed.
        generator: draws the initial weights, so a seed gives one encoder.
        scales: the same factor for each other tensor of the kind, by name.
    """

    start: Tensor
    scale: Tensor

    def __init__(
        self, start: PromptTable, scale: float, generator: torch.Generator, scales: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.kind = start.kind
        self.register_buffer("start", start.input_rows.detach().clone().float())
        self.register_buffer("scale", torch.tensor(float(scale)))
        last = self.build(start.virtual_tokens, start.hidden_size)
        self._draw(last, generator)
        self.beside = nn.ModuleDict({n: _Direct(t, scales[n]) for n, t in start.tensors.items() if n != INPUT_ROWS})

    @abstractmethod
    def build(self, virtual_tokens: int, hidden: int) -> Tensor:
        """Create the layers, and return the weight that starts at zero, with which f() does."""

    @abstractmethod
    def residual(self) -> Tensor:
        """Return f(), (V, H)."""

    def forward(self) -> PromptTable:
        """Return the prompt as it is now, float32, with gradients."""
        made = {INPUT_ROWS: self.start + self.scale * self.residual()}
        return PromptTable(made | {name: direct() for name, direct in self.beside.items()}, self.kind)

    @torch.no_grad()
    def frozen(self) -> PromptTable:
        """Return the prompt as it is stored: made in eval mode, float32, without gradients, in memory of its own."""
        self.eval()
        table = self.forward()
        self.train()
        return PromptTable({name: tensor.float().clone() for name, tensor in table.tensors.items()}, table.kind)

    @torch.no_grad()
    def _draw(self, last: Tensor, generator: torch.Generator) -> None:
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                parameter.zero_()
            elif name.endswith("table"):
                parameter.normal_(0.0, 1.0, generator=generator)
            else:
                bound = (3 / parameter.shape[1]) ** 0.5  # keeps the variance, so that virtual tokens stay apart
                parameter.uniform_(-bound, bound, generator=generator)
        last.zero_()


class _Direct(nn.Module):
    """A tensor that is its own parameter: a start, and from it on a multiple of a scale."""

    start: Tensor
    scale: Tensor

    def __init__(self, start: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", start.detach().clone().float())
        self.register_buffer("scale", scale.clone())
        self.moved = nn.Parameter(torch.zeros_like(self.start))

    def forward(self) -> Tensor:
        return self.start + self.scale * self.moved


class EmbeddingEncoder(PromptEncoder):
    """Prompt tuning (Lester et al. 2021): the rows themselves are the parameters."""

    def build(self, virtual_tokens: int, hidden: int) -> Tensor:
        """Create one (V, H) parameter."""
        self.table = nn.Parameter(torch.empty(virtual_tokens, hidden))
        return self.table

    def residual(self) -> Tensor:
        """Return the parameter, (V, H)."""
        return self.table


class MlpEncoder(PromptEncoder):
    """A learned (V, H) table through two layers with ReLU between, as NeMo's MLP encoder."""

    def build(self, virtual_tokens: int, hidden: int) -> Tensor:
        """Create the table and the two layers."""
        self.table = nn.Parameter(torch.empty(virtual_tokens, hidden))
        self.inner = nn.Linear(hidden, hidden)
        self.outer = nn.Linear(hidden, hidden)
        return self.outer.weight

    def residual(self) -> Tensor:
        """Return the table through the layers, (V, H)."""
        out: Tensor = self.outer(torch.relu(self.inner(self.table)))
        return out


class LstmEncoder(PromptEncoder):
    """P-tuning's encoder (Liu et al. 2021, "GPT Understands, Too"), with NeMo's shapes.

    A learned (V, H) table, a bidirectional LSTM of two layers with hidden size H/2 a direction (an odd H is rounded
    up), and an MLP head of two layers with ReLU between.
    """

    def build(self, virtual_tokens: int, hidden: int) -> Tensor:
        """Create the table, the LSTM and the head."""
        side = (hidden + 1) // 2
        self.table = nn.Parameter(torch.empty(virtual_tokens, hidden))
        self.lstm = nn.LSTM(hidden, side, num_layers=2, bidirectional=True, batch_first=True)
        self.inner = nn.Linear(2 * side, hidden)
        self.outer = nn.Linear(hidden, hidden)
        return self.outer.weight

    def residual(self) -> Tensor:
        """Return the table through LSTM and head, (V, H)."""
        states, _ = self.lstm(self.table[None])  # (1, V, 2 * side)
        out: Tensor = self.outer(torch.relu(self.inner(states[0])))  # (V, H)
        return out


ENCODERS: dict[str, Callable[[PromptTable, float, torch.Generator, Mapping[str, Tensor]], PromptEncoder]] = {
    "lstm.v1": LstmEncoder,
    "mlp.v1": MlpEncoder,
    "embedding.v1": EmbeddingEncoder,
}


def build_encoder(
    name: str, start: PromptTable, scale: float, *, seed: int, scales: Mapping[str, Tensor] | None = None
) -> PromptEncoder:
    """Build an encoder by its versioned name.

    Args:
        name: a key of `ENCODERS`.
        start: where the prompt starts.
        scale: factor on the learned part of the input rows.
        seed: draws the initial weights.
        scales: factor on the learned part of each other tensor of the start's kind, by name.

    Raises:
        KeyError: no such encoder (the training configuration checks names first).
    """
    return ENCODERS[name](start, scale, torch.Generator().manual_seed(seed), scales or {})
