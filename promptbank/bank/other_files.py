"""Says what a file is that `bank import` cannot take, by its first bytes, and what to do with it."""

import json
import stat
from pathlib import Path

from promptbank.errors import InputError

__all__ = ["foreign_tensors", "refuse_other_files"]

TRAIN = "train the task here from its card and its examples (`promptbank train --card CARD --data FILE`)"
NEMO = "import it with `--format nemo`"
PICKLE = f"a PyTorch checkpoint; a prompt table of NeMo in it is imported with `--format nemo`; otherwise {TRAIN}"
OLD_PICKLE = f"a PyTorch checkpoint in the format of before 2020, which can run code when it is read; {TRAIN}"
FORMATS = (
    (0, b"PK\x03\x04", PICKLE),
    (0, b"\x80\x02", OLD_PICKLE),
    (0, b"\x80\x04", OLD_PICKLE),
    (257, b"ustar", f"a tar archive, as NeMo's .nemo files are: {NEMO}"),
    (0, b"\x1f\x8b", f"a gzip file, as some .nemo files are: {NEMO}"),
    (0, b"GGUF", "a GGUF model, which can be a backbone: name it with --backbone"),
    (0, b"SQLite format 3\x00", "a SQLite database; if it is a bank, export the row from it: `bank export TASK --db`"),
)
"""Offset and first bytes of what people have at hand, and what to do with it."""


def refuse_other_files(path: Path) -> None:
    """Refuse what is no file, or one of another known format.

    Raises:
        InputError: what it is and what to do; also when it is not there or cannot be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is {_folder(path)}")
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is a pipe or a device; `bank import` takes a file that `bank export` wrote")
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as exc:
        raise InputError(f"{path} does not exist") from exc
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc
    if not head:
        raise InputError(f"{path} is empty; `bank import` takes a file that `bank export` wrote")
    for offset, magic, told in FORMATS:
        if head.startswith(magic, offset):
            raise InputError(f"{path} is {told}")


def foreign_tensors(path: Path, names: list[str]) -> str:
    """Say what a safetensors file is that no `bank export` wrote, by the names of its tensors."""
    if any("prompt_embeddings" in name or "prompt_encoder" in name for name in names):
        return f"{path} holds prompt embeddings of peft; import its folder, with `--format peft`"
    if any("lora_" in name for name in names):
        return f"{path} holds a LoRA adapter, which is no prompt: {TRAIN}"
    listed = ", ".join(names[:3]) or "none"
    return f"{path} is a safetensors file of another program (tensors {listed}), not an exported row"


def _folder(path: Path) -> str:
    if (path / "adapter_config.json").is_file():
        kind = _peft_type(path / "adapter_config.json")
        return f"a peft folder ({kind}); its prompt is imported with `--format peft`"
    if (path / "model_config.yaml").is_file():
        return f"an unpacked .nemo archive: {NEMO}"
    if (path / "config.json").is_file():
        return "the folder of a model, which can be a backbone: name it with --backbone"
    return "a folder; `bank import` takes a file that `bank export` wrote"


def _peft_type(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["peft_type"])[:40]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "of no known type"
