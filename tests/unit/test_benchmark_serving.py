"""What the serving benchmarks work out of what they measure; their figures are not for tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made_rows import add_rows
from benchmarks.serving_batch import megabytes, one_batch
from benchmarks.serving_load import Server
from benchmarks.serving_report import report
from benchmarks.soak import slope
from promptbank.bank.session import Bank
from promptbank.config import load_settings
from tests.tiny import tiny_backbone

LABELS = ("billing", "delivery", "other")


def test_a_slope_is_megabytes_a_minute() -> None:
    assert slope([(0.0, 100, 9), (60.0, 103, 9), (120.0, 106, 9)]) == pytest.approx(3)
    assert slope([(0.0, 100, 9), (30.0, 101, 9), (60.0, 99, 9)]) == pytest.approx(-1)  # by hand: -30 / 1800 a second


def test_a_batch_of_many_tasks_answers_as_each_does_alone(tmp_path: Path) -> None:
    with Bank(load_settings({"home": tmp_path}, {})[0]) as bank:
        bank.backbone = tiny_backbone("llama")
        found = one_batch(bank, 6, LABELS, ("rows.v1", "deep.v1"), "the parcel")
        assert (found["tasks"], found["same labels"]) == (6, 6)
        assert found["largest difference of a probability"] < 1e-5
        add_rows(bank, [0, 1], LABELS)
        assert [info.aliases for info in bank.store.rows.list()] == [("live",), ("live",)]
        assert bank.store.check() == []


def test_memory_and_time_of_a_process_are_the_systems() -> None:
    here = Server("", os.getpid())
    assert here.processor_seconds() == pytest.approx(sum(os.times()[:2]), abs=0.1)
    assert 0 < megabytes(os.getpid(), "VmRSS") <= megabytes(os.getpid(), "VmHWM")


def test_the_report_compares_what_costs_the_processor() -> None:
    def lines(cost: float, *clients: int) -> list[dict[str, Any]]:
        one = {"a_second": 1.0, "p50": 1.0, "p95": 2.0, "processor_seconds": cost, "share_of_core": 0.5}
        return [{"clients": n} | one for n in clients]

    ours = {"promptbank, float32": lines(0.2, 1, 8), "promptbank, float32, tree.v1": lines(0.1, 1, 8),
            "promptbank, bfloat16": lines(0.1, 8), "promptbank, bfloat16, tree.v1": lines(0.1, 8),
            "promptbank, eight tasks mixed": lines(0.25, 8), "one text, eight tasks": lines(0.4, 1),
            "one text, eight requests": lines(0.2, 1)}  # fmt: skip
    about = {"labels": 3, "texts": "64 tokens", "backbone": "b", "threads": 1, "seconds": 20.0, "processor": "p",
             "cores": 2, "torch": "2", "beside": "nothing", "load_average": [(1.0, 1, 1), (2.0, 1, 1)]}  # fmt: skip
    batch = {"tasks": 64, "kinds": ["a"], "same labels": 64, "largest difference of a probability": 1e-6,
             "processor_seconds together": 1, "processor_seconds one by one": 2, "megabytes more at the peak": 3,
             "kilobytes of prompts": 4}  # fmt: skip
    others = {"peft": lines(0.6, 1, 8), "transformers": lines(0.9, 1, 8)}
    text = report(ours | about | others | {"64 tasks in one batch": batch})
    assert "at 8 clients: 1.00 times the requests a second, 3.00 times those a processor second" in text
    assert "Eight tasks mixed: 0.80 of one task's" in text
    assert "0.25 of eight requests" in text
