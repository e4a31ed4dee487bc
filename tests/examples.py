"""Examples of a datasets folder or hub id, as the use cases read them."""

from __future__ import annotations

from tasks import Example, TaskCard, gather_examples, read_data


def load_dataset_examples(spec: str, card: TaskCard, *, part: str = "train", need_answer: bool = True) -> list[Example]:
    return gather_examples([(spec, read_data(spec, part=part))], card, need_answer=need_answer)
