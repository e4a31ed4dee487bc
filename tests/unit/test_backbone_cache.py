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

from promptbank.errors import BackboneStorageError, FetchError, UnusableBackboneError
from promptbank.model.backbone import identify
from promptbank.model.backbone.cache import BackboneCache, Manifest, Progress, PulledBackbone
from tests.tiny import save_tiny

MANIFEST = Manifest("tiny", "made in a test", None, "none", "none")
ROOT = Path(__file__).parents[2]


def build(model: Path, work: Path, progress: Progress) -> Manifest:
    save_tiny("gpt2", model)
    (work / "download").touch()
    return MANIFEST


def silent(line: str) -> None:
    pass


def refuse_to_build(model: Path, work: Path, progress: Progress) -> Manifest:
    return pytest.fail("built again")


def visible(cache):
    return sorted(entry.name for entry in cache.root.iterdir() if not entry.name.endswith(".lock"))


def test_a_finished_backbone_is_in_its_place_and_nothing_else(tmp_path):
    cache = BackboneCache(tmp_path / "home")
    pulled = cache.install("tiny", build, silent)
    assert pulled == PulledBackbone(tmp_path / "home" / "backbones" / "tiny", MANIFEST)
    assert visible(cache) == ["tiny"]
    assert not (pulled.path / "download").exists()
    assert cache.find("tiny") == pulled
    assert cache.installed() == [pulled]


def test_the_identity_is_known_before_the_first_load(tmp_path, monkeypatch):
    folder = BackboneCache(tmp_path).install("tiny", build, silent).path
    monkeypatch.setattr("promptbank.model.backbone.fingerprint.fingerprint", lambda _: pytest.fail("hashed again"))
    identify(folder)


def test_what_is_installed_is_not_built_again(tmp_path):
    cache = BackboneCache(tmp_path)
    cache.install("tiny", build, silent)
    cache.install("tiny", refuse_to_build, silent)


@pytest.mark.parametrize("error", [FetchError("no network"), KeyboardInterrupt()])
def test_a_failed_build_leaves_nothing(tmp_path, error):
    def fail(model: Path, work: Path, progress: Progress) -> Manifest:
        (model / "half").write_text("half")
        raise error

    cache = BackboneCache(tmp_path)
    with pytest.raises(type(error)):
        cache.install("tiny", fail, silent)
    assert visible(cache) == []
    assert cache.find("tiny") is None


def test_a_model_that_cannot_be_used_is_not_installed(tmp_path):
    cache = BackboneCache(tmp_path)
    with pytest.raises(UnusableBackboneError, match=r"no config\.json"):
        cache.install("tiny", lambda *_: MANIFEST, silent)
    assert visible(cache) == []


def test_a_folder_without_manifest_is_replaced(tmp_path):
    cache = BackboneCache(tmp_path)
    junk = cache.root / "tiny" / "junk"
    junk.mkdir(parents=True)
    pulled = cache.install("tiny", build, silent)
    assert pulled.path == junk.parent
    assert not junk.exists()
    assert cache.find("tiny") == pulled


def test_a_home_below_a_regular_file_is_an_error_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    cache = BackboneCache(tmp_path / "file" / "home")
    assert cache.installed() == []
    with pytest.raises(BackboneStorageError, match="choose another home with PROMPTBANK_HOME"):
        cache.install("tiny", build, silent)


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    def fill(model: Path, work: Path, progress: Progress) -> Manifest:
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
    assert PulledBackbone(tmp_path, MANIFEST).size_bytes == 7


OTHER_PROCESS = """
    import signal, sys
    from pathlib import Path
    from promptbank.model.backbone.cache import BackboneCache

    def never_done(model, work, progress):
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
        assert cache.find("tiny") is None
        os.kill(builder.pid, signal.SIGKILL)

    cache = BackboneCache(tmp_path)
    folder = cache.install("tiny", build, on_progress).path
    assert said == ["waiting for another process that is installing tiny"]
    assert visible(cache) == ["tiny"]
    assert not (folder / "half").exists()


def test_who_waits_for_a_build_that_ends_well_builds_nothing(tmp_path):
    building, waiting = threading.Event(), threading.Event()

    def slow(model: Path, work: Path, progress: Progress) -> Manifest:
        building.set()
        assert waiting.wait(60)
        return build(model, work, progress)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(BackboneCache(tmp_path).install, "tiny", slow, silent)
        assert building.wait(60)
        second = pool.submit(BackboneCache(tmp_path).install, "tiny", refuse_to_build, lambda _: waiting.set())
        assert first.result() == second.result()


def test_two_homes_share_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTBANK_CACHE", str(tmp_path / "cache"))
    pulled = BackboneCache(tmp_path / "first").install("tiny", build, silent)
    assert pulled.path == tmp_path / "cache" / "tiny"
    assert BackboneCache(tmp_path / "second").install("tiny", refuse_to_build, silent) == pulled
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
