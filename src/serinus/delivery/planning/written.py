"""Plans as people write them in YAML: each name once, and in which line it is."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML without references: a few lines of them could stand for more than a machine holds.

    A name that is given twice is refused with its lines; else the first would be ignored.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references are not taken")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        found: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in found.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(f"{name} is given twice, in lines {lines[name]} and {line}")
            lines[name] = line
        return found


# What a value's own tag, such as !!bool, makes of one that is none is nowhere promised.
_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError)


def read(text: str | bytes) -> Any:
    """The value of a YAML document; None of nothing.

    Raises:
        ValueError: it is none, has references, or gives a name twice.
    """
    try:
        return yaml.load(text, _Loader)
    except _UNREADABLE as error:
        raise ValueError(" ".join(str(error).split())) from error


def lines_of(text: str | bytes) -> dict[str, int]:
    """In which line of a YAML document each of its fields is, from 1; none of what is no table.

    Fields of a table within are named with a dot: ``alphas.errors``.
    """
    try:
        found = yaml.compose(text, _Loader)
    except _UNREADABLE:
        return {}
    return dict(_lines(found, ""))


def _lines(node: Any, above: str) -> list[tuple[str, int]]:
    found = []
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name = f"{above}{key.value}"
        found += [(name, key.start_mark.line + 1), *_lines(value, f"{name}.")]
    return found
