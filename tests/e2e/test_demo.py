"""What `make demo` runs, on a tiny backbone in an empty home, twice: the README's first command."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.documented import run_as_reader
from tests.stores import ROOT
from tests.tiny import save_tiny


def test_the_demo_learns_serves_and_asks_and_finds_its_task_the_second_time(tmp_path: Path) -> None:
    backbone = save_tiny("llama", tmp_path / "tiny", window=512)
    for said in ("$ promptbank train --task sentiment-task", "sentiment-task is in the bank already"):
        demo = [sys.executable, str(ROOT / "scripts" / "demo.py")]
        done = run_as_reader(tmp_path, demo, PROMPTBANK_BACKBONE=str(backbone))
        assert done.returncode == 0, done.stderr[-3000:]
        assert said in done.stdout
        assert '"probabilities"' in done.stdout
