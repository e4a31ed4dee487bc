"""Checks of records before they are stored, and the hashes by which a changed row is found when it is read.

`sha256` covers a row's bytes and is its public name. `record_sha256`, the seal, covers the other columns too (card,
policy, version, probes, ...), because a changed label word changes the answers just as a changed number does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from math import prod

from store.errors import InvalidRecordError
from store.records import ROWS_V1, NewRow, field_names, rows_layout
from store.schema import SEALS

DTYPE_BYTES = {"float32": 4, "float16": 2}
FLOAT_BYTES = 4
NEWEST_SEAL = max(SEALS)
LARGEST = 2**31 - 1  # of a version, a shape or a step
LARGEST_SEED = 2**63 - 1
REQUIRED = ("kind", "tokenizer_sha256", "backbone_name", "template_sha256", "data_sha256")
PLAIN = field_names(NewRow, "scope", "layout", "probe_shape")
"""The fields of a row that are columns as they are."""


def row_faults(new: NewRow) -> list[str]:
    """Return every reason why a row cannot be stored; empty when it can."""
    return [
        *_tensor_faults(new),
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
    """Return the hash over a row's sealed columns that is kept in `record_sha256`.

    Args:
        values: column name -> value, of the columns that an entry of `SEALS` lists.

    Returns:
        Hex sha256 over (name, type, length, bytes) of each value in name order, so no two records share a spelling.
    """
    digest = hashlib.sha256()
    for name in sorted(values):
        value = values[name]
        content = value if isinstance(value, bytes) else str(value).encode()
        digest.update(f"{name}:{type(value).__name__}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def _tensor_faults(new: NewRow) -> Iterator[str]:
    if new.virtual_tokens < 1 or new.hidden_size < 1:
        yield f"the shape ({new.virtual_tokens}, {new.hidden_size}) must be positive"
    if new.kind == ROWS_V1 and new.layout != rows_layout(new.virtual_tokens, new.hidden_size):
        yield f"the layout {new.layout} is not that of {ROWS_V1} with V={new.virtual_tokens}, H={new.hidden_size}"
    unknown = sorted({dtype for _, dtype, _ in new.layout} - DTYPE_BYTES.keys())
    expected = sum(DTYPE_BYTES.get(dtype, 0) * prod(shape) for _, dtype, shape in new.layout)
    if unknown:
        yield f"the dtype {' and '.join(unknown)} cannot be stored; give {' or '.join(DTYPE_BYTES)}"
    elif len(new.data) != expected:
        told = " and ".join(f"{dtype} {name} of shape {shape}" for name, dtype, shape in new.layout) or "no tensor"
        yield f"data has {len(new.data)} bytes, but {told} has {expected}"
    if len({name for name, _, _ in new.layout}) < len(new.layout):
        yield f"two tensors of the layout {new.layout} have one name"
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
