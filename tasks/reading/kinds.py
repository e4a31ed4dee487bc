"""What kind of file this is, by its first bytes: one that is read, or one that is said with the way to convert it."""

import codecs
import json
import re
import shlex
from collections.abc import Sequence

from tasks.errors import DataError
from tasks.reading.source import InputFile
from tasks.reading.tables import layout_of
from tasks.records import json_text

__all__ = ["kind_of"]

BINARY_KINDS = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))

TEMPLATES = re.compile(r"^[ \t-]*(task_templates|taskname|prompt_template)[ \t]*:(?=\s)", re.MULTILINE)

BINARIES = (  # first bytes, what it is, what to do
    (b"%PDF-", "a PDF document", "take its text out: pdftotext {file} {file}.txt"),
    (b"SQLite format 3\0", "an SQLite database", "write a table as CSV: sqlite3 -header -csv {file} 'SELECT ...'"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "convert it: libreoffice --headless --convert-to csv {file}"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: zstd -d {file}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it: 7z x {file}"),
    (b"Rar!", "a RAR archive", "unpack it: unrar x {file}"),
    (b"\x80\x02", "a Python pickle, which may run code when it is loaded", "write its records with json.dumps"),
    (b"\x80\x03", "a Python pickle, which may run code when it is loaded", "write its records with json.dumps"),
    (b"\x80\x04", "a Python pickle, which may run code when it is loaded", "write its records with json.dumps"),
    (b"\x80\x05", "a Python pickle, which may run code when it is loaded", "write its records with json.dumps"),
    (b"\x89HDF", "an HDF5 file", "write its records as JSON lines"),
    (b"\x89PNG", "a picture", "give a file with text"),
    (b"\xff\xd8\xff", "a picture", "give a file with text"),
    (b"{\\rtf", "an RTF document", "save it as plain text or CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS and not the file itself", "fetch it: git lfs pull"),
)

TEXTS = (  # a pattern of the first text, what it is, what to do
    (r"<!doctype html|<html", "an HTML page, perhaps the error page of a download", "download the file itself"),
    (r"<\?xml|<[a-z]+[ >]", "XML", "write its records as JSON lines or CSV"),
    (r"[{\[]\s*'", "Python's own notation and no JSON", "write each record with json.dumps"),
    (r"\{\s*//|\[\s*//|/[/*]", "JSON with comments", "take the comments out"),
)


def kind_of(source: InputFile) -> str:
    """Return the kind of a source, a key of `tasks.reading.READERS`.

    Raises:
        DataError: it is of no kind that is read, or in no encoding that is; the message has the line that converts it.
    """
    found = next((kind for magic, kind in BINARY_KINDS if source.head.startswith(magic)), None)
    if found is not None:
        return found
    if source.head.startswith(b"PK\x03\x04"):
        return _archive(source)
    if source.head[257:262] == b"ustar":
        what = "a NeMo checkpoint (.nemo)" if source.file.rstrip("'").endswith(".nemo") else "a tar archive"
        raise _unread(source, what, "unpack it: tar xf {file}")
    for magic, what, how in BINARIES:
        if source.head.startswith(magic):
            raise _unread(source, what, how)
    return _text_kind(source, _head_text(source))


def _archive(source: InputFile) -> str:
    """Tell what a zip archive holds by the names of its first members."""
    head = source.head
    if b"xl/" in head or (b"[Content_Types].xml" in head and b"word/" not in head):
        return "excel"
    if b"word/" in head:
        raise _unread(source, "a Word document", "save its table as CSV")
    if b"/data.pkl" in head or b"archive/" in head:
        raise _unread(source, "a PyTorch checkpoint", "give the file with the records or cards")
    raise _unread(source, "a zip archive", "unpack it: unzip {file}")


def _head_text(source: InputFile) -> str:
    """Return the text of the head; a character that the head cuts is left out."""
    try:
        return codecs.getincrementaldecoder(source.encoding)().decode(source.head).removeprefix("\ufeff").lstrip()
    except UnicodeDecodeError as exc:
        raise DataError(source.no_text(exc)) from exc


def _text_kind(source: InputFile, text: str) -> str:
    if "\0" in text[:1000]:
        raise _unread(source, "binary and of no kind that is known", "give JSON lines or CSV")
    for pattern, what, how in TEXTS:
        if re.match(pattern, text, re.IGNORECASE):
            raise _unread(source, what, how)
    if text.startswith("["):
        return "json-array"
    if text.startswith("{") or not text:
        return _objects_kind(text)
    if TEMPLATES.search(text):
        return "task-templates"
    if layout_of(text, source.file, source.columns) is not None:
        return "table"
    if text.startswith(('"', "-")) or _is_json(text.splitlines()[0]):
        return "json-lines"  # of values that are no records, told line by line
    what = f"plain text that begins with {text[:40]!r}; neither JSON, nor a table with a header"
    raise _unread(source, what, f"make records of its lines: {_jq(source.columns)} {{file}} > {{file}}.jsonl")


def _jq(columns: Sequence[str]) -> str:
    """Return the command that makes records of lines, under the name of the text's column."""
    name = columns[0] if columns else "text"
    key = name if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else json_text(name)
    return "jq -Rc " + shlex.quote(f"{{{key}: .}}").replace("{", "{{").replace("}", "}}")


def _objects_kind(text: str) -> str:
    """Tell one object a line from objects over several lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:2]
    whole = any(line.startswith("{") and _is_json(line) for line in lines)
    return "json-lines" if whole or not lines or lines[0].endswith("}") else "json-objects"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _unread(source: InputFile, what: str, how: str) -> DataError:
    return DataError(source.says(f"is {what}; {how.format(file=source.file)}"))
