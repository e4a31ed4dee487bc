"""`bank export` and `bank import`: one row as one safetensors file of some kilobytes.

The file holds the row's tensors by name (of kind `rows.v1` the (V, H) matrix ``virtual_tokens``) and ``probe_logits``;
everything else is JSON in its metadata. There is nothing executable in it (PEFT's pickled checkpoints ran code, #2888),
and a file whose bytes do not give the hash it claims is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from promptbank.bank.other_files import foreign_tensors, refuse_other_files
from promptbank.bank.probes import stored_logits
from promptbank.bank.row_check import BackboneSizes, checked_row
from promptbank.bank.select import LIVE
from promptbank.errors import InputError
from promptbank.files import write_file
from promptbank.model.prompt_table import PromptTable
from store import ROWS_V1, Row, Scope, Store
from tasks import DataError, parse_json

__all__ = ["add_row", "export_row", "exported_bytes", "import_row", "make_live", "read_row"]

FORMAT = "promptbank.row.v1"
PROBES = "probe_logits"


def export_row(row: Row, path: Path) -> None:
    """Write a row to a file, atomically."""
    write_file(path, exported_bytes(row))


def exported_bytes(row: Row) -> bytes:
    """Return the file of a row."""
    elsewhere = ("data", PROBES, "row_id")
    plain: dict[str, Any] = {f.name: getattr(row, f.name) for f in fields(row) if f.name not in elsewhere}
    plain |= {"scope": asdict(row.scope), "created_at": row.created_at.isoformat()}
    tensors = {
        **PromptTable.from_bytes(row.kind, row.layout, row.data).tensors,
        PROBES: stored_logits(row),
    }
    metadata = {"format": FORMAT, "row": json.dumps(plain, ensure_ascii=False)}
    return save(tensors, metadata=metadata)


def read_row(path: Path) -> Row:
    """Read a row from a file.

    Raises:
        InputError: the file is missing, damaged, or no exported row.
    """
    refuse_other_files(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                told = foreign_tensors(path, list(file.keys()))
                raise InputError(f"{told} ({FORMAT}); `promptbank bank export` makes one")
            plain = parse_json(metadata["row"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, DataError, KeyError, ValueError, OSError) as exc:
        raise InputError(f"{path} is damaged or no safetensors file: {exc}") from exc
    if not isinstance(plain, dict):
        raise InputError(f"{path} is damaged: its row is no JSON object")
    return _row(plain, tensors, path)


def _row(plain: dict[str, Any], tensors: dict[str, torch.Tensor], path: Path) -> Row:
    if "kind" not in plain:  # written by release 0.1.0, which had one kind only
        plain |= {"kind": ROWS_V1, "layout": [["virtual_tokens", "float32", tensors["virtual_tokens"].shape]]}
    try:
        layout = tuple((name, dtype, tuple(shape)) for name, dtype, shape in plain["layout"])
        plain |= {
            "layout": layout,
            "scope": Scope(**plain["scope"]),
            "created_at": datetime.fromisoformat(plain["created_at"]),
            "probe_shape": tuple(plain["probe_shape"]),
            "data": PromptTable({name: tensors[name] for name, _, _ in layout}, plain["kind"]).to_bytes(),
            PROBES: tensors[PROBES].numpy().astype("<f4").tobytes(),
        }
        return Row(**plain, row_id=0)
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(f"{path} lacks part of a row or has parts this version does not know: {exc}") from exc


def import_row(
    store: Store, path: Path, *, live: str = "gated", sizes: Mapping[str, BackboneSizes] | None = None
) -> Row:
    """Add an exported row to the bank under its next version, or find it there already.

    Args:
        store: the bank's store.
        path: a file that `export_row` wrote.
        live: a key of `LIVE_RULES`; gated moves ``live`` to it only where no version is live, or one with the same
            bytes, which may be damaged: there are no examples here on which two rows could be compared.
        sizes: of the backbones that are at hand, by fingerprint.

    Raises:
        InputError: see `read_row` and `checked_row`.
        TaskError: its card is faulty.
        StoreError: its bytes do not give the hash it claims, or a part is not of the type that it must have.
    """
    return add_row(
        store, read_row(path), source=str(path), live=live, reason=f"imported from {path.name}", sizes=sizes or {}
    )


def add_row(store: Store, row: Row, *, source: str, live: str, reason: str, sizes: Mapping[str, BackboneSizes]) -> Row:
    """Add a row that was read; see `import_row`.

    Args:
        store: the bank's store.
        row: of another bank.
        source: what it is called in errors.
        live: a key of `LIVE_RULES`.
        reason: of the move of ``live``.
        sizes: of the backbones that are at hand, by fingerprint.
    """
    store.rows.check(row)
    checked_row(row, sizes.get(row.scope.fingerprint), source=source)
    row = store.rows.import_row(row)
    make_live(store, row, live, reason)
    return row


def make_live(store: Store, row: Row, rule: str, reason: str) -> None:
    """Move ``live`` to an imported row where the rule of `import_row` lets it."""
    before = store.aliases.get(row.scope, LIVE)
    same = {
        info.version
        for info in store.rows.versions(row.scope)
        if (info.sha256, info.template_sha256) == (row.sha256, row.template_sha256)
    }
    if before != row.version and (rule == "always" or (rule == "gated" and before in {None, *same})):
        store.aliases.move(row.scope, row.version, LIVE, reason=reason)
