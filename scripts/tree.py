"""``make tree``: write the README's tree, one line a file, from the files' own docstrings."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("promptbank/", "tasks/", "store/", "translate/")
UNTOLD = ("__init__.py", "py.typed", "script.py.mako")
FOLDERS = {
    "samples/": "labelled rows that ship with the cards",
    "models/": "translators that ship, a folder a language pair, with card and notice",
    "en-sv/": "English to Swedish, an update of the default backbone",
    "inventories/": "decisions about labels that ship, a file a language",
    "variants/": "other templates of the same tasknames",
    "swagger/": "files of the page `/docs`, packed, with their licences",
    "templates/": "templates of pages and reports",
    "static/": "style, scripts and icon of the console",
    "vendor/": "htmx and uPlot, with licences and a manifest of their hashes",
}
REST = {
    "tests/": "unit, property, contract and end-to-end tests",
    "benchmarks/": "speed and quality, measured",
    "configs/": "settings with comments, and a stream of tasks",
    "deploy/": "a systemd unit, an image, PostgreSQL beside it, rules for Prometheus",
    "docs/": "overview, decisions, results, lab log",
    "scripts/": "the demo, pictures of the console, and this tree",
    ".ci/": "what CI runs",
    "Makefile": "all targets; `make` lists them",
    "CHANGELOG.md": "what changed",
    "LICENSE": "Apache-2.0",
    "README.md": "this file",
    "constraints.txt": "pinned dependencies",
    "pyproject.toml": "packages and tools",
}
LONGEST = 118


def main() -> None:
    """Put the tree between its markers."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    files = listed.stdout.split()
    lines = [line for room in ROOMS for line in (told(room, about(f"{room}__init__.py"), 0), *walk(files, room, 1))]
    lines += [told(name, text, 0) for name, text in REST.items()]
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- tree -->")
    after = rest.partition("<!-- /tree -->")[2]
    tree = "\n".join(lines)
    readme.write_text(f"{before}<!-- tree -->\n```\n{tree}\n```\n<!-- /tree -->{after}", encoding="utf-8")


def walk(files: list[str], folder: str, depth: int) -> Iterator[str]:
    """Yield the lines below a folder, folders first."""
    names = {re.sub(r"/.*", "/", path.removeprefix(folder)) for path in files if path.startswith(folder)}
    for name in sorted(names - set(UNTOLD), key=lambda n: (not n.endswith("/"), n)):
        if name.endswith("/"):
            start = f"{folder}{name}__init__.py"
            yield told(name, about(start) if start in files else FOLDERS.get(name, ""), depth)
            yield from walk(files, folder + name, depth + 1)
        elif name.endswith(".py"):
            yield told(name, about(folder + name), depth)


def told(name: str, text: str, depth: int) -> str:
    """One line of the tree."""
    return f"{'  ' * depth + name:<26} {text}".rstrip()


def about(path: str) -> str:
    """The first sentence of a module's docstring, cut outside quotes and brackets where it is long."""
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z)`])\. (?=[A-Z])", paragraph)[0].rstrip(".").replace("``", "`")
    if len(sentence) <= LONGEST:
        return sentence
    for mark in ("; ", ": ", ", ", " "):
        cuts = [sentence[: found.start()] for found in re.finditer(mark, sentence[:LONGEST])]
        whole = [cut for cut in cuts if len(cut) > LONGEST // 3 and is_whole(cut)]
        if whole:
            return whole[-1]
    return sentence


def is_whole(text: str) -> bool:
    """Whether no quote or bracket is open at the end."""
    return not any(text.count(mark) % 2 for mark in '"`') and text.count("(") == text.count(")")


if __name__ == "__main__":
    main()
