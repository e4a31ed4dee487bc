"""Prompts out of NeMo's files (v1.9 to v2.0): a `.nemo` archive, the same unpacked, or a checkpoint of its weights.

A `.nemo` file is a tar archive with `model_config.yaml`, whose `task_templates` are the cards, and
`model_weights.ckpt`, whose prompt table has a matrix `prompt_embeddings.weight` for each taskname. Nothing is unpacked
to the disk and nothing is unpickled (`torch_file`).
"""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch

from promptbank.bank.cards import chosen_card
from promptbank.bank.formats.foreign import ForeignPrompt, in_language
from promptbank.bank.formats.torch_file import read_tensors
from promptbank.bank.session import Bank
from promptbank.errors import InputError
from promptbank.files import sha256_of
from promptbank.model.render import TokenPolicy
from tasks import TaskCard, pick_card, read_cards

__all__ = ["CONFIG", "prompts_of_nemo"]

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
TABLE = re.compile(r"(?:^|\.)prompt_table\.(?P<taskname>[^.]+)\.prompt_embeddings\.weight$")
LARGEST = {CONFIG: 2**20, WEIGHTS: 256 * 2**20}
"""Bytes of each file that is read."""
LARGEST_UNPACKED = 512 * 2**20
"""Bytes of a compressed archive when it is unpacked."""
MOST_MEMBERS = 10_000


@dataclass
class _NemoFiles:
    """What of an archive is read: its configuration, and the weights by name."""

    config: bytes | None = None
    weights: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> None:
        if name.endswith(CONFIG):
            self.config = data
        else:
            self.weights[name] = data


def prompts_of_nemo(bank: Bank, path: Path, card: str | None, lang: str | None) -> list[ForeignPrompt]:
    """Read every prompt of a file.

    Args:
        bank: its backbone is the model that the prompts were learnt for, in Hugging Face's format.
        path: archive, folder or checkpoint; beside a checkpoint ``model_config.yaml`` is looked for.
        card: file of cards that are taken instead of the configuration's; only they can have a label space.
        lang: of the tasks; NeMo's cards name none, so without it "en".

    Raises:
        InputError: it is no such file, is damaged, holds no prompt, or anything that is neither text nor tensor.
        TaskError: a card is faulty, or a prompt has none.
    """
    found = _files(path)
    tables = _tables(found, path)
    cards = [chosen_card(bank.store_if_there(), None, None, card)] if card else _cards(found, path)
    policy, told = TokenPolicy.of(bank.backbone.tokenizer), {"format": "nemo", "file": path.name}
    told |= {"sha256": sha256_of(path)} if path.is_file() else {}
    return [
        ForeignPrompt(in_language(pick_card(cards, taskname), lang), rows, policy, dict(told))
        for taskname, rows in sorted(tables.items())
    ]


def _cards(found: _NemoFiles, path: Path) -> list[TaskCard]:
    if found.config is None:
        raise InputError(f"{path} comes without {CONFIG}, which says what its task is; give its card with --card FILE")
    return read_cards(found.config, name=f"{path.name}: {CONFIG}")


def _tables(found: _NemoFiles, path: Path) -> dict[str, torch.Tensor]:
    """Return the matrix of each taskname; parts of a model that was split over several processes have the same ones."""
    tables: dict[str, torch.Tensor] = {}
    for name, data in sorted(found.weights.items()):
        read = read_tensors(data, f"{path}: {name}", lambda key: TABLE.search(key) is not None)
        for key, tensor in read.items():
            match = TABLE.search(key)
            if match is not None:
                tables.setdefault(match["taskname"], tensor)
        if tables:
            return tables
    raise InputError(
        f"{path} holds no prompt table ({', '.join(sorted(found.weights)) or f'no {WEIGHTS}'}); NeMo from v1.9 on "
        "writes one at the end of prompt learning"
    )


def _files(path: Path) -> _NemoFiles:
    found = _NemoFiles()
    if path.is_dir():
        _add_folder(found, path)
    elif _begins(path, b"PK\x03\x04"):
        _check_size(str(path), path.stat().st_size, LARGEST[WEIGHTS])
        found.add(path.name, path.read_bytes())
        _add_file(found, path.with_name(CONFIG), CONFIG)
    else:
        _add_archive(found, path)
    return found


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError as exc:
        raise InputError(f"{path} cannot be read: {exc.strerror}") from exc


def _add_folder(found: _NemoFiles, folder: Path) -> None:
    _add_file(found, folder / CONFIG, CONFIG)
    for path in sorted([*folder.glob(WEIGHTS), *folder.glob(f"*/{WEIGHTS}")]):
        _add_file(found, path, str(path.relative_to(folder)))


def _add_file(found: _NemoFiles, path: Path, name: str) -> None:
    if path.is_file():
        _check_size(str(path), path.stat().st_size, LARGEST[PurePosixPath(name).name])
        found.add(name, path.read_bytes())


def _add_archive(found: _NemoFiles, path: Path) -> None:
    try:
        packed = _begins(path, b"\x1f\x8b")
        with path.open("rb") as file:
            stream = io.BytesIO(_unpacked(gzip.GzipFile(fileobj=file), path)) if packed else file
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in _members(archive, path):
                    _check_size(f"{path}: {member.name}", member.size, LARGEST[PurePosixPath(member.name).name])
                    content = archive.extractfile(member)
                    found.add(member.name, content.read() if content else b"")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as exc:
        raise InputError(f"{path} is damaged or no .nemo file: {exc}") from exc


def _members(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the files that are read; an archive that leads out of itself is refused, though nothing is unpacked."""
    for number, member in enumerate(archive):
        name = PurePosixPath(member.name)
        if number >= MOST_MEMBERS or name.is_absolute() or ".." in name.parts or member.issym() or member.islnk():
            raise InputError(
                f"{path} is not read: its member {member.name!r:.120} leads out of the archive or is a link, or it has "
                f"over {MOST_MEMBERS}; NeMo writes none like this"
            )
        if member.isreg() and name.name in LARGEST:
            yield member


def _unpacked(stream: gzip.GzipFile, path: Path) -> bytes:
    data = stream.read(LARGEST_UNPACKED + 1)
    _check_size(f"{path}, unpacked", len(data), LARGEST_UNPACKED)
    return data


def _check_size(what: str, size: int, largest: int) -> None:
    if size > largest:
        raise InputError(f"{what} has {size:,} bytes or more; a file with prompts has at most {largest:,}")
