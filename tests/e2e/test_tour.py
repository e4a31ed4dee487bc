"""The README's tour runs as it stands there, on a tiny backbone in an empty home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.tiny import save_tiny

ROOT = Path(__file__).parents[2]


def test_every_command_of_the_tour_runs(tmp_path: Path) -> None:
    found = re.search(r"<!-- tour -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "promptbank"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m promptbank "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "PROMPTBANK_HOME": str(tmp_path / "home"),
        "PROMPTBANK_BACKBONE": str(save_tiny("llama", tmp_path / "tiny", window=512)),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-euxc", found[1]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "using the 240 examples of the shipped train sample" in done.stderr
    assert '"label": ' in done.stdout
