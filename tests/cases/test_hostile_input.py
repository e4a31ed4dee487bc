"""Input that is made to be slow: ten times longer input takes at most twenty times the steps.

Steps are lines of our own code that run, counted by a trace, so that a busy machine changes nothing; patterns are also
held to a limit of seconds that only a wrong order of growth can miss.
Sources: doyensec/regexploit 2, run-llama/llama_index 22334, showdownjs/showdown 1050 (quantifiers side by side).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import pytest

from tasks import CardError, DataError, Example, parse_card, parse_intent_slots, scan_template
from tasks.converters.annotated import parse_annotation
from tasks.dataset_report import report_on
from tasks.reading import read_records
from translate.review.items import parse_annotated

MOST_SECONDS = 20


def steps(work: Callable[[], object]) -> int:
    """Count the lines of tasks and translate that run."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        if "/tasks/" not in frame.f_code.co_filename and "/translate/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before, start = sys.gettrace(), time.process_time()
    sys.settrace(trace)
    try:
        with suppress(CardError, DataError):
            work()
    finally:
        sys.settrace(before)
    assert time.process_time() - start < MOST_SECONDS
    return count


def card(template: str, **changes: object) -> object:
    raw = {"taskname": "t", "prompt_template": template, "total_virtual_tokens": 1, "virtual_token_splits": [1]}
    return parse_card(raw | changes)


def misnumbered(markers: int) -> str:
    return "{x}" + "".join(f"<|VIRTUAL_PROMPT_{2 * n + 1}|>" for n in range(markers)) + "{label}"


def examples(count: int) -> list[Example]:
    return [
        Example(id=str(n), group=str(n), taskname="t", lang="en", fields={"x": f"{n} " * 30}, answer=str(n))
        for n in range(count)
    ]


OPEN = card("{x}<|VIRTUAL_PROMPT_0|>{label}")
CASES: dict[str, Callable[[int], object]] = {
    "misnumbered markers": lambda n: card(
        "{x}" + "".join(f"<|VIRTUAL_PROMPT_{2 * i + 1}|>" for i in range(n)) + "{label}"
    ),
    "one marker many times": lambda n: card("{x}" + "<|VIRTUAL_PROMPT_0|>" * n + "{label}"),
    "broken markers": lambda n: scan_template("<|VIRTUAL_PROMPT_" * n),
    "open braces": lambda n: scan_template("{" * (2 * n + 1)),
    "braces around nothing": lambda n: scan_template("{}" * n),
    "the answer field many times": lambda n: card("{x}<|VIRTUAL_PROMPT_0|>" + "{label}" * n),
    "many splits": lambda n: card("{x}<|VIRTUAL_PROMPT_0|>{label}", virtual_token_splits=[0] * n),
    "many labels with one form": lambda n: card(
        "{x}<|VIRTUAL_PROMPT_0|>{label}", label_space={f"l{i}": ["same"] for i in range(n)}
    ),
    "many equal intents": lambda n: card(
        "{x}<|VIRTUAL_PROMPT_0|>{label}", answer_format="intent_slots.v1", intents=["a"] * n, slot_types=["b"]
    ),
    "unknown keys": lambda n: card("{x}<|VIRTUAL_PROMPT_0|>{label}", **{f"key{i}": 1 for i in range(n)}),
    "nested brackets": lambda n: parse_annotation("[" * n + "]" * n),
    "open brackets": lambda n: parse_annotation("[a : " * n),
    "spaces in a bracket": lambda n: parse_annotated("[" + " " * 10 * n, ["a"]),
    "spaces before a colon": lambda n: parse_annotated("[a" + " " * 10 * n + "b", ["a"]),
    "annotations": lambda n: parse_annotated("[ a : b ] " * n, ["a"]),
    "slots": lambda n: parse_intent_slots("\nIntent: i\nSlots: " + "), ".join(["a(b"] * n) + ")", ["a"]),
    "slots of no known type": lambda n: parse_intent_slots("\nIntent: i\nSlots: a(" + "), b(" * n, ["a"]),
    "objects one after another": lambda n: list(read_records(b'{\n"a":"b"}\n' * n)),
    "short lines of a table": lambda n: list(read_records(b"a,b\n" + b"1,2\n" * n)),
    "a report on equal texts": lambda n: report_on({"train": examples(1) * n}, OPEN),
    "a report on nearly equal texts": lambda n: report_on({"train": examples(n)}, OPEN),
}


@pytest.mark.parametrize("name", CASES)
def test_ten_times_the_input_takes_at_most_twenty_times_the_steps(name: str) -> None:
    small, large = (steps(lambda n=n: CASES[name](n)) for n in (40, 400))
    assert large <= 20 * max(small, 20)


@pytest.mark.parametrize(
    "work",
    [
        lambda: card(misnumbered(8000)),
        lambda: parse_annotated("[" + " " * 200_000, ["a"]),
        lambda: parse_annotated("[a" + " " * 200_000 + ":" + " " * 200_000, ["a"]),
        lambda: parse_intent_slots("\nIntent: i\nSlots: a(" + "), " * 70_000, ["a"]),
        lambda: scan_template("{{" * 100_000),
        lambda: list(read_records(b"\n" * 500_000 + b"{}")),
        lambda: list(read_records(b"[" * 200_000)),
    ],
)
def test_large_hostile_input_is_done_with_in_seconds(work: Callable[[], object]) -> None:
    start = time.process_time()
    with suppress(CardError, DataError):
        work()
    assert time.process_time() - start < MOST_SECONDS
