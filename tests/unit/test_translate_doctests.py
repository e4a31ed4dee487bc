"""The examples in translate's docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import translate

ROOM = Path(translate.__file__).parent
EXAMPLES = [path for path in sorted(ROOM.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_a_module_hold(path: Path) -> None:
    name = ".".join(path.relative_to(ROOM.parent).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_most_rooms_of_records_and_values_have_examples() -> None:
    assert len(EXAMPLES) >= 16
