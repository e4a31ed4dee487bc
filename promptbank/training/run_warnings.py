"""What a person should know before trusting what a training left."""

from collections.abc import Iterator, Sequence

from promptbank.model.backbone import Backbone
from tasks import Example, TaskCard
from tasks.statistics import share_error

__all__ = ["run_warnings"]

SHOWN = 10
LARGE_ERROR = 0.1
"""Standard error of an accuracy of one half above which a dev score says little: under 21 examples."""


def run_warnings(
    backbone: Backbone,
    card: TaskCard,
    train: Sequence[Example],
    dev: Sequence[Example],
    *,
    truncated: int,
    unwritable: int = 0,
    reach: int = 0,
    collapse: object = None,
) -> Iterator[str]:
    """Yield one sentence for each thing that a person should know.

    Args:
        backbone: its window, and how far its local layers see.
        card: the task.
        train: examples that were learnt from.
        dev: examples that chose the epoch.
        truncated: training and dev examples whose text was cut.
        unwritable: training and dev examples with an answer that the card's format does not allow.
        reach: most positions from a first virtual token to the end of its answer; 0 where there are none.
        collapse: what the dev score says when nearly all predictions are one label.
    """
    if truncated:
        yield f"{truncated} rows had their text cut to fit the window of {backbone.window} positions"
    if unwritable:
        yield (
            f"{unwritable} rows have an answer that the card's format does not allow, such as a value that is not in "
            "the text; they were learnt over all words, and held to the format nothing can answer them"
        )
    if backbone.sliding_window is not None and reach > backbone.sliding_window:
        yield (
            f"in some rows the virtual tokens stand {reach} positions before the answer's end, and the local layers "
            f"of {backbone.name} see {backbone.sliding_window}; put the markers after the long field"
        )
    if collapse:
        yield str(collapse)
    labels, learnt = {example.answer or "" for example in dev}, {example.answer or "" for example in train}
    if card.is_open:
        return
    if len(labels) == 1 < len(learnt):
        yield (
            f"all {len(dev)} dev examples are {labels.pop()!r}, so the epoch was chosen blindly; give more examples, "
            "another --dev-fraction, or --dev-data"
        )
    elif unseen := sorted(learnt - labels):
        shown = ", ".join(unseen[:SHOWN]) + (", ..." if len(unseen) > SHOWN else "")
        yield f"the dev score says nothing of {len(unseen)} labels without a dev example: {shown}"
    if share_error(0.5, len(dev)) > LARGE_ERROR:
        yield (
            f"a dev score of {len(dev)} examples says little: differences below "
            f"{2 * share_error(0.5, len(dev)):.2f} may be luck; give more examples, or --dev-data"
        )
