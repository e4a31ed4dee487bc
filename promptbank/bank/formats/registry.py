"""The formats by name, and the use cases `bank export` and `bank import`. Importing it imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from promptbank.bank.select import LIVE, find_row
from promptbank.errors import ConfigError, InputError
from tasks import TaskError, parse_spec, read_cards

if TYPE_CHECKING:
    from promptbank.bank.session import Bank
    from store import Row

T = TypeVar("T")

__all__ = ["EXPORT_FORMATS", "IMPORT_FORMATS", "export_tasks", "import_tasks"]


class ExportFormat(Protocol):
    """How rows are written; ``suffix`` ends the name of what is written where no other is given."""

    suffix: str

    def write(self, bank: Bank, rows: Sequence[Row], out: Path) -> None:
        """Write rows; formats that hold one row refuse several."""


class RowFileFormat:
    """One row as one safetensors file, with all that the bank knows of it; the only format for deep prompts."""

    suffix = ".safetensors"

    def write(self, _bank: Bank, rows: Sequence[Row], out: Path) -> None:
        """Write the file."""
        from promptbank.bank.exchange import export_row
        from promptbank.files import writing

        with writing(out):
            export_row(_only(rows), out)

    def is_this(self, path: Path) -> bool:
        """Whether it is none of the other formats, so that this one's reader says what it is."""
        return not any(form.is_this(path) for form in (PeftFormat(), NemoFormat()))

    def read(self, bank: Bank, path: Path, card: str | None, lang: str | None, live: str) -> list[Row]:
        """Add the row; it brings its own card."""
        from promptbank.bank.exchange import import_row
        from promptbank.bank.live import live_rule
        from promptbank.model.backbone import local_sizes

        if _holds_cards(path):
            raise InputError(f"{path} is a task card; `promptbank tasks add {path}` takes it")
        rule, sizes = live_rule(live), local_sizes(bank.settings.backbone, bank.settings.home)
        if card or lang:
            raise ConfigError(f"{path} brings its own card and language; leave --card and --lang out")
        return [import_row(bank.make(), path, live=rule, sizes=sizes)]


class PeftFormat:
    """One row as a folder of peft: a PROMPT_TUNING or P_TUNING adapter."""

    suffix = ".peft"

    def write(self, bank: Bank, rows: Sequence[Row], out: Path) -> None:
        """Write the folder."""
        from promptbank.bank.formats.peft_folder import write_adapter

        write_adapter(bank, _only(rows), out)

    def is_this(self, path: Path) -> bool:
        """Whether it is a folder with an adapter."""
        return (path / "adapter_config.json").is_file()

    def read(self, bank: Bank, path: Path, card: str | None, lang: str | None, live: str) -> list[Row]:
        """Add the row."""
        from promptbank.bank.formats.foreign import keep_prompts
        from promptbank.bank.formats.peft_folder import prompt_of_adapter

        return keep_prompts(bank, [prompt_of_adapter(bank, path, card, lang)], live)


class NemoFormat:
    """The prompt table of a file of NeMo, with all of its tasks."""

    def is_this(self, path: Path) -> bool:
        """Whether it is a tar or gzip archive, a file of torch.save, or an unpacked .nemo file."""
        if path.is_dir():
            return (path / "model_config.yaml").is_file()
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(512)
        return head[:4] == b"PK\x03\x04" or head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"

    def read(self, bank: Bank, path: Path, card: str | None, lang: str | None, live: str) -> list[Row]:
        """Add a row for each task."""
        from promptbank.bank.formats.foreign import keep_prompts
        from promptbank.bank.formats.nemo_file import prompts_of_nemo

        return keep_prompts(bank, prompts_of_nemo(bank, path, card, lang), live)


class VocabularyFormat:
    """Any number of rows as tokens of a copy of the backbone."""

    suffix = ".model"

    def write(self, bank: Bank, rows: Sequence[Row], out: Path) -> None:
        """Write the folder."""
        from promptbank.bank.formats.vocabulary import write_vocabulary

        write_vocabulary(bank, rows, out)


class ImportFormat(Protocol):
    """How rows are read."""

    def is_this(self, path: Path) -> bool:
        """Whether a file or folder is in this format, by its first bytes."""

    def read(self, bank: Bank, path: Path, card: str | None, lang: str | None, live: str) -> list[Row]:
        """Add what is in it to the bank, all or nothing, and return the rows as the bank has them."""


EXPORT_FORMATS: Mapping[str, ExportFormat] = {
    "safetensors": RowFileFormat(),
    "peft": PeftFormat(),
    "vocabulary": VocabularyFormat(),
}
IMPORT_FORMATS: Mapping[str, ImportFormat] = {
    "safetensors": RowFileFormat(),
    "peft": PeftFormat(),
    "nemo": NemoFormat(),
}


def export_tasks(
    bank: Bank, specs: Sequence[str], form: str = "safetensors", out: Path | None = None
) -> tuple[list[Row], Path]:
    """Write the rows that are meant, under the first one's name unless told.

    Raises:
        PromptBankError: see `find_row`; or the format cannot hold a row.
        ConfigError: there is no such format, or the place cannot be written.
    """
    chosen = _named(EXPORT_FORMATS, form)
    rows = [find_row(bank.store, parse_spec(spec), bank.settings.backbone) for spec in specs]
    path = out or Path(f"{rows[0].scope.taskname}.{rows[0].scope.lang}.v{rows[0].version}{chosen.suffix}")
    chosen.write(bank, rows, path)
    return rows, path


def import_tasks(
    bank: Bank, path: Path, live: str = "gated", form: str = "auto", card: str | None = None, lang: str | None = None
) -> list[tuple[Row, bool]]:
    """Add the rows of a file or folder, each with whether it is live now.

    Args:
        bank: where they go; rows of other programs are taken for its backbone.
        path: file or folder.
        live: a key of `LIVE_RULES`; see `promptbank.bank.exchange.import_row`.
        form: a key of `IMPORT_FORMATS`, or "auto" for what the content says.
        card: file or built-in variant with the card, where the file brings none.
        lang: of tasks that another program has learnt.

    Raises:
        InputError: it is in no such format, damaged, or no sound row.
        ConfigError: there is no such format.
    """
    names = {"auto": "", **dict.fromkeys(IMPORT_FORMATS, "")}
    _named(names, form)
    chosen = next(one for name, one in IMPORT_FORMATS.items() if form == name or (form == "auto" and one.is_this(path)))
    rows = chosen.read(bank, path, card, lang, live)
    return [(row, bank.store.aliases.get(row.scope, LIVE) == row.version) for row in rows]


def _holds_cards(path: Path) -> bool:
    try:
        return path.is_file() and bool(read_cards(path))
    except TaskError:
        return False


def _only(rows: Sequence[Row]) -> Row:
    if len(rows) > 1:
        raise InputError(f"{len(rows)} tasks are named, and this format holds one; export one after the other")
    return rows[0]


def _named(formats: Mapping[str, T], name: str) -> T:
    if name not in formats:
        raise ConfigError(f"--format is {name!r}; possible: {', '.join(formats)}")
    return formats[name]
