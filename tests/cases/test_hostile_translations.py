"""Texts that are made to be slow to translate or check: ten times longer takes at most twenty times the steps."""

import time

import pytest

from translate.values.literals import find_literals

ROWS = [
    "1." * 10_000, "0-0" * 7_000, "v1-" * 7_000, "a.b" * 7_000, "/a" * 10_000, "a_" * 10_000, "_" * 20_000,
    "version " * 2_500, "version" + " " * 20_000, "+1" * 10_000, "+1 " * 7_000, "12-34-" * 3_500, "--a-" * 5_000,
    "`" * 20_000, ":" * 20_000, "a:" * 10_000, "1" * 20_000, "order no 1 " * 2_000, "\\a" * 10_000, "1.x" * 7_000,
    "aB" * 10_000, "versions than er" * 1_500,
]  # fmt: skip


@pytest.mark.parametrize("text", ROWS, ids=lambda text: text[:9])
def test_literals_are_found_in_linear_time(text: str) -> None:
    start = time.process_time()
    find_literals(text)
    assert time.process_time() - start < 2  # 20 KB; none takes 0.2 s on its own
