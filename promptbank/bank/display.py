"""How a person is told what goes on: messages, counts, and the reports of trainings."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from promptbank.training.progress import NoProgress

__all__ = ["Display"]


class Display(NoProgress):
    """Passes messages on and shows nothing else; a base for what shows counts and trainings too.

    Args:
        say: called with what a person should know: which data are used, licences, what takes long.

    Attributes:
        part: of a longer piece of work that is being done; stands before the trainings that have no name.
    """

    part = ""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self.say = say

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:  # noqa: ARG002 - for displays that draw it
        """Show that something takes a while of which no part can be counted, such as loading a model."""
        yield

    def count(self, done: int, total: int, what: str) -> None:
        """Show how much of how much is done, and what is being done."""
