"""Acting on hidden states between the layers of the backbone, for the time of one forward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from promptbank.errors import PromptBankError

__all__ = ["before_layers", "layers_of", "vectors_added"]


def layers_of(model: nn.Module) -> list[nn.Module]:
    """Return the L transformer layers of a language model, in order.

    Raises:
        PromptBankError: there is no list of as many modules as its configuration names layers.
    """
    depth = cast(PreTrainedModel, model).config.get_text_config().num_hidden_layers
    found = [part for part in model.modules() if isinstance(part, nn.ModuleList) and len(part) == depth]
    if not found:
        raise PromptBankError(
            f"{type(model).__name__} has no list of its {depth} layers, so prompts of kind deep.v1 cannot act in it; "
            "take --kind rows"
        )
    return list(found[0])


@contextmanager
def before_layers(layers: Sequence[nn.Module], act: Callable[[int, Tensor], Tensor]) -> Iterator[None]:
    """Let the hidden states (B, S, H) that enter each layer be what a function makes of them, inside a with block.

    Args:
        layers: which take hidden states as their first positional argument, as those of transformers do.
        act: is given the place of a layer in ``layers`` and its hidden states.
    """

    def hook(place: int, _layer: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (act(place, given[0]), *given[1:])

    handles = [layer.register_forward_pre_hook(partial(hook, place)) for place, layer in enumerate(layers)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def vectors_added(layers: Sequence[nn.Module], vectors: Tensor, slots: Tensor) -> AbstractContextManager[None]:
    """Add vectors to the hidden states between the layers, inside a with block.

    Args:
        layers: all L of the backbone.
        vectors: (L - 1, R, H), of all prompts of a batch; gradients flow into them.
        slots: (B, S) int64, which of the R a position gets, -1 for none.
    """
    each = functional.pad(vectors, (0, 0, 0, 1)).unbind()  # the last vector of each layer is zero, for other positions
    chosen = slots.where(slots >= 0, vectors.shape[1])  # (B, S)
    # as in `embed`, the gradient adds up in order
    return before_layers(layers[1:], lambda place, h: h + functional.embedding(chosen, each[place].to(h)))
