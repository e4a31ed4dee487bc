"""Look at a set as a whole before anything is learnt from it or measured with it, and say what is doubtful."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from promptbank.bank.display import Display
from promptbank.errors import AmbiguousLanguageError, PromptBankError
from tasks import DatasetReport, Example, TaskCard, report_on

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

    from promptbank.model.render import Renderer

__all__ = ["identified_among", "identified_language", "look_at"]


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


def identified_language(text: str, among: frozenset[str] = frozenset()) -> str:
    """Return the code of the language that a text looks like, of those that are named, or of all that are known."""
    return str(_identifier(among).classify(text)[0])


def identified_among(text: str, langs: Collection[str]) -> str:
    """Return which of some languages, such as sv and pt-BR, a text looks like.

    Raises:
        AmbiguousLanguageError: they cannot be told apart, or one of them is not known.
    """
    codes = {lang.partition("-")[0]: lang for lang in langs}
    if len(codes) < len(langs) or not codes.keys() <= set(_identifier().nb_classes):
        raise AmbiguousLanguageError(f"{', '.join(sorted(langs))} cannot be told apart by a text; name the language")
    return codes[identified_language(text, frozenset(codes))]


@lru_cache(64)
def _identifier(among: frozenset[str] = frozenset()) -> "LanguageIdentifier":
    """Return an identifier of some languages, or of all; kept, for one takes 0.2 s to load."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if among:
        identifier.set_languages(sorted(among))
    return identifier


def _is_cut(renderer: "Renderer") -> Callable[[Example], bool]:
    def is_cut(example: Example) -> bool:
        try:
            return renderer.prompt(example.fields).truncated > 0
        except PromptBankError:  # told with the faults of all examples when they are rendered
            return False

    return is_cut
