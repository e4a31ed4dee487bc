"""Commands of the documents, run as a reader runs them: `promptbank` on the PATH, a home of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.stores import ROOT


def run_as_reader(folder: Path, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that is the reader's HOME; settings of this process's own bank do not reach it."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "promptbank"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m promptbank "$@"\n')
    program.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PROMPTBANK_")}
    own |= {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env={**own, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
