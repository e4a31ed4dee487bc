"""Task templates in YAML: NeMo's configuration with ``task_templates``, a list of templates, or a single one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.errors import DataError
from tasks.reading.source import InputFile
from tasks.records import InputRecord, check_record

if TYPE_CHECKING:
    from yaml import Node

__all__ = ["read_templates"]

MOST_NODES = 100_000
"""Values of all templates together; anchors and aliases can make many of a few."""


def read_templates(source: InputFile) -> Iterator[InputRecord | DataError]:
    """Read each task template as a record; its line is that of its first key."""
    import yaml

    try:
        root = yaml.compose(source.text(), yaml.SafeLoader)
        found = _templates(root)
        reader = _Reader()
        for node in found:
            line = node.start_mark.line + 1
            yield check_record(reader.plain(node), source.place(str(line)), line=line)
    except (yaml.YAMLError, RecursionError, ValueError, DataError) as exc:
        yield exc if isinstance(exc, DataError) else DataError(source.says(f"is no sound YAML: {exc}"))


def _templates(root: Node | None) -> list[Node]:
    """Return the items of the first ``task_templates`` at any depth, or the items of a list, or the only template."""
    import yaml

    waiting, seen = [root], set()
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, yaml.MappingNode) or id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in node.value:
            if key.value == "task_templates":
                return list(value.value) if isinstance(value, yaml.SequenceNode) else [value]
            waiting.append(value)
    if isinstance(root, yaml.SequenceNode):
        return list(root.value)
    return [] if root is None else [root]


class _Reader:
    """Makes plain JSON values of YAML nodes; a date stays the text that it is."""

    def __init__(self) -> None:
        import yaml

        self._loader = yaml.SafeLoader("")
        self._left = MOST_NODES

    def plain(self, node: Node) -> object:
        import yaml

        self._left -= 1
        if self._left < 0:
            raise DataError(f"the task templates have over {MOST_NODES} values; are there aliases in aliases?")
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            pairs = [(str(key.value), self.plain(value)) for key, value in node.value]
            if len(dict(pairs)) < len(pairs):
                raise DataError(f"line {node.start_mark.line + 1}: a key stands twice; which one counts is not known")
            return dict(pairs)
        is_date = node.tag.endswith(":timestamp")
        value: object = node.value if is_date else self._loader.construct_object(node)
        return value
