"""The errors of the room ``tasks``.

The tree::

    TaskError
    ├── CardError           a card is faulty; carries every fault with its place
    ├── UnknownCardError    no card of that name, language or variant; names near ones
    ├── SpecError           a reference is not ``taskname[:lang][@version]``
    ├── DataError           records are faulty; every message names file, line and field
    │   └── UnknownLabelError   an answer is no form of any label
    └── SplitError          a split would leave a part empty
"""

from collections.abc import Sequence
from dataclasses import dataclass


class TaskError(Exception):
    """Base of the errors raised by tasks."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a card.

    Attributes:
        where: the key it is in.
        position: character offset in the value, where that helps.
        message: what is wrong and what is allowed.
    """

    where: str
    position: int | None
    message: str

    def __str__(self) -> str:
        at = "" if self.position is None else f" at character {self.position}"
        return f"{self.where}{at}: {self.message}"


class CardError(TaskError):
    """A card is faulty."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{source or 'the card'} has faults: " + "; ".join(map(str, faults)))


class UnknownCardError(TaskError):
    """No card of that name, language or variant."""


class SpecError(TaskError):
    """A reference does not follow the grammar."""


class DataError(TaskError):
    """Records cannot be used; `faults` lists every reason, where there are several."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        self.faults = tuple(faults) or (message,)
        super().__init__(message)


class UnknownLabelError(DataError):
    """An answer is no form of any label of the card."""


class SplitError(TaskError):
    """A split would leave a part empty."""
