"""The errors of the room ``translate``.

The tree::

    TranslateError          base of everything a user can cause here
    ├── RecordError         a record contradicts itself (spans, slots, frame)
    ├── InventoryError      a labels.<lang>.toml is faulty; carries every fault
    ├── EngineError         an engine cannot translate what it was given
    ├── PolicyError         a policy names a check's flag or a status that does not exist
    ├── AlignError          no word alignment can be made (extra missing, program failed)
    └── ReviewError         review decisions are faulty; carries every fault
"""

from collections.abc import Sequence


class TranslateError(Exception):
    """Base of the errors raised by translate; the message is one helpful line."""


class RecordError(TranslateError):
    """A record contradicts itself."""


class InventoryError(TranslateError):
    """A label inventory is faulty."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{source} has faults: " + "; ".join(faults))


class EngineError(TranslateError):
    """An engine cannot translate what it was given."""


class PolicyError(TranslateError):
    """A policy names a flag or a status that does not exist."""


class AlignError(TranslateError):
    """No word alignment can be made."""


class ReviewError(TranslateError):
    """Review decisions are faulty."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{source} has faults, nothing was applied: " + "; ".join(faults))
