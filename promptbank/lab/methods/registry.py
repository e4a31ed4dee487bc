"""The methods that can be compared, by versioned names: a name means the same method for ever."""

from promptbank.errors import ConfigError
from promptbank.lab.methods.learner import Method
from promptbank.lab.methods.prompts import DeepPromptTuning, PromptTuning
from promptbank.lab.methods.untrained import Shots, Tfidf
from promptbank.lab.methods.weights import BitFit, FullTuning, Lora

__all__ = ["METHODS", "method_name"]

METHODS: dict[str, Method] = {
    "ptuning.v1": PromptTuning("lstm.v1"),
    "deep.v1": DeepPromptTuning("lstm.v1"),
    "prompt.v1": PromptTuning("embedding.v1"),
    "lora.v1": Lora(),
    "bitfit.v1": BitFit(),
    "full.v1": FullTuning(),
    "full-body.v1": FullTuning(embeddings=False),
    "icl.v1": Shots(),
    "tfidf.v1": Tfidf(),
}


def method_name(asked: str) -> str:
    """Return the versioned name of a method; without a version the newest is meant.

    Raises:
        ConfigError: there is no such method.

    >>> method_name("lora")
    'lora.v1'
    """
    found = [name for name in METHODS if asked in (name, name.rpartition(".")[0])]
    if not found:
        known = ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in METHODS))
        raise ConfigError(f"unknown method {asked!r}; known: {known}")
    return found[-1]
