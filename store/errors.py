"""Everything that can go wrong in the store, in one tree.

StoreError                      base of all; catch this at the border
|-- InvalidRecordError          the caller's data cannot be stored; every fault is named
|   `-- InvalidRowError         a prompt row that contradicts itself
|-- NotFoundError               what was asked for is not there
|   |-- UnknownRowError         no row in this scope, or no row with this id
|   |-- UnknownVersionError     the scope has rows, but not this version
|   |-- UnknownAliasError       the alias was never set, or is retired
|   |-- UnknownApiKeyError      no API key with this name
|   |-- NoEarlierVersionError   a rollback with nothing to go back to
|   |-- UnknownRunError         no training run with this id
|   |-- UnknownTrainingError    no training of this number in the queue
|   `-- UnknownAnswerError      this answer is not kept, or not any more
|-- RunConflictError            a run id is taken by a finished or different run
|-- RevisionConflictError       the bank has changed since the caller looked
|-- InsertOnlyError             an update or delete of something that is kept for ever
|-- TamperedRowError            stored bytes no longer have the sha256 they were frozen with
|-- SchemaError                 the database's tables are older, newer or not ours
|-- DiskFullError               no room left; nothing was written
`-- StoreUnavailableError       the database cannot be opened, reached or locked
"""

from collections.abc import Sequence

LISTED = "see `promptbank bank list`"
TOLD = 20
"""Faults that a message names; `InvalidRecordError.faults` has them all."""


class StoreError(Exception):
    """Base of every error that leaves the store.

    Args:
        message: what is wrong.
        cli: what to do about it at the command line; it ends the message, but not `http_detail`, which clients of a
            service are told.
    """

    def __init__(self, message: str, *, cli: str = "") -> None:
        joint = " " if message.endswith("?") else "; "
        super().__init__(f"{message}{joint}{cli}" if cli else message)
        self.http_detail = message


class InvalidRecordError(StoreError):
    """Data that cannot be stored; `faults` lists every reason."""

    def __init__(self, what: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = f"; and {len(self.faults) - TOLD} more" if len(self.faults) > TOLD else ""
        super().__init__(f"{what} was not stored: {'; '.join(self.faults[:TOLD])}{more}")


class InvalidRowError(InvalidRecordError):
    """A row whose bytes, shape or texts contradict each other."""


class NotFoundError(StoreError):
    """What was asked for is not in the bank."""


class UnknownRowError(NotFoundError):
    """No row in this scope, or none with this id."""


class UnknownVersionError(NotFoundError):
    """The scope has rows, but not this version."""


class UnknownAliasError(NotFoundError):
    """The alias was never set in this scope, or is retired."""


class UnknownApiKeyError(NotFoundError):
    """No API key has this name."""


class NoEarlierVersionError(NotFoundError):
    """The alias has pointed at one version only, so there is nothing to roll back to."""


class UnknownRunError(NotFoundError):
    """No training run has this id."""


class UnknownTrainingError(NotFoundError):
    """The queue has no training of this number."""


class UnknownAnswerError(NotFoundError):
    """The answer is not kept, or not any more."""


class RunConflictError(StoreError):
    """The run id belongs to a run that is finished or was started with other settings."""


class RevisionConflictError(StoreError):
    """The bank has another revision than the caller expects."""


class InsertOnlyError(StoreError):
    """A change to a table whose rows are kept as they were written."""


class TamperedRowError(StoreError):
    """A stored row no longer matches the sha256 it was frozen with."""


class SchemaError(StoreError):
    """The database's tables do not fit this version of the program."""


class DiskFullError(StoreError):
    """The disk or the database's size limit is reached; the transaction was rolled back."""


class StoreUnavailableError(StoreError):
    """The database cannot be opened, reached, locked or written."""
