"""A translation killed with -9 loses at most the batch it was in, and ends with the files of an undisturbed one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, time
from pathlib import Path
from promptbank.mt.memory import BankMemory
from promptbank.mt.task_records import source_examples
from promptbank.mt.translate_set import SourceFile, translate_sources, write_translated
from store import open_store
from tasks import builtin_card, builtin_cards, read_records
from translate import EngineInfo, Hypothesis
from translate.inventory.file import shipped_inventory
from translate.pipeline.pipeline import Setup

data, db, out, seconds = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])

class Slow:
    asked = 0
    def info(self):
        return EngineInfo("slow", ("en-sv",), "bracket")
    def translate(self, segments):
        time.sleep(seconds)
        Slow.asked += len(segments)
        return [Hypothesis(s.text.upper()) for s in segments]

card = builtin_card("sentiment-task", "en")
source = SourceFile(data.name, card, source_examples(list(read_records(data)), card, name=data.name))
setup = Setup(shipped_inventory("en", "sv"), characters=200)
with open_store(db) as store:
    done = translate_sources([source], Slow(), BankMemory(store), setup, known=builtin_cards(),
                             on_step=lambda step: print(step.done, flush=True))
    write_translated(done, out)
print("asked", Slow.asked)
"""


def begin(data: Path, folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Start the program in a process of its own."""
    arguments = [sys.executable, "-c", PROGRAM, str(data), f"sqlite:///{folder}/bank.db", str(folder / "out")]
    return subprocess.Popen([*arguments, str(seconds)], stdout=subprocess.PIPE, text=True)


def test_kill_nine_loses_at_most_a_batch_and_the_end_is_the_same(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [
        {"sentence": f"Sales of plant number {n} rose again.", "label": "positive", "id": str(n)} for n in range(60)
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()

    done = 0
    with begin(data, tmp_path / "killed", 0.3) as process:
        assert process.stdout is not None
        while done < 20:
            done = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "out").exists()

    again = begin(data, tmp_path / "killed", 0.0).communicate()[0].splitlines()
    recalled, asked = int(again[0]), int(again[-1].split()[1])
    assert done <= recalled < 60
    assert recalled + asked == 60
    whole = begin(data, tmp_path / "whole", 0.0).communicate()[0].splitlines()
    assert whole[-1] == "asked 60"
    files = sorted(path.name for path in (tmp_path / "whole" / "out").iterdir())
    assert files
    for file in files:
        assert (tmp_path / "killed" / "out" / file).read_bytes() == (tmp_path / "whole" / "out" / file).read_bytes()
