"""YAML with positions: PyYAML's node graph, seen as values that know where they stand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.harness.lint.findings import Position

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_JOINING_STYLES = (None, ">", "'")


class Value:
    """A value of a YAML file and the place where it is written.

    Attributes:
        position: Where the value starts.
        key_position: Where its key starts, if it is a mapping's value; else `position`.
    """

    def __init__(self, node: yaml.Node, source: str, key_node: yaml.Node | None = None) -> None:
        self._node = node
        self._source = source
        self.position = _position(node)
        self.key_position = self.position if key_node is None else _position(key_node)

    @cached_property
    def plain(self) -> Any:
        """The value as `yaml.safe_load` gives it."""
        return yaml.SafeLoader("").construct_object(self._node, deep=True)

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_scalar(self) -> bool:
        """Whether it is text, a number, a boolean, a date or null."""
        return isinstance(self._node, yaml.ScalarNode)

    @property
    def text(self) -> str | None:
        """The text, or None if the value is no text."""
        return self.plain if self.is_scalar and isinstance(self.plain, str) else None

    @property
    def written(self) -> str:
        """A scalar as it is written in the file, without quotes."""
        return str(self._node.value)

    @cached_property
    def children(self) -> dict[str, Value]:
        """A mapping's values by key, merge keys resolved and the last of equal keys; empty for other values."""
        if not isinstance(self._node, yaml.MappingNode):
            return {}
        return {str(key.value): Value(value, self._source, key) for key, value in self._node.value}

    @cached_property
    def entries(self) -> list[Value]:
        """A list's values; empty for other values."""
        if not isinstance(self._node, yaml.SequenceNode):
            return []
        return [Value(node, self._source) for node in self._node.value]

    def get(self, *keys: str) -> Value | None:
        """The value under a path of keys, or None where there is none."""
        found: Value | None = self
        for key in keys:
            found = None if found is None else found.children.get(key)
        return found

    def texts(self, skipping: Container[str] = ()) -> Iterator[Value]:
        """Every text in this value, leaving out what stands under the keys in `skipping` at the top."""
        seen: set[int] = set()
        members = [child for key, child in self.children.items() if key not in skipping] + self.entries
        pending = [self] if self.is_scalar else members
        while pending:
            value = pending.pop()
            if id(value._node) in seen:
                continue
            seen.add(id(value._node))
            if value.text is not None:
                yield value
            pending += [*value.children.values(), *value.entries]

    def locate(self, part: str) -> Position:
        """Where `part` of this text first stands in the file; the start of the text if it is not found as it is."""
        start, end = self._span
        index = self._source.find(part, start, end)
        return self.position if index < 0 else _position_of_index(self._source, index)

    def lines_ending_with_backslash(self) -> list[Position]:
        """The places of backslashes at the end of lines of this text, the last line left out."""
        start, end = self._span
        places = []
        index = start
        for line in self._source[start:end].splitlines(keepends=True):
            stripped = line.rstrip()
            if stripped.endswith("\\") and index + len(line) < end:
                places.append(_position_of_index(self._source, index + len(stripped) - 1))
            index += len(line)
        return places

    @property
    def joins_lines(self) -> bool:
        """Whether the text is written in a style in which YAML turns line ends into blanks."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.style in _LINE_JOINING_STYLES

    @property
    def is_literal_block(self) -> bool:
        """Whether the text is written with `|`, which keeps lines."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.style == "|"

    @property
    def _span(self) -> tuple[int, int]:
        start, end = self._node.start_mark, self._node.end_mark
        return _index(self._source, start), _index(self._source, end)


def read_tree(source: str) -> tuple[Value | None, list[Value]]:
    """Parse one YAML document.

    Returns:
        The document (None if it is empty) and the values whose keys have occurred before in their mapping.

    Raises:
        yaml.YAMLError: It is not one valid document.
    """
    node = yaml.compose(source, Loader=_Loader)
    if node is None:
        return None, []
    repeated = _repeated_keys(node, source)
    try:
        _resolve(node)
    except (ValueError, RecursionError) as error:  # such as 2026-13-45, which looks like a date
        raise yaml.YAMLError(str(error)) from error
    return Value(node, source), repeated


def _resolve(node: yaml.Node) -> None:
    # Constructing resolves merge keys in the nodes themselves, and finds values that have no meaning.
    loader = yaml.SafeLoader("")
    loader.construct_document(node)


def _repeated_keys(root: yaml.Node, source: str) -> list[Value]:
    repeated = []
    seen: set[int] = set()
    pending = [root]
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            pending += node.value
        if isinstance(node, yaml.MappingNode):
            names: set[tuple[str, str]] = set()
            for key, value in node.value:
                pending.append(value)
                name = (key.tag, str(key.value))
                if name in names and key.tag != "tag:yaml.org,2002:merge":
                    repeated.append(Value(value, source, key))
                names.add(name)
    return repeated


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _index(source: str, mark: yaml.Mark) -> int:
    # mark.index counts bytes with one of PyYAML's loaders and characters with the other.
    index = 0
    for _ in range(mark.line):
        index = source.find("\n", index) + 1
        if index == 0:
            return len(source)
    return min(index + mark.column, len(source))


def _position_of_index(source: str, index: int) -> Position:
    return Position(source.count("\n", 0, index) + 1, index - source.rfind("\n", 0, index))
