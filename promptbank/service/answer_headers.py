"""What the headers of an answer tell: the row that answered, and where the time went."""

from collections.abc import Sequence
from urllib.parse import quote

from promptbank.service.queue import QueuedRequest

__all__ = ["EXPOSED", "row_headers", "timing_header"]

TASK, ROW, TIMING = "x-promptbank-task", "x-promptbank-row", "server-timing"
EXPOSED = (TASK, ROW, TIMING)
SHA_CHARACTERS = 12


def row_headers(queued: Sequence[QueuedRequest | Exception]) -> dict[str, str]:
    """Return the row that answers all records, as ``taskname:lang@version`` and its sha256; nothing if several do."""
    rows = {one.prepared.row for one in queued if isinstance(one, QueuedRequest)}
    if len(rows) != 1:
        return {}
    ((taskname, lang, version, sha256),) = rows
    return {TASK: quote(f"{taskname}:{lang}@{version}", safe=":@"), ROW: sha256[:SHA_CHARACTERS]}


def timing_header(queued: Sequence[QueuedRequest | Exception]) -> dict[str, str]:
    """Return the milliseconds of the slowest record: until its turn, from then to its answer, of that in the model."""
    answered = [one for one in queued if isinstance(one, QueuedRequest) and one.answered_at]
    if not answered:
        return {}
    slowest = max(answered, key=lambda one: one.answered_at)
    parts = {"queue": slowest.waited, "batch": slowest.answered_at - slowest.begun_at, "forward": slowest.forward}
    return {TIMING: ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in parts.items())}
