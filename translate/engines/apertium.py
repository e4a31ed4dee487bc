"""The engine of Apertium: rule-based translation by the system's program (Debian: ``apertium apertium-en-gl ...``).

One process a batch. Texts are sent in Apertium's stream format, each ended by a NUL that flushes the whole pipe, so
that no translation depends on its neighbours. (In the program's line mode "hello world" became "ola mundial" or "ola
mundo" after different neighbours.)
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from translate.engines.decoding import model_sha256
from translate.errors import EngineError
from translate.protocols import EngineInfo, Hypothesis, Segment

__all__ = ["ApertiumEngine", "apertium_pairs"]

SECONDS = 300.0
"""Longest wait for a batch."""

LANGUAGES = {
    "afr": "af", "arg": "an", "ast": "ast", "bel": "be", "bul": "bg", "cat": "ca", "cym": "cy", "dan": "da",
    "deu": "de", "eng": "en", "epo": "eo", "eus": "eu", "fra": "fr", "glg": "gl", "ind": "id", "isl": "is",
    "ita": "it", "kaz": "kk", "mkd": "mk", "msa": "ms", "nld": "nl", "nno": "nn", "nob": "nb", "oci": "oc",
    "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "slv": "sl", "spa": "es", "srd": "sc", "swe": "sv",
    "tat": "tt", "tur": "tr", "ukr": "uk", "urd": "ur",
}  # fmt: skip
"""ISO 639-3 of Apertium's directions -> the codes of this project; others are kept as they are."""

_END = "[\n].[]"
"""Ends each text: a blank that is never translated, then the sentence end that Apertium's own formatter adds."""

_SPECIAL = re.compile(r"[\\\[\]{}^$/@<>]")
_MARK_SIGNS = re.compile(r"[*#]")
_TOKEN = re.compile(r"\\(?P<escaped>.)|\[(?P<kept>[*#])\]|[*@#](?=\w)|(?P<plain>.)", re.DOTALL)
_BREAKS = re.compile(r"[\0\s]+")


def apertium_pairs() -> dict[str, str]:
    """Return what the installed program translates: langpair, such as "en-es" -> its direction, such as "eng-spa".

    Raises:
        EngineError: the program is not installed, or fails.
    """
    listed = _run("-l").split()
    return {"-".join(map(_langcode, name.split("-"))): name for name in reversed(listed)}


class ApertiumEngine:
    """Translates one language pair; square brackets around a span survive, since they are escaped.

    Raises:
        EngineError: the program is not installed, or does not know the pair.
    """

    def __init__(self, langpair: tuple[str, str]) -> None:
        pairs, wanted = apertium_pairs(), "-".join(langpair)
        if wanted not in pairs:
            known = ", ".join(sorted(pairs)) or "none"
            raise EngineError(f"Apertium here translates {known}, not {wanted}; install its package for that pair")
        self._direction = pairs[wanted]
        self._info = EngineInfo(f"apertium:{self._direction}:{_version(self._direction)}", (wanted,), "bracket")

    def info(self) -> EngineInfo:
        """Describe the engine; its id changes with the version of the program and of the pair's data."""
        return self._info

    def translate(self, segments: Sequence[Segment]) -> list[Hypothesis]:
        """Translate segments in one process, without scores; runs of white space become one space.

        Raises:
            EngineError: the program fails, or gives back another number of texts.
        """
        clean = [_BREAKS.sub(" ", segment.text).strip() for segment in segments]
        live = [text for text in clean if text]
        sent = "".join(escape(text) + _END + "\0" for text in live)
        answers = _run("-z", "-f", "none", self._direction, stdin=sent).split("\0")[: len(live)] if live else []
        if len(answers) != len(live) or not all(answer.endswith(_END) for answer in answers):
            good = sum(answer.endswith(_END) for answer in answers)
            raise EngineError(f"Apertium {self._direction} gave back {good} of {len(live)} texts")
        found = iter(answers)
        return [Hypothesis(unescape(next(found).removesuffix(_END)) if text else "") for text in clean]


def escape(text: str) -> str:
    r"""Return a text in Apertium's stream format; its own ``*`` and ``#``, which would look like marks, are blanks.

    >>> escape("a [b] *c* <d>")
    'a \\[b\\] [*]c[*] \\<d\\>'
    """
    return _MARK_SIGNS.sub(lambda found: f"[{found[0]}]", _SPECIAL.sub(lambda found: "\\" + found[0], text))


def unescape(stream: str) -> str:
    r"""Return the text of a stream, without Apertium's marks of words that it does not know.

    >>> unescape("o *floccinaucini \\[gato\\] [*]")
    'o floccinaucini [gato] *'
    """
    tokens = _TOKEN.finditer(stream)
    out = "".join(token["escaped"] or token["kept"] or token["plain"] or "" for token in tokens)
    return _BREAKS.sub(" ", out).strip()


def _langcode(code: str) -> str:
    base, _, variant = code.partition("_")
    return LANGUAGES.get(base, base) + (f"-{variant}" if variant else "")


def _version(direction: str) -> str:
    """Return the program's version and a hash over the rules and dictionaries that the direction's mode file names."""
    data = Path(os.environ.get("APERTIUM_DATADIR", "/usr/share/apertium"))
    mode = data / "modes" / f"{direction}.mode"
    named = re.findall(r"/[^\s'\"]+", mode.read_text(encoding="utf-8")) if mode.is_file() else []
    files = [mode, *map(Path, named)] if named else []
    return f"{_run('-V').split()[-1]}:{model_sha256(file for file in files if file.is_file())}"


def _run(*arguments: str, stdin: str = "") -> str:
    program = shutil.which("apertium")
    if program is None:
        raise EngineError(
            "Apertium is not installed; on Debian: `apt-get install apertium`, with the package of the pair if there "
            "is one (`apt-cache search apertium`)"
        )
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the direction is one the program listed
            [program, *arguments], input=stdin.encode(), capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise EngineError(f"Apertium cannot be run: {exc}") from exc
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise EngineError(f"Apertium ended with status {done.returncode}: {said[-1] if said else 'nothing said'}")
    return done.stdout.decode(errors="replace")
