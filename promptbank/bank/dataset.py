"""Look at a set as a whole before anything is learnt from it or measured with it, and say what is doubtful."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from promptbank.bank.display import Display
from promptbank.errors import PromptBankError
from tasks import DatasetReport, Example, TaskCard, report_on

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

    from promptbank.model.render import Renderer

__all__ = ["identified_language", "look_at"]


def look_at(
    display: Display, card: TaskCard, parts: Mapping[str, Sequence[Example]], *, renderer: "Renderer | None" = None
) -> DatasetReport:
    """Report on a set and say what is doubtful.

    Args:
        display: is told each doubt, a line each.
        card: the task.
        parts: its examples, by the name of the part.
        renderer: counts the texts that do not fit the window; without it lengths are not looked at.
    """
    known = card.lang.partition("-")[0] in _identifier().nb_classes
    found = report_on(
        parts,
        card,
        identify=identified_language if known else None,
        is_cut=_is_cut(renderer) if renderer is not None else None,
    )
    name = f"{card.taskname}:{card.lang}"
    for line in found.lines():
        display.say(f"{name}: {line}")
    return found


def identified_language(text: str) -> str:
    """Return the code of the language that a text looks like."""
    return str(_identifier().classify(text)[0])


@cache
def _identifier() -> "LanguageIdentifier":
    """Return an identifier of all its languages; made once, for it takes 0.2 s to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)


def _is_cut(renderer: "Renderer") -> Callable[[Example], bool]:
    def is_cut(example: Example) -> bool:
        try:
            return renderer.prompt(example.fields).truncated > 0
        except PromptBankError:  # told with the faults of all examples when they are rendered
            return False

    return is_cut
