"""The errors of the backbone floor.

Each message says what was asked for, what is allowed and what to do; all derive from the room's base::

    BackboneError (PromptBankError)
    ├── UnknownBackboneError    no built-in name, folder, file or hub repository is meant (carries near names)
    ├── UnusableBackboneError   it is there and cannot serve: not causal, no end token, no safetensors weights, ...
    ├── FetchError              a built-in backbone could not be downloaded, or what came is not what was published
    │   └── HubUnreachableError the model hub does not answer, refuses, or is switched off
    └── BackboneStorageError    the cache folder cannot be written (rights, a file in the way, a full disk)
"""

from promptbank.errors import PromptBankError

__all__ = [
    "BackboneError",
    "BackboneStorageError",
    "FetchError",
    "HubUnreachableError",
    "UnknownBackboneError",
    "UnusableBackboneError",
]


class BackboneError(PromptBankError):
    """A backbone cannot be found, fetched or used."""


class UnknownBackboneError(BackboneError):
    """A reference names no backbone."""


class UnusableBackboneError(BackboneError):
    """A model is there, but promptbank cannot use it as a frozen GPT."""


class FetchError(BackboneError):
    """A download failed or delivered something else than was published."""


class HubUnreachableError(FetchError):
    """The model hub cannot be reached, or may not be (offline)."""


class BackboneStorageError(BackboneError):
    """The cache of converted backbones cannot be written."""
