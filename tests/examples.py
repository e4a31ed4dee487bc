"""Examples of a datasets folder or hub id, as the use cases read them."""

from __future__ import annotations

from tasks import Example, TaskCard, dataset_records, gather_examples


def load_dataset_examples(spec: str, card: TaskCard, *, part: str = "train", need_answer: bool = True) -> list[Example]:
    return gather_examples([(spec, dataset_records(spec, part=part))], card, need_answer=need_answer)
