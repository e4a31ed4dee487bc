"""Text encodings: which ones are read, and what is said of the others."""

import codecs

__all__ = ["encoding_of", "no_text"]

MARKS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(head: bytes) -> str:
    """Return the encoding that a byte-order mark names, or UTF-8."""
    return next((name for mark, name in MARKS if head.startswith(mark)), "utf-8")


def no_text(error: UnicodeDecodeError, name: str, file: str) -> str:
    """Say where a text stops to be text in its encoding, what it may be, and how to convert it."""
    data, at = error.object, error.start
    if not error.encoding.startswith("utf-8"):
        return f"{name} is cut short or damaged {error.encoding.upper()} text at byte {at}; save it again as UTF-8"
    line = data.count(b"\n", 0, at) + 1
    guess, why = _guess(data)
    return (
        f"{name} is no UTF-8 text: byte 0x{data[at]:02X} at {at} (line {line}); "
        f"{why}, convert it: iconv -f {guess} -t UTF-8 {file} > {file}.utf8"
    )


def _guess(data: bytes) -> tuple[str, str]:
    """Return the encoding to name in the command line, and what speaks for it."""
    for at, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        if data[at::2].count(0) > len(data) // 5:
            return name, f"it looks like {name} without a byte-order mark"
    high = sum(byte >= 0x80 for byte in data[: 1 << 16])
    if high <= min(len(data), 1 << 16) // 4:
        return "CP1252", "if it is from Windows or Latin-1 (cp1252)"
    return "ENCODING", "name its encoding (GB18030, SHIFT_JIS, CP1251, ...) and"
