"""``labels.<lang>.toml``: an inventory as a file that people read, edit and approve."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from translate.errors import InventoryError
from translate.inventory.inventory import Decision, Inventory, Section

__all__ = ["dump_inventory", "load_inventory", "parse_inventory", "shipped_inventory"]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    src: str
    tgt: str
    label: dict[str, dict[str, Decision]] = Field(default_factory=dict)
    intent: dict[str, Decision] = Field(default_factory=dict)
    slot_type: dict[str, Decision] = Field(default_factory=dict)
    text: dict[str, Decision] = Field(default_factory=dict)
    value: dict[str, dict[str, Decision]] = Field(default_factory=dict)

    def sections(self) -> Iterator[tuple[Section, Mapping[str, Decision]]]:
        yield from ((("label", taskname), entries) for taskname, entries in self.label.items())
        yield from ((("intent",), self.intent), (("slot_type",), self.slot_type), (("text",), self.text))
        yield from ((("value", slot_type), entries) for slot_type, entries in self.value.items())


def load_inventory(path: Path) -> Inventory:
    """Load and check an inventory.

    Raises:
        InventoryError: the file cannot be read, is no TOML, has unknown keys, or its decisions collide; all faults at
            once.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InventoryError(str(path), [f"cannot be read: {exc}"]) from exc
    return parse_inventory(text, str(path))


def parse_inventory(text: str, source: str) -> Inventory:
    """Read an inventory from TOML text; ``source`` names it in messages.

    Raises:
        InventoryError: as for ``load_inventory``.
    """
    try:
        read = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise InventoryError(source, [f"no TOML: {exc}"]) from exc
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()]
        raise InventoryError(source, faults) from exc
    decisions = {section: dict(entries) for section, entries in read.sections()}
    return Inventory(read.src, read.tgt, {s: e for s, e in decisions.items() if e}, source)


def dump_inventory(inventory: Inventory) -> str:
    """Return the TOML text of an inventory, sections and keys in order, so that equal inventories are equal files."""
    lines = [f"src = {_string(inventory.src)}", f"tgt = {_string(inventory.tgt)}"]
    for section, entries in sorted(inventory.decisions.items()):
        for key, decision in sorted(entries.items()):
            lines += ["", f"[{'.'.join(map(_key, (*section, key)))}]", *_fields(decision)]
    return "\n".join(lines) + "\n"


def shipped_inventory(src: str, tgt: str) -> Inventory:
    """Return the inventory that comes with promptbank for a pair; an empty one when there is none."""
    found = files("translate") / "inventories" / f"labels.{tgt}.toml"
    if not re.fullmatch(r"[a-z]{2,3}", tgt) or not found.is_file():
        return Inventory(src, tgt)
    read = parse_inventory(found.read_text(encoding="utf-8"), f"labels.{tgt}.toml")
    return read if read.src == src else Inventory(src, tgt)


def _fields(decision: Decision) -> Iterator[str]:
    if decision.keep:
        yield "keep = true"
    for name, value in (("target", decision.target), ("phrase", decision.phrase)):
        if value:
            yield f"{name} = {_string(value)}"
    if decision.variants:
        yield f"variants = [{', '.join(map(_string, decision.variants))}]"
    yield f"status = {_string(decision.status)}"
    if decision.by:
        yield f"by = {_string(decision.by)}"


def _string(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are TOML's, but for DEL, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _string(text)
