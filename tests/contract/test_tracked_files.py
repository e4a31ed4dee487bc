"""What is committed holds for everybody: no path of one machine, no package index, a version with its change."""

from __future__ import annotations

import re
import subprocess

import pytest

import promptbank
from tests.stores import ROOT

# in pieces, so that this file is not one of its own findings
MACHINE_PATHS = re.compile(r"(?<![\w.~$}{/-])/" + r"(?:work|root|tmp|mnt|Users|home/\w+)/")
PACKAGE_INDEX = re.compile(r"\b(?:pypi|" + r"pythonhosted|test\.pypi)\.(?:org|io|python\.org)\b")
LARGEST = 500_000
SHIPPED = re.compile(r"translate/models/[\w-]+/update\.safetensors")
LARGEST_SHIPPED = 20_000_000
NO_TEXT = (".png", ".safetensors", ".bin", ".db", ".gz")


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    paths = [path for path in done.stdout.splitlines() if (ROOT / path).is_file()]
    if not paths:
        pytest.skip("not a git checkout, so what is tracked is not known")
    return paths


def findings(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in (path for path in tracked() if not path.endswith(NO_TEXT)):
        text = (ROOT / path).read_text(encoding="utf-8")
        found += [f"{path}:{n}" for n, line in enumerate(text.splitlines(), start=1) if pattern.search(line)]
    return found


def test_the_patterns_find_what_they_are_for() -> None:
    for text in ("see /" + "tmp/x", '"/' + 'home/me/bank"', "=/" + "root/x"):
        assert MACHINE_PATHS.search(text)
    for text in ("sqlite:////absolute/bank.db", "~/.promptbank/bank.db", "$HOME/work/x", "a/tmp/b", "/usr/lib/x"):
        assert not MACHINE_PATHS.search(text)
    assert PACKAGE_INDEX.search("https://py" + "pi.org/simple")
    assert not PACKAGE_INDEX.search("https://download.pytorch.org/whl/cpu")


def test_no_file_names_a_path_of_one_machine() -> None:
    assert findings(MACHINE_PATHS) == []


def test_no_file_names_a_package_index_that_pip_may_not_use_elsewhere() -> None:
    assert findings(PACKAGE_INDEX) == []


def test_no_file_is_large() -> None:
    allowed = {path: LARGEST_SHIPPED if SHIPPED.fullmatch(path) else LARGEST for path in tracked()}
    assert [path for path, most in allowed.items() if (ROOT / path).stat().st_size > most] == []


def test_the_newest_change_is_of_this_version_and_dated() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, flags=re.MULTILINE)
    released = [(version, day) for version, day in entries if version != "Unreleased"]
    assert released[0][0] == promptbank.__version__
    assert all(day for _, day in released)
