"""The one grammar for naming a task everywhere: ``taskname[:lang][@version]``."""

import re
from dataclasses import dataclass

from tasks.errors import SpecError

__all__ = ["TaskRef", "is_lang", "is_taskname", "parse_spec"]

_TASKNAME = re.compile(r"[^\s:@./\\\x00]+\Z")
_LANG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z")
_VERSION = re.compile(r"[1-9][0-9]{0,8}\Z")


@dataclass(frozen=True)
class TaskRef:
    """What a reference names; None where it says nothing.

    >>> str(TaskRef("sentiment-task", "sv", 3))
    'sentiment-task:sv@3'
    """

    taskname: str
    lang: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        lang = f":{self.lang}" if self.lang else ""
        return f"{self.taskname}{lang}" + (f"@{self.version}" if self.version else "")


def is_taskname(text: str) -> bool:
    r"""Whether text can be a taskname: not empty, without white space and ``: @ . / \\``."""
    return _TASKNAME.match(text) is not None


def is_lang(text: str) -> bool:
    """Whether text looks like a language code (BCP 47), such as sv or pt-BR."""
    return _LANG.match(text) is not None


def parse_spec(text: str) -> TaskRef:
    """Parse a reference.

    Raises:
        SpecError: it does not follow the grammar; all that is wrong is named.

    >>> parse_spec("sentiment-task:sv@3")
    TaskRef(taskname='sentiment-task', lang='sv', version=3)
    """
    head, at, version = text.partition("@")
    taskname, colon, lang = head.partition(":")
    faults = []
    if not is_taskname(taskname):
        faults.append(f"{taskname!r} is no taskname (no white space, none of : @ . / \\)")
    if colon and not is_lang(lang):
        faults.append(f"{lang!r} is no language code such as sv")
    if at and not _VERSION.match(version):
        faults.append(f"{version!r} is no version such as 3")
    if faults:
        raise SpecError(f"{text!r} does not name a task: {'; '.join(faults)}; write taskname[:lang][@version]")
    return TaskRef(taskname, lang or None, int(version) if version else None)
