"""The cache: a backbone is there as a whole or not at all, whoever else is at work and whatever stops it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptbank.model.backbone import BackboneStorageError, FetchError, UnusableBackboneError, identify
from promptbank.model.backbone.cache import BackboneCache, Manifest, size_of
from tests.tiny import save_tiny

MANIFEST = Manifest("tiny", "made in a test", None, "none", "none")
ROOT = Path(__file__).parents[2]


def build(model: Path, work: Path) -> Manifest:
    save_tiny("gpt2", model)
    (work / "download").touch()
    return MANIFEST


def silent(line: str) -> None:
    pass


def refuse_to_build(model: Path, work: Path) -> Manifest:
    return pytest.fail("built again")


def visible(cache):
    return sorted(entry.name for entry in cache.root.iterdir() if not entry.name.endswith(".lock"))


def test_a_finished_backbone_is_in_its_place_and_nothing_else(tmp_path):
    cache = BackboneCache(tmp_path / "home")
    folder = cache.install("tiny", build, silent)
    assert folder == tmp_path / "home" / "backbones" / "tiny"
    assert visible(cache) == ["tiny"]
    assert not (folder / "download").exists()
    assert cache.manifest("tiny") == MANIFEST
    assert cache.installed() == [MANIFEST]


def test_the_identity_is_known_before_the_first_load(tmp_path, monkeypatch):
    folder = BackboneCache(tmp_path).install("tiny", build, silent)
    monkeypatch.setattr("promptbank.model.backbone.fingerprint.fingerprint", lambda _: pytest.fail("hashed again"))
    identify(folder)


def test_what_is_installed_is_not_built_again(tmp_path):
    cache = BackboneCache(tmp_path)
    cache.install("tiny", build, silent)
    cache.install("tiny", refuse_to_build, silent)


@pytest.mark.parametrize("error", [FetchError("no network"), KeyboardInterrupt()])
def test_a_failed_build_leaves_nothing(tmp_path, error):
    def fail(model: Path, work: Path) -> Manifest:
        (model / "half").write_text("half")
        raise error

    cache = BackboneCache(tmp_path)
    with pytest.raises(type(error)):
        cache.install("tiny", fail, silent)
    assert visible(cache) == []
    assert cache.manifest("tiny") is None


def test_a_model_that_cannot_be_used_is_not_installed(tmp_path):
    cache = BackboneCache(tmp_path)
    with pytest.raises(UnusableBackboneError, match=r"no config\.json"):
        cache.install("tiny", lambda _, __: MANIFEST, silent)
    assert visible(cache) == []


def test_a_folder_without_manifest_is_replaced(tmp_path):
    cache = BackboneCache(tmp_path)
    cache.folder("tiny").mkdir(parents=True)
    (cache.folder("tiny") / "junk").touch()
    folder = cache.install("tiny", build, silent)
    assert not (folder / "junk").exists()
    assert cache.manifest("tiny") == MANIFEST


def test_a_home_below_a_regular_file_is_an_error_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    cache = BackboneCache(tmp_path / "file" / "home")
    assert cache.installed() == []
    with pytest.raises(BackboneStorageError, match="choose another home with PROMPTBANK_HOME"):
        cache.install("tiny", build, silent)


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    def fill(model: Path, work: Path) -> Manifest:
        (model / "half").touch()
        raise OSError(28, "No space left on device")

    cache = BackboneCache(tmp_path)
    with pytest.raises(BackboneStorageError, match="No space left on device"):
        cache.install("tiny", fill, silent)
    assert visible(cache) == []


def test_size_counts_all_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "sub" / "b").write_bytes(b"4567")
    assert size_of(tmp_path) == 7


OTHER_PROCESS = """
    import signal, sys
    from pathlib import Path
    from promptbank.model.backbone.cache import BackboneCache

    def never_done(model, work):
        (model / "half").touch()
        print("building", flush=True)
        signal.pause()

    BackboneCache(Path(sys.argv[1])).install("tiny", never_done, print)
"""


@pytest.fixture
def builder(tmp_path):
    """Another process in the middle of a build."""
    command = [sys.executable, "-c", textwrap.dedent(OTHER_PROCESS), tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "building\n"
        yield process
        process.kill()


def test_who_waits_for_a_process_that_is_killed_builds_from_the_start(tmp_path, builder):
    said = []

    def on_progress(line: str) -> None:
        said.append(line)
        assert visible(cache) == [".tiny.partial"]
        assert cache.manifest("tiny") is None
        os.kill(builder.pid, signal.SIGKILL)

    cache = BackboneCache(tmp_path)
    folder = cache.install("tiny", build, on_progress)
    assert said == ["waiting for another process that is installing tiny"]
    assert visible(cache) == ["tiny"]
    assert not (folder / "half").exists()


def test_who_waits_for_a_build_that_ends_well_builds_nothing(tmp_path):
    building, waiting = threading.Event(), threading.Event()

    def slow(model: Path, work: Path) -> Manifest:
        building.set()
        assert waiting.wait(60)
        return build(model, work)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(BackboneCache(tmp_path).install, "tiny", slow, silent)
        assert building.wait(60)
        second = pool.submit(BackboneCache(tmp_path).install, "tiny", refuse_to_build, lambda _: waiting.set())
        assert first.result() == second.result()
