"""The race against PEFT runs, and both learn the same rows; its figures are for `benchmarks/`, not for tests."""

import pytest

from tests.tiny import tiny_backbone

pytest.importorskip("peft", reason="the extra bench is not installed")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_all_contestants_run_all_epochs() -> None:
    from benchmarks.training_speed import race

    report = race(tiny_backbone("llama", window=512), rows=5, epochs=2, batch=4, virtual_tokens=6)
    assert len(report["contestants"]) == 3
    for contestant in report["contestants"]:
        assert len(contestant["epoch_seconds"]) == len(contestant["losses"]) == 2
        assert contestant["total"] >= sum(contestant["epoch_seconds"])
    assert [c["prepare_seconds"] > 0 for c in report["contestants"]] == [False, False, True]
