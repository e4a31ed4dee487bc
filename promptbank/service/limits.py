"""What one request may be, and how long it may take."""

from dataclasses import dataclass, field

from promptbank.service.queue import QueueLimits

__all__ = ["RequestLimits"]


@dataclass(frozen=True)
class RequestLimits:
    """The limits of a service.

    Attributes:
        records: most of one request.
        body: most bytes of one request, packed or not.
        tokens: most of one record's prompt.
        row_bytes: most bytes of a row that is sent.
        body_seconds: in which a body must have arrived.
        seconds: how long a record may wait for its turn.
        queue: how many may wait.
    """

    records: int = 256
    body: int = 1_048_576
    tokens: int = 4096
    row_bytes: int = 64 * 2**20
    body_seconds: float = 30.0
    seconds: float = 60.0
    queue: QueueLimits = field(default_factory=QueueLimits)
