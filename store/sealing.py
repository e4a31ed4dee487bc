"""What makes a row trustworthy: the checks before it is stored, and the hashes that are compared when it is read.

`sha256` covers the (V, H) bytes and is the row's public name. `record_sha256` covers everything else too (card, policy,
version, probes, ...), because a changed label word changes the answers just as a changed number does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields

from store.errors import InvalidRecordError
from store.records import NewRow

FLOAT_BYTES = 4
LARGEST = 2**31 - 1  # of a version, a shape or a step
LARGEST_SEED = 2**63 - 1
REQUIRED = ("tokenizer_sha256", "backbone_name", "template_sha256", "data_sha256")
PLAIN = tuple(f.name for f in fields(NewRow) if f.name not in {"scope", "probe_shape"})


def row_faults(new: NewRow) -> list[str]:
    """Return every reason why a row cannot be stored; empty when it can."""
    return [
        *_matrix_faults(new),
        *_probe_faults(new),
        *_number_faults(new),
        *text_faults({name: getattr(new.scope, name) for name in ("taskname", "lang", "fingerprint")}, required=True),
        *text_faults({name: getattr(new, name) for name in REQUIRED}, required=True),
        *json_faults({name: getattr(new, name) for name in PLAIN if name.endswith("_json")}),
    ]


def text_faults(texts: Mapping[str, str], *, required: bool = False) -> Iterator[str]:
    """Name each text that no database can hold, or that is empty though it must not be."""
    for name, text in texts.items():
        if not storable(text):
            yield f"{name} holds NUL or half a surrogate pair, which a database cannot keep: {text!r:.80}"
        elif required and not text:
            yield f"{name} is empty"


def json_faults(texts: Mapping[str, str]) -> Iterator[str]:
    """Name each text that is not JSON or that no database can hold."""
    yield from text_faults(texts)
    for name, text in texts.items():
        try:
            json.loads(text)
        except ValueError as exc:
            yield f"{name} is not JSON: {exc}"


def storable(text: str) -> bool:
    """Whether both engines can keep the text: UTF-8 and, for PostgreSQL, no NUL."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def refuse(what: str, faults: list[str], kind: type[InvalidRecordError] = InvalidRecordError) -> None:
    """Raise one error that lists all faults, if there are any."""
    if faults:
        raise kind(what, faults)


def seal(values: Mapping[str, object]) -> str:
    """Return the hash over a whole record, as kept in `record_sha256`.

    Args:
        values: column name -> value, without row_id and the two hashes' own bookkeeping.

    Returns:
        Hex sha256 over (name, type, length, bytes) of each value in name order, so no two records share a spelling.
    """
    digest = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        content = value if isinstance(value, bytes) else str(value).encode()
        digest.update(f"{name}:{type(value).__name__}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def _matrix_faults(new: NewRow) -> Iterator[str]:
    expected = new.virtual_tokens * new.hidden_size * FLOAT_BYTES
    if new.virtual_tokens < 1 or new.hidden_size < 1:
        yield f"the shape ({new.virtual_tokens}, {new.hidden_size}) must be positive"
    if len(new.data) != expected:
        yield (
            f"data has {len(new.data)} bytes, but a float32 matrix of shape "
            f"({new.virtual_tokens}, {new.hidden_size}) has {expected}"
        )
    found = hashlib.sha256(new.data).hexdigest()
    if found != new.sha256:
        yield f"sha256 is {new.sha256!r}, but the data's is {found}"


def _probe_faults(new: NewRow) -> Iterator[str]:
    rows, columns = new.probe_shape
    if min(rows, columns) < 0 or max(rows, columns) > LARGEST or len(new.probe_logits) != rows * columns * FLOAT_BYTES:
        yield f"probe_logits has {len(new.probe_logits)} bytes, which is not float32 of shape {new.probe_shape}"


def _number_faults(new: NewRow) -> Iterator[str]:
    if not -LARGEST_SEED - 1 <= new.seed <= LARGEST_SEED:
        yield f"seed {new.seed} does not fit into 64 signed bits"
    if new.parent_version is not None and not 1 <= new.parent_version <= LARGEST:
        yield f"parent_version {new.parent_version} is not a version; versions start at 1"
