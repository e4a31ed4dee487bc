"""What a person should know before trusting what a training left."""

from collections import Counter
from collections.abc import Iterator, Sequence

from promptbank.model.backbone import Backbone
from tasks import ANSWER_FORMATS, Example, TaskCard, counted
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
    unanswered: str | None = None,
    accuracy: float | None = None,
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
        unanswered: which labels no dev answer is, see `tasks.metrics.unanswered`.
        accuracy: share of dev answers that are right, exactly so where they are open; None where it is told elsewhere.
    """
    if truncated:
        had = counted(truncated, "example had its text", "examples had their text")
        yield f"{had} cut to fit the window of {backbone.window} positions"
    if unwritable:
        have = counted(unwritable, "example has", "examples have")
        yield (
            f"{have} an answer that the card's format does not allow, such as a value that is not in the text; it was "
            "learnt over all tokens, and held to the format nothing can answer it"
        )
    if backbone.sliding_window is not None and reach > backbone.sliding_window:
        yield (
            f"in some examples virtual tokens stand {reach} positions before the answer's end, and the local layers "
            f"of {backbone.name} see {backbone.sliding_window}; put the markers after the long field"
        )
    if collapse:
        yield str(collapse)
    if unanswered:
        yield f"on dev {unanswered}"
    if not card.is_open:
        yield from _dev_warnings(train, dev, accuracy)
    elif accuracy is not None and card.answer_format and not ANSWER_FORMATS[card.answer_format].keys:
        yield from _copy_warnings(dev, accuracy)


def _copy_warnings(dev: Sequence[Example], accuracy: float) -> Iterator[str]:
    """Yield that a prompt which copies answers from the text may have learnt nothing."""
    answers = Counter(" ".join((example.answer or "").split()) for example in dev)
    ((frequent, count),) = answers.most_common(1)
    if accuracy == 0 or accuracy < count / len(dev):
        yield (
            f"on dev {accuracy:.3f} of the answers are exactly right, and always answering {frequent!r} would give "
            f"{count / len(dev):.3f}: it may have learnt nothing; give more examples, or more --epochs"
        )


def _dev_warnings(train: Sequence[Example], dev: Sequence[Example], accuracy: float | None) -> Iterator[str]:
    """Yield what makes a dev score of labels say less than it seems to."""
    labels, learnt = {example.answer or "" for example in dev}, {example.answer or "" for example in train}
    if len(labels) == 1 < len(learnt):
        yield (
            f"all {len(dev)} dev examples are {labels.pop()!r}, so the epoch was chosen blindly; give more examples, "
            "another --dev-fraction, or --dev-data"
        )
    elif unseen := sorted(learnt - labels):
        shown = ", ".join(unseen[:SHOWN]) + (", ..." if len(unseen) > SHOWN else "")
        said = counted(len(unseen), "label", "labels")
        yield f"the dev score says nothing of {said} without a dev example: {shown}"
    ((frequent, count),) = Counter(example.answer for example in dev).most_common(1)
    if accuracy is not None and len(labels) > 1 and accuracy <= count / len(dev):
        yield (
            f"on dev the prompt is no better than always answering {frequent!r} ({accuracy:.3f}, and "
            f"{count / len(dev):.3f} are that): it may have learnt nothing; give more examples, or more --epochs"
        )
    if share_error(0.5, len(dev)) > LARGE_ERROR:
        yield (
            f"a dev score of {counted(len(dev), 'example', 'examples')} says little: differences below "
            f"{2 * share_error(0.5, len(dev)):.2f} may be luck; give more examples, or --dev-data"
        )
