"""Fetching catalogs from Debian's packages: sizes first, resumed, honest about what is missing; apt-get is a script."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import polib
import pytest
from typer.testing import CliRunner

from promptbank.cli import build_app
from promptbank.mt import debian
from promptbank.mt.corpora import fetch_catalogs
from translate.corpus.formats import read_pairs
from translate.corpus.pairs import CorpusError

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb makes and unpacks packages")

APT_GET = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
*--print-uris*)
    for name in $*; do
        case $name in -*|download|Acquire*) continue ;; esac
        line=$(grep "/$name"_ {index})
        [ "$line" ] && echo "$line" || {{ echo "E: Unable to locate package $name" >&2; bad=100; }}
    done
    exit ${{bad:-0}} ;;
*)
    for last in $*; do :; done
    name=${{last%%=*}}
    [ -e {offline} ] && {{ echo "E: Failed to fetch $name  Temporary failure resolving" >&2; exit 100; }}
    cp {pool}/"$name"_* . ;;
esac
"""
COPYRIGHT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nFiles: *\nLicense: GPL-2+\n"


class Mirror:
    """A folder of packages, and an apt-get that takes them from there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool, self.index, self.log, self.offline = (folder / n for n in ("pool", "index", "log", "offline"))
        self.pool.mkdir()
        self.index.touch()
        script = folder / "bin" / "apt-get"
        script.parent.mkdir()
        script.write_text(APT_GET.format(pool=self.pool, index=self.index, log=self.log, offline=self.offline))
        script.chmod(0o755)

    def add(self, name: str, version: str = "1:2.0-1", licence: str = COPYRIGHT, **catalogs: str) -> Path:
        """Build a package with a catalog of one entry for each language."""
        root = self.folder / "root" / name
        (root / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
        (root / "DEBIAN" / "control").write_text(control)
        documents = root / "usr/share/doc" / name
        documents.parent.mkdir(parents=True)
        if licence:
            documents.mkdir()
            (documents / "copyright").write_text(licence)
        else:
            documents.symlink_to("other-common")
        for lang, text in catalogs.items():
            folder = root / "usr/share/locale" / lang / "LC_MESSAGES"
            folder.mkdir(parents=True)
            made = polib.POFile()
            made.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
            made.append(polib.POEntry(msgid="Close", msgstr=text))
            made.save_as_mofile(str(folder / f"{name}.mo"))
        path = self.pool / f"{name}_{version.replace(':', '%3a')}_all.deb"
        subprocess.run(["dpkg-deb", "--build", "-Zgzip", str(root), str(path)], check=True, capture_output=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with self.index.open("a") as file:
            file.write(f"'http://mirror/{path.name}' {path.name} {path.stat().st_size} SHA256:{digest}\n")
        return path

    def downloads(self) -> list[str]:
        lines = self.log.read_text().splitlines()
        return [line.split()[-1] for line in lines if "--print-uris" not in line]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    made = Mirror(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    made.add("mines", **{"is": "Loka", "cy": "Cau", "is_IS": "Loka hér"})
    made.add("chess", **{"is": "Loka tafli"}, licence="")
    made.add("words", cy="Cau geiriau")
    return made


def fetched(home: Path, langpair: str, packages: list[str], said: list[str] | None = None) -> tuple[Path, list[str]]:
    told: list[str] = []
    _, folder = fetch_catalogs(home, langpair, packages, lambda what, _: (said or told).append(what), told.append)
    return folder, told


def test_only_catalogs_of_the_language_and_licences_are_taken_out(mirror: Mirror, tmp_path: Path) -> None:
    folder, told = fetched(tmp_path / "home", "en-is", ["mines", "chess", "words"])
    pairs = [p.tgt for p in read_pairs(folder, "en", "is") if not p.fault]
    assert sorted(pairs) == ["Loka", "Loka hér", "Loka tafli"]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tail = "usr/share/locale/is/LC_MESSAGES"
    assert files == {
        "packages.json", "mines/copyright", f"mines/{tail}/mines.mo", f"chess/{tail}/chess.mo",
        "mines/usr/share/locale/is_IS/LC_MESSAGES/mines.mo",
    }  # fmt: skip
    chess, mines, words = json.loads((folder / "packages.json").read_text())
    assert (mines["version"], mines["licences"], mines["copyright"]) == ("1:2.0-1", ["GPL-2+"], "copyright")
    assert (chess["licences"], chess["copyright"]) == ([], "package other-common")
    assert [package["catalogs"] for package in (chess, mines, words)] == [1, 2, 0]
    assert mines["sha256"] == hashlib.sha256((mirror.pool / mines["file"]).read_bytes()).hexdigest()
    assert told[-1] == "3 of 3: words, 0 catalogs"


def test_the_size_and_what_is_not_there_are_said_before_anything_is_downloaded(mirror: Mirror, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in mirror.pool.glob("[mc]*"))
    told = []

    def refuse(what: str, count: int) -> None:
        told.append((what, count))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_catalogs(tmp_path / "home", "en-is", ["mines", "chess", "nothing-{lang}"], refuse, print)
    ((what, count),) = told
    assert count == size
    assert what.startswith(f"2 packages, 0 of them here; {size / 1e6:.1f} MB")
    assert what.endswith("not in this Debian: nothing-is")
    assert mirror.downloads() == []
    assert not (tmp_path / "home").exists()


def test_a_fetch_goes_on_where_it_stopped_and_another_language_downloads_nothing(
    mirror: Mirror, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    fetched(home, "en-is", ["chess"])
    mirror.offline.touch()
    with pytest.raises(CorpusError, match=r"mines cannot be downloaded: E: Failed to fetch.*goes on from here"):
        fetched(home, "en-is", ["chess", "mines"])
    mirror.offline.unlink()
    cut = home / "mt" / "debian" / "mines_1%3a2.0-1_all.deb"
    cut.write_bytes(b"!<arch>\nthe beginning of one")
    fetched(home, "en-is", ["chess", "mines"])
    fetched(home, "en-is", ["chess", "mines"])
    assert mirror.downloads() == ["chess=1:2.0-1", "mines=1:2.0-1", "mines=1:2.0-1"]
    mirror.offline.touch()
    folder, _ = fetched(home, "en-cy", ["mines"])
    assert [p.tgt for p in read_pairs(folder, "en", "cy") if not p.fault] == ["Cau"]


def test_a_new_version_takes_the_place_of_the_old_one(mirror: Mirror, tmp_path: Path) -> None:
    folder, _ = fetched(tmp_path / "home", "en-is", ["mines", "chess"])
    (mirror.pool / "mines_1%3a2.0-1_all.deb").unlink()
    mirror.index.write_text(
        "".join(f"{line}\n" for line in mirror.index.read_text().splitlines() if "mines" not in line)
    )
    shutil.rmtree(mirror.folder / "root" / "mines")
    mirror.add("mines", "1:3.0-1", **{"is": "Loka nýju"})
    fetched(tmp_path / "home", "en-is", ["mines", "chess"])
    assert sorted(p.tgt for p in read_pairs(folder, "en", "is") if not p.fault) == ["Loka nýju", "Loka tafli"]
    assert sorted(p["version"] for p in json.loads((folder / "packages.json").read_text())) == ["1:2.0-1", "1:3.0-1"]


def test_what_cannot_be_fetched_is_said_in_one_line(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for names, said in (
        (["--option"], "'--option': a package has a name such as iso-codes"),
        (["nothing"], "apt-get knows none of nothing: E: Unable to locate package nothing; try `apt-get update` first"),
    ):
        with pytest.raises(CorpusError, match=said):
            fetched(tmp_path / "home", "en-is", names)
    with pytest.raises(CorpusError, match="catalogs translate English"):
        fetched(tmp_path / "home", "sv-is", ["mines"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CorpusError, match="apt-get is not here: catalogs are fetched on Debian"):
        fetched(tmp_path / "home", "en-is", ["mines"])


def test_a_damaged_package_is_said(mirror: Mirror, tmp_path: Path) -> None:
    path = mirror.pool / "mines_1%3a2.0-1_all.deb"
    path.write_bytes(path.read_bytes()[:400])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    mirror.index.write_text(f"'http://mirror/{path.name}' {path.name} 400 SHA256:{digest}\n")
    with pytest.raises(CorpusError, match=r"mines.*is no sound package"):
        fetched(tmp_path / "home", "en-is", ["mines"])


def test_the_command_asks_unless_told_to_and_prints_what_it_got(mirror: Mirror, tmp_path: Path) -> None:
    command = ["mt", "corpus", "fetch", "--langpair", "en-is", "--packages", "mines"]
    environment = {"PROMPTBANK_HOME": str(tmp_path / "home")}
    refused = CliRunner().invoke(build_app(), [*command, "--catalogs"], input="n\n", env=environment)
    assert refused.exit_code == 1
    assert "1 package, 0 of them here" in refused.stderr
    assert mirror.downloads() == []
    assert CliRunner().invoke(build_app(), command, env=environment).exit_code == 2
    done = CliRunner().invoke(build_app(), [*command, "--catalogs", "--yes", "--json"], env=environment)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["catalogs"] == 2


def test_the_built_in_list_has_names_that_apt_takes() -> None:
    assert all(debian._NAME.fullmatch(name.replace("{lang}", "is")) for name in debian.PACKAGES)
    assert len(set(debian.PACKAGES)) == len(debian.PACKAGES) > 30
