"""Seals: hashes by which a changed row is found; and checks before anything is stored.

`sha256` covers a row's bytes and is its public name. `record_sha256`, the seal, covers the other columns too (card,
policy, version, probes, ...), because a changed label word changes the answers just as a changed number does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from math import prod
from typing import cast

from store.errors import InvalidRecordError
from store.records import ROWS_V1, NewRow, Scope, field_names, rows_layout
from store.schema import SEALS

DTYPE_BYTES = {"float32": 4, "float16": 2}
FLOAT_BYTES = 4
NEWEST_SEAL = max(SEALS)
LARGEST = 2**31 - 1  # of a version, a shape or a step
LARGEST_SEED = 2**63 - 1
REQUIRED = ("kind", "tokenizer_sha256", "backbone_name", "template_sha256", "data_sha256")
PLAIN = field_names(NewRow, "scope", "layout", "probe_shape")
"""The fields of a row that are columns as they are."""
OPTIONAL = [name for name in PLAIN if name not in REQUIRED and not name.endswith("_json")]
"""Those of them that, being texts, may be empty."""


def row_faults(new: NewRow) -> list[str]:
    """Return every reason why a row cannot be stored; empty when it can."""
    return list(_type_faults(new)) or [
        *_tensor_faults(new),
        *_probe_faults(new),
        *_number_faults(new),
        *text_faults({name: getattr(new.scope, name) for name in ("taskname", "lang", "fingerprint")}, required=True),
        *text_faults({name: getattr(new, name) for name in REQUIRED}, required=True),
        *text_faults({name: text for name in OPTIONAL if isinstance(text := getattr(new, name), str)}),
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
        except RecursionError:
            yield f"{name} is not JSON that can be read: it is nested too deeply"


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


def _type_faults(new: NewRow) -> Iterator[str]:
    """Name each value that is not of the type that the record declares: what comes from a file may be anything."""
    plain = {field.name: field.type for field in fields(NewRow) if field.name not in {"scope", "layout", "probe_shape"}}
    for record, types in ((new, plain), (new.scope, dict.fromkeys(field_names(Scope), str))):
        for name, expected in types.items():
            value = getattr(record, name)
            if isinstance(value, bool) or not isinstance(value, cast("type", expected)):
                yield f"{name} is {value!r:.80}, not of type {getattr(expected, '__name__', expected)}"
    if len(new.probe_shape) != 2 or not _are_counts(new.probe_shape):
        yield f"probe_shape is {new.probe_shape!r:.80}, not two whole numbers from 0"
    for name, dtype, shape in new.layout:
        if not (isinstance(name, str) and isinstance(dtype, str) and _are_counts(shape)):
            yield f"the layout has the tensor {(name, dtype, shape)!r:.80}, not a name, a dtype and whole numbers"


def _are_counts(numbers: Sequence[object]) -> bool:
    return all(type(number) is int and 0 <= number <= LARGEST for number in numbers)


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
    if len(new.probe_logits) != prod(new.probe_shape) * FLOAT_BYTES:
        yield f"probe_logits has {len(new.probe_logits)} bytes, which is not float32 of shape {new.probe_shape}"


def _number_faults(new: NewRow) -> Iterator[str]:
    if not -LARGEST_SEED - 1 <= new.seed <= LARGEST_SEED:
        yield f"seed {new.seed} does not fit into 64 signed bits"
    if new.parent_version is not None and not 1 <= new.parent_version <= LARGEST:
        yield f"parent_version {new.parent_version} is not a version; versions start at 1"
