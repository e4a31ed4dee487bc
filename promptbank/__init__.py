"""promptbank: one frozen GPT backbone, one stored prompt for every task.

The room that knows the others (``tasks``, ``store``, ``translate``); see ``docs/overview.md`` for the way through it.
``import promptbank as pb`` gives `open_bank` and the use cases that take an open bank. Importing it does nothing: no
folder, setting, engine or model is touched before a function is called; a name is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptbank.bank.display import Display
    from promptbank.bank.evaluate import evaluate
    from promptbank.bank.predict import predict
    from promptbank.bank.session import Bank, open_bank
    from promptbank.bank.train import train
    from promptbank.mt.translation import TranslationRequest, translate

__version__ = "0.2.0"

__all__ = [
    "Bank",
    "Display",
    "TranslationRequest",
    "__version__",
    "evaluate",
    "open_bank",
    "predict",
    "train",
    "translate",
]

_MODULES = {
    "Bank": "bank.session",
    "Display": "bank.display",
    "TranslationRequest": "mt.translation",
    "evaluate": "bank.evaluate",
    "open_bank": "bank.session",
    "predict": "bank.predict",
    "train": "bank.train",
    "translate": "mt.translation",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module 'promptbank' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"promptbank.{_MODULES[name]}"), name)
