"""What `make demo` runs, on a tiny backbone in an empty home, twice: the README's first command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.tiny import save_tiny

ROOT = Path(__file__).parents[2]


def test_the_demo_learns_serves_and_asks_and_finds_its_task_the_second_time(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTBANK_")} | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "PROMPTBANK_BACKBONE": str(save_tiny("llama", tmp_path / "tiny", window=512)),
        "OMP_NUM_THREADS": "1",
    }
    for said in ("$ promptbank train --task sentiment-task", "sentiment-task is in the bank already"):
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "demo.py")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert said in done.stdout
        assert '"probabilities"' in done.stdout
