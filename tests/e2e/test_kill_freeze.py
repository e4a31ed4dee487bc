"""kill -9 of a process that freezes rows: what was acknowledged is there, and sound; KILLS=200 repeats it."""

from __future__ import annotations

import os
import subprocess
import time
from random import Random

from store import open_store
from tests.stores import SCOPE, start_script

CYCLES = int(os.environ.get("KILLS", 5))
WRITER = """
import sys
from store import open_store
from tests.stores import SCOPE, new_row
with open_store(sys.argv[1]) as store:
    while True:
        fill = len(store.rows.versions(SCOPE)) % 251
        row = store.rows.freeze(new_row(fill=fill, shape=(64, 64)))
        store.aliases.move(SCOPE, row.version, reason="new")
        print(row.version, row.sha256, flush=True)
"""


def acknowledged(process: subprocess.Popen[str], chance: Random) -> dict[int, str]:
    """Kill the writer some time after its first rows; return the versions that it had told, with their hashes."""
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(1 + chance.randrange(3))]
    time.sleep(chance.random() / 20)
    process.kill()
    rest = process.stdout.read().splitlines(keepends=True)
    told = [line.split() for line in (*first, *rest) if line.endswith("\n")]  # the last may be cut
    process.wait()
    return {int(version): sha256 for version, sha256 in told}


def test_every_acknowledged_row_survives_the_end_of_its_writer(fresh_url: str) -> None:
    chance, frozen = Random(7), dict[int, str]()
    for _ in range(CYCLES):
        with start_script(WRITER, fresh_url) as process:
            told = acknowledged(process, chance)
        assert told
        frozen |= told
        with open_store(fresh_url) as store:
            assert store.check() == []
            rows = {info.version: store.rows.get(SCOPE, info.version).sha256 for info in store.rows.versions(SCOPE)}
            assert frozen.items() <= rows.items()
            assert list(rows) == list(range(1, len(rows) + 1))
            assert max(told) <= (store.aliases.get(SCOPE) or 0) <= len(rows)
