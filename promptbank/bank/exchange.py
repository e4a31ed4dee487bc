"""`bank export` and `bank import`: one row as one safetensors file of some kilobytes.

The file holds the row's tensors by name (of kind `rows.v1` the (V, H) matrix ``virtual_tokens``) and ``probe_logits``;
everything else is JSON in its metadata. There is nothing executable in it (PEFT's pickled checkpoints ran code, #2888),
and a file whose bytes do not give the hash it claims is refused.
"""

import json
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from promptbank.bank.probes import stored_logits
from promptbank.bank.select import LIVE, stored_rules
from promptbank.errors import InputError
from promptbank.files import write_file
from promptbank.model.prompt_table import PromptTable
from store import ROWS_V1, Row, Scope, Store

__all__ = ["export_row", "import_row"]

FORMAT = "promptbank.row.v1"
PROBES = "probe_logits"


def export_row(row: Row, path: Path) -> None:
    """Write a row to a file, atomically."""
    elsewhere = ("data", PROBES, "row_id")
    plain: dict[str, Any] = {f.name: getattr(row, f.name) for f in fields(row) if f.name not in elsewhere}
    plain |= {"scope": asdict(row.scope), "created_at": row.created_at.isoformat()}
    tensors = {
        **PromptTable.from_bytes(row.kind, row.layout, row.data).tensors,
        PROBES: stored_logits(row),
    }
    metadata = {"format": FORMAT, "row": json.dumps(plain, ensure_ascii=False)}
    write_file(path, save(tensors, metadata=metadata))


def read_row(path: Path) -> Row:
    """Read a row from a file.

    Raises:
        InputError: the file is missing, damaged, no exported row, or one that this version could not serve.
        TaskError: its card is such.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path} is not an exported row ({FORMAT}); `promptbank bank export` makes one")
            plain = json.loads(metadata["row"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError as exc:
        raise InputError(f"{path} does not exist") from exc
    except (SafetensorError, json.JSONDecodeError, KeyError, OSError) as exc:
        raise InputError(f"{path} is damaged or no safetensors file: {exc}") from exc
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
        row = Row(**plain, row_id=0)
    except (KeyError, TypeError, ValueError) as exc:
        raise InputError(f"{path} lacks part of a row or has parts this version does not know: {exc}") from exc
    stored_rules(row, source=str(path))
    return row


def import_row(store: Store, path: Path, *, live: bool = True) -> Row:
    """Add an exported row to the bank under its next version, or find it there already.

    Args:
        store: the bank's store.
        path: a file that `export_row` wrote.
        live: move ``live`` to it.

    Raises:
        InputError: see `read_row`.
        TaskError: see `read_row`.
        StoreError: its bytes do not give the hash it claims.
    """
    row = store.rows.import_row(read_row(path))
    if live and store.aliases.get(row.scope, LIVE) != row.version:
        store.aliases.move(row.scope, row.version, LIVE, reason=f"imported from {path.name}")
    return row
