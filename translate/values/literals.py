"""Literals: strings with digits in them that say no value, such as versions, phone numbers, addresses and file names.

A translation must have them letter by letter. A comma in "0.85.x" or a space in order "50312" makes it another thing,
while "0.85 percent" and "50,312 people" are written by the habits of each language.
"""

import re
from collections.abc import Iterable, Iterator

__all__ = ["Literal", "blanked", "find_literals", "shared_literals", "without_literals"]

Literal = tuple[int, int, str]
"""Character offsets of a literal, the end exclusive, and its kind."""

FILLER = "\ufffc"
"""Stands for each character of a literal when values are read: no letter, digit or space."""

_SEP = "[ \u00a0.-]"
_SCALED = r"(?!\s*(?:%|per ?cent|pct|procent|[kmb]n?\b|[a-z]*illion|milj|hundred|thousand|tusen))"
_DOTTED = r"\d+(?:\.\d+)+"
_RELEASE = r"(?:-?(?:alpha|beta|rc|dev|post|pre|a|b)\.?\d+)"
_CUED = (
    r"versions?|versionen|versioner|ver\.|release|build|firmware|kernel|sections?|chapters?|clauses?|avsnitt|kapitel|"
    r"python|java|node|php|django|android|ios|macos|windows|ubuntu|debian|bluetooth|usb|tls|http"
)
_THAN = r"(?:\s+(?:number|nummer|below|under|above|over|before|after|from|since|until|(?:\w+er|less) than))?"
_THINGS = (
    r"order|invoice|ticket|case|booking|reservation|reference|ref\.?|tracking|customer|account|serial|article|item|part|"
    r"parcel|shipment|claim|policy|contract|beställning|ordern|faktura|ärende|bokning|referens|kund|konto|artikel|paket"
)
_NUMBER = r"(?:numbers?|no\.?|nr\.?|id|code|nummer|numret|#)"
_ENDINGS = (
    "pdf|docx?|xlsx?|pptx?|txt|md|csv|tsv|jsonl?|ya?ml|xml|html?|css|ini|toml|cfg|conf|log|py|js|ts|java|cpp|cs|rb|rs|sh|"
    "bat|ps1|sql|db|exe|dll|zip|gz|tar|png|jpe?g|gif|svg|mp3|mp4|wav|avi|mov"
)

PATTERNS: dict[str, re.Pattern[str]] = {
    "ip": re.compile(
        r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/\d{1,2}|:\d{1,5})?(?!\w|\.\d)"
        r"|(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])"
        r"|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}(?![\w:])",
        re.IGNORECASE,
    ),
    "version": re.compile(
        rf"(?<![\w.])v\.?\d+(?:\.(?:\d+|x))*{_RELEASE}?(?:[-+][a-z0-9.]*[a-z0-9])?(?!\w|\.\d)"
        rf"|(?<![\w.,$€£])(?:\d+(?:\.\d+)*\.[x*]|\d+(?:\.\d+){{2,}}{_RELEASE}?|\d+(?:\.\d+)+{_RELEASE})(?!\w|[.,]\d)",
        re.IGNORECASE,
    ),
    "numbering": re.compile(
        rf"(?<!\w)(?:{_CUED}){_THAN}:?\s+(?P<it>{_DOTTED})(?!\w|[.,]\d){_SCALED}"
        rf"(?:\s*(?:,|and|or|to|through|och|eller|till|[-\u2013])\s*(?P<other>{_DOTTED})(?!\w|[.,]\d){_SCALED})?",
        re.IGNORECASE,
    ),
    "phone": re.compile(
        rf"(?<![\w.,+])(?:\+|00(?=[1-9]))\d{{1,3}}(?:{_SEP}?{_SEP}?\(?\d{{1,5}}\)?){{2,6}}(?!\w|[.,]\d)"
        rf"|(?<![\w.,:+/-])0\d{{1,3}}[ \u00a0/-]{{1,3}}\d{{2,4}}(?:[ \u00a0-]?\d{{2,4}}){{1,3}}(?!\w|[.,-]\d)"
        r"|(?<![\w.,-])(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-]|\.\d)"
        r"|(?<!\w)(?:call|dial|phone|tel|telephone|mobile|fax|ring|telefon|mobil)[.:]*\s+"
        r"(?P<it>\d{2,4}(?:-\d{2,4}){1,3})(?![\w-]|[.,\s]?\d)",
        re.IGNORECASE,
    ),
    "number": re.compile(
        rf"(?<!\w)(?:{_THINGS})s?[ -]?"
        rf"(?:(?:{_NUMBER})\s*:?\s*(?P<it>\d+(?:-\d+)*)|[:\s]\s*(?P<other>\d{{5,}}(?:-\d+)*))"
        rf"(?!\w|[.,:%]\d|-\w){_SCALED}"
        r"|(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])"
        r"|(?<!\w)0x[0-9a-f]+(?!\w)|(?<![\w-])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}(?![\w-])"
        r"|(?<![\w#&])#\d{4,}(?!\w)|(?<![\w.,:-])(?:0\d{4,}|\d{9,})(?!\w|[.,:]\d|-\d)"
        r"|(?<![\w-])\d{2,}-(?-i:[A-Z]{2,})\d*(?![\w-])",
        re.IGNORECASE,
    ),
    "identifier": re.compile(
        r"(?<!\w)\w*[^\W_]_[^\W_]\w*(?!\w)|(?<!\w)[a-z]{3,}[A-Z][a-z]\w+|(?<![\w-])--[a-z][\w-]+(?<!-)|`[^`\n]{1,99}`"
    ),
    "file": re.compile(
        rf"(?<![\w@./\\-])(?:[\w.-]*[\\/])*[\w-][\w.-]*\.(?:{_ENDINGS})(?!\w)"
        r"|(?<![\w@./\\:-])(?:~|\.{1,2})?/[\w.-]*[^\W\d][\w.-]*(?:/[\w.-]*\w)+",
        re.IGNORECASE,
    ),
}
_DATE = re.compile(r"(?:[0-3]?\d)[.\-/ ][01]?\d[.\-/ ]\d{4}")
_GROUPED = re.compile(r"\+?\d{1,3}(?:[. \u00a0]\d{3})+")
WITHOUT_DIGITS = ("identifier", "file")
"""Kinds that need no digit; a text without digits is searched for these alone."""
SURE_PHONE = 10
"""Digits from which "+46 701 234 567" is a phone number; "+1 000 000" is an amount."""


def find_literals(text: str) -> tuple[Literal, ...]:
    """Find the literals of a text: the leftmost first, the longer of two that begin together, no overlaps.

    >>> text = "below 0.85.x, call +46 70 123 45 67 about order 50312: 0.85 of it"
    >>> [text[start:end] for start, end, _ in find_literals(text)]
    ['0.85.x', '+46 70 123 45 67', '50312']
    """
    kept: list[Literal] = []
    for one in sorted(_found(text), key=lambda found: (found[0], -found[1], found[2])):
        if not kept or one[0] >= kept[-1][1]:
            kept.append(one)
    return tuple(kept)


def without_literals(text: str) -> str:
    """Return a text of the same length in which its literals say nothing."""
    out, at = "", 0
    for start, end, _ in find_literals(text):
        out, at = out + text[at:start] + FILLER * (end - start), end
    return out + text[at:]


def shared_literals(source: str, target: str) -> frozenset[str]:
    """Return the literals of a source text, and those of its translation that the source has as they are."""
    said = {target[start:end] for start, end, _ in find_literals(target)}
    return frozenset(source[start:end] for start, end, _ in find_literals(source)) | {
        one for one in said if next(_places(one, source), None) is not None
    }


def blanked(text: str, literals: Iterable[str]) -> str:
    """Return a text of the same length in which some literals say nothing.

    >>> blanked("v2.3 or 2.3", ["v2.3"]).replace(FILLER, "*")
    '**** or 2.3'
    """
    chars = list(text)
    for one in literals:
        for start in _places(one, text):
            chars[start : start + len(one)] = FILLER * len(one)
    return "".join(chars)


def _found(text: str) -> Iterator[Literal]:
    kinds = PATTERNS if any(map(str.isdigit, text)) else WITHOUT_DIGITS
    for kind in kinds:
        for match in PATTERNS[kind].finditer(text):
            groups = [name for name in ("it", "other") if match.groupdict().get(name)]
            for start, end in [match.span(name) for name in groups] or [match.span()]:
                if _is_literal(kind, text[start:end]):
                    yield start, end, kind


def _is_literal(kind: str, string: str) -> bool:
    """Say whether a match is no date and no grouped number."""
    digits = sum(char.isdigit() for char in string)
    if kind == "phone":
        grouped = digits < SURE_PHONE and _GROUPED.fullmatch(string)
        return 7 <= digits <= 15 and not grouped and not _DATE.fullmatch(string)
    return kind == "ip" or not (_GROUPED.fullmatch(string) or _DATE.fullmatch(string))


def _places(string: str, text: str) -> Iterator[int]:
    """Yield where a string stands in a text, not within a longer word or number."""
    at = text.find(string)
    while at >= 0:
        end = at + len(string)
        before, behind = text[at - 1 : at], text[end : end + 1]
        number = behind in (".", ",") and text[end + 1 : end + 2].isdigit()
        if not before.isalnum() and not behind.isdigit() and not number:
            yield at
        at = text.find(string, end)
