"""The bytes of one input, with a part of them read ahead so that its kind can be found out, and its encoding."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO

from tasks.reading import encodings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["InputFile"]

AHEAD = 1 << 16
"""Bytes that are looked at to find out the kind."""
LONGEST_LINE = 1 << 20
"""Bytes that are read ahead to have the first line whole."""


class InputFile:
    """One input.

    Attributes:
        name: how errors call it; may be empty.
        file: the path to name in a command line, or "FILE".
        columns: names of columns that it is read for, that of the text first; empty where none is known.
        head: its first bytes, at least the first line that is not blank (if it is not very long).
        stream: all of its bytes, the head included.
    """

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        *,
        file: str = "FILE",
        columns: Sequence[str] = (),
        own: bool = False,
        outer: InputFile | None = None,
    ) -> None:
        """Read ahead.

        Args:
            stream: the bytes.
            name: how errors call them; may be empty.
            file: the path to name in a command line.
            columns: names of columns that it is read for, that of the text first.
            own: whether the stream is closed with the source.
            outer: the source that this one is unpacked from, closed with it.
        """
        self.name, self.file, self.columns = name, file, columns
        self._closed_with = [stream] if own else []
        self._outer = outer
        some = getattr(stream, "read1", stream.read)  # read1 does not wait for more than there is
        self.head = _ahead(some, AHEAD if stream.seekable() else 0)
        self.stream = io.BufferedReader(_Raw(self.head, some), AHEAD)
        self.encoding = encodings.encoding_of(self.head)

    def place(self, where: str) -> str:
        """Name a place in it, such as "rows.json:record 3", or "record 3" of an input without a name."""
        return f"{self.name}:{where}" if self.name else where

    def says(self, what: str) -> str:
        """Make a sentence about it."""
        return f"{self.name or 'the input'} {what}"

    def no_text(self, error: UnicodeDecodeError) -> str:
        """Say that it is no text in its encoding, and how to convert it."""
        return encodings.no_text(error, self.name or "the input", self.file)

    def text(self) -> str:
        """Return all of its text without a byte-order mark; `UnicodeDecodeError` is for the caller."""
        return self.stream.read().decode(self.encoding).removeprefix("\ufeff")

    def byte_lines(self) -> Iterator[bytes]:
        """Yield its lines in UTF-8, one at a time."""
        if self.encoding in ("utf-8", "utf-8-sig"):
            yield from self.stream
            return
        for line in io.TextIOWrapper(self.stream, encoding=self.encoding, newline="\n"):
            yield line.encode()

    def __enter__(self) -> InputFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened for it; a stream of the caller stays open."""
        for stream in self._closed_with:
            stream.close()
        if self._outer is not None:
            self._outer.close()


def _ahead(some: Callable[[int], bytes], least: int) -> bytes:
    """Read at least so many bytes, and the first line that is not blank; a pipe is not waited for longer than that."""
    head = bytearray()
    while len(head) < least or (len(head) < LONGEST_LINE and b"\n" not in head.lstrip()):
        chunk = some(AHEAD)
        if not chunk:
            break
        head += chunk
    return bytes(head)


class _Raw(io.RawIOBase):
    """Bytes that were read ahead, and then those that were not."""

    def __init__(self, first: bytes, rest: Callable[[int], bytes]) -> None:
        self._first, self._rest = memoryview(first), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        chunk = self._first[: len(view)] or self._rest(len(view))
        view[: len(chunk)] = chunk
        self._first = self._first[len(chunk) :]
        return len(chunk)
