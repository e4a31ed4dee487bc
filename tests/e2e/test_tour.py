"""The README's tour runs as it stands there, on a tiny backbone in an empty home."""

from __future__ import annotations

import re
from pathlib import Path

from tests.documented import run_as_reader
from tests.stores import ROOT
from tests.tiny import save_tiny


def test_every_command_of_the_tour_runs(tmp_path: Path) -> None:
    found = re.search(r"<!-- tour -->\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    backbone = save_tiny("llama", tmp_path / "tiny", window=512)
    done = run_as_reader(
        tmp_path,
        ["bash", "-euxc", found[1]],
        PROMPTBANK_HOME=str(tmp_path / "home"),
        PROMPTBANK_BACKBONE=str(backbone),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "using the 240 examples of the shipped train sample" in done.stderr
    assert '"label": ' in done.stdout
