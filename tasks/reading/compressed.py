"""Compressed input: gzip, bzip2 and xz are unpacked while reading."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, cast

from tasks.errors import DataError
from tasks.reading.source import InputFile

__all__ = ["BROKEN_DATA", "decompressed", "gunzip"]

BROKEN_DATA = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""What reading damaged or shortened compressed data raises."""

UNPACKERS: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def decompressed(source: InputFile) -> InputFile:
    """Return a source that is no longer compressed; one that is not compressed as it is.

    Raises:
        DataError: what is in it is compressed again.
    """
    unpack = _unpacker(source)
    if unpack is None:
        return source
    stream = cast(BinaryIO, unpack(source.stream))
    inner = InputFile(stream, source.name, file=source.file, columns=source.columns, own=True, outer=source)
    if _unpacker(inner) is not None:
        raise DataError(source.says("is compressed twice; unpack it once"))
    return inner


def _unpacker(source: InputFile) -> Callable[[BinaryIO], object] | None:
    return next((unpack for magic, unpack in UNPACKERS.items() if source.head.startswith(magic)), None)


def gunzip(body: bytes, limit: int) -> bytes:
    """Unpack a gzip body that has at most ``limit`` bytes unpacked.

    Raises:
        DataError: it is longer, cut short, or no gzip.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as stream:
            unpacked = stream.read(limit + 1)
    except BROKEN_DATA as exc:
        raise DataError(f"the body is no sound gzip data: {exc}") from exc
    if len(unpacked) > limit:
        raise DataError(f"the body has over {limit} bytes unpacked; send fewer records at a time")
    return unpacked
