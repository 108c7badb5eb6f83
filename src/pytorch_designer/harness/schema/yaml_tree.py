"""YAML with positions: PyYAML's node graph as values that know their place.

PyYAML is used instead of azure-ai-ml, whose import alone takes longer than many components run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import yaml

from pytorch_designer.errors import shorten
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.system.special_files import special_kind
from pytorch_designer.system.yaml_values import FaultyValueConstructor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator
    from pathlib import Path

    from pytorch_designer.errors import DesignerError

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SHOWN_CHARACTERS = 80
_SHOWN_PROBLEM = 200
_MAX_BYTES = 16 << 20
_MAX_VALUES = 100_000  # a hundred for each node of the largest pipeline that can be run
_LINE_JOINING_STYLES = (None, ">", "'")


@dataclass(frozen=True)
class YamlSource:
    """Text of a YAML document.

    Attributes:
        path: The file, absolute.
        text: The text, with Unix line ends.
        has_lines: Whether lines mean anything to the user; not if the text was made from an object.
    """

    path: Path
    text: str = field(repr=False)
    has_lines: bool = True

    def place(self, line: int, column: int, keys: tuple[str, ...] = ()) -> SpecPlace:
        """The place at a line and column, from 1."""
        return SpecPlace(str(self.path), line, column, keys) if self.has_lines else SpecPlace(str(self.path), keys=keys)

    def index(self, mark: yaml.Mark) -> int:
        """The index in the text. `mark.index` counts bytes in one of PyYAML's loaders and characters in the other."""
        starts = self._line_starts
        return min(starts[mark.line] + mark.column, len(self.text)) if mark.line < len(starts) else len(self.text)

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]


class Value:
    """Value in a YAML document, with its place.

    Attributes:
        source: The document's text.
        keys: The keys and list indices that lead to it.
        place: Where the value starts.
        key_place: Where its key starts, if it is a mapping's value; else `place`.
    """

    def __init__(
        self, node: yaml.Node, source: YamlSource, keys: tuple[str, ...] = (), key_node: yaml.Node | None = None
    ) -> None:
        self._node = node
        self._key_node = key_node
        self.source = source
        self.keys = keys
        self.place = self._place_of(node)
        self.key_place = self.place if key_node is None else self._place_of(key_node)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the document start from."""
        return self.source.path.parent

    @cached_property
    def plain(self) -> Any:
        """The value as `yaml.safe_load` gives it."""
        if self.is_scalar and self._node.tag == f"{_TAG}str":  # most of what a file holds
            return str(self._node.value)
        return FaultyValueConstructor().construct_document(self._node)

    @property
    def shown(self) -> str:
        """The value as Python writes it, for a message."""
        return shorten(repr(self.plain), _SHOWN_CHARACTERS)

    @property
    def shown_text(self) -> str:
        """The value without quotes, for a message."""
        return shorten(str(self.plain), _SHOWN_CHARACTERS)

    @property
    def has_text_key(self) -> bool:
        """True if its key is text, as opposed to a number, a boolean or null."""
        return self._key_node is not None and self._key_node.tag == f"{_TAG}str"

    @property
    def is_mapping(self) -> bool:
        """True if it is a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_scalar(self) -> bool:
        """True if it is text, a number, a boolean, a date or null."""
        return isinstance(self._node, yaml.ScalarNode)

    @property
    def text(self) -> str | None:
        """The text, or None if the value is not text."""
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
        return {
            str(key.value): Value(value, self.source, (*self.keys, str(key.value)), key)
            for key, value in self._node.value
        }

    @cached_property
    def entries(self) -> list[Value]:
        """A list's values; empty for other values."""
        if not isinstance(self._node, yaml.SequenceNode):
            return []
        return [Value(node, self.source, (*self.keys, str(index))) for index, node in enumerate(self._node.value)]

    def get(self, *keys: str) -> Value | None:
        """The value at a path of keys, or None if there is none."""
        found: Value | None = self
        for key in keys:
            found = None if found is None else found.children.get(key)
        return found

    def without(self, paths: Collection[tuple[str, ...]]) -> Value:
        """This value without the entries at some paths of keys; what stays has the places that it had."""
        return Value(_without(self._node, paths), self.source, self.keys, self._key_node)

    def texts(self, skipping: Container[str] = ()) -> Iterator[Value]:
        """Every text in this value, except those at the top-level keys in `skipping`."""
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

    def locate(self, part: str) -> SpecPlace:
        """The place of the first `part` in this text; the start of the text if it is not found as written."""
        start, end = self._span
        index = self.source.text.find(part, start, end)
        return self.place if index < 0 else self._place_of_index(index)

    def lines_ending_with_backslash(self) -> list[SpecPlace]:
        """The places of backslashes at the ends of lines of this text, except the last line."""
        start, end = self._span
        places = []
        index = start
        for line in self.source.text[start:end].splitlines(keepends=True):
            stripped = line.rstrip()
            if stripped.endswith("\\") and index + len(line) < end:
                places.append(self._place_of_index(index + len(stripped) - 1))
            index += len(line)
        return places

    @property
    def joins_lines(self) -> bool:
        """True if the text is written in a style in which YAML turns line ends into blanks."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.style in _LINE_JOINING_STYLES

    @property
    def is_literal_block(self) -> bool:
        """True if the text is written with `|`, which keeps lines."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.style == "|"

    @property
    def _span(self) -> tuple[int, int]:
        return self.source.index(self._node.start_mark), self.source.index(self._node.end_mark)

    def _place_of(self, node: yaml.Node) -> SpecPlace:
        return self.source.place(node.start_mark.line + 1, node.start_mark.column + 1, self.keys)

    def _place_of_index(self, index: int) -> SpecPlace:
        text = self.source.text
        return self.source.place(text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index), self.keys)


@dataclass(frozen=True)
class YamlDocument:
    """YAML document.

    Attributes:
        path: The file, absolute.
        root: Its content; null if it is empty.
        repeated: Values whose key occurs earlier in the same mapping, by line. PyYAML accepts them silently.
    """

    path: Path
    root: Value
    repeated: tuple[Value, ...]

    def mapping(self) -> Value:
        """The content, which must be a mapping.

        Raises:
            InvalidSpecError: It is not a mapping, or a key occurs twice in one mapping.
        """
        for value in self.repeated:
            raise value.key_place.error(f"The key {value.keys[-1]!r} occurs twice in one mapping.")
        if not self.root.is_mapping:
            raise SpecPlace(str(self.path)).error("The file holds no YAML mapping.", "Name a component's YAML file.")
        return self.root


def read_yaml(path: Path) -> YamlDocument:
    """Read a YAML file.

    Raises:
        InvalidSpecError: The file cannot be read, or is not one YAML document in UTF-8.
    """
    path = path.absolute()
    place = SpecPlace(str(path))
    special = special_kind(path)
    if special is not None:
        raise place.error(f"This is {special}, not a YAML file.", "Name a regular file.")
    if path.suffix == ".py":
        raise place.error(
            "This is a Python program, not a YAML file.",
            "Start it with Python. How a program runs its pipeline on this machine: `pytorch_designer.run_pipeline`.",
        )
    try:
        num_bytes = path.stat().st_size
        if num_bytes > _MAX_BYTES:
            raise place.error(f"The file has {num_bytes:,} bytes; a YAML file may have {_MAX_BYTES:,}.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise place.error("There is no such file.") from None
    except IsADirectoryError:
        raise place.error("This is a folder, not a YAML file.", "Name the YAML file in it.") from None
    except UnicodeDecodeError as error:
        raise place.error("The file is not UTF-8 text.") from error
    except OSError as error:
        raise place.error(f"The file cannot be read: {error.strerror or error}.") from error
    return parse_yaml(text, path)


class OpenedFiles(dict["Path", YamlDocument]):
    """YAML files by path, each opened once: nodes often share a component."""

    def __init__(self, open_file: Callable[[Path], YamlDocument]) -> None:
        super().__init__()
        self._open_file = open_file

    def __missing__(self, path: Path) -> YamlDocument:
        self[path] = self._open_file(path)
        return self[path]


def parse_yaml(text: str, path: Path, *, has_lines: bool = True, keys: tuple[str, ...] = ()) -> YamlDocument:
    """Parse the text of a YAML document.

    Args:
        text: The text.
        path: The file that relative paths in it are next to; it need not exist.
        has_lines: Whether places have lines.
        keys: The keys that lead to it, of a part of a larger document.

    Raises:
        InvalidSpecError: It is not one valid YAML document, or larger than anybody writes one.
    """
    source = YamlSource(path.absolute(), text.replace("\r\n", "\n"), has_lines)
    try:
        _check_written_size(source)
        node = cast("yaml.Node", yaml.compose(source.text, Loader=_Loader) or yaml.compose("null"))
        _check_unfolded_size(node, source)
        repeated = sorted(_repeated_keys(node, source), key=lambda value: value.key_place)
        FaultyValueConstructor().construct_document(node)  # resolves merge keys in the nodes, and finds invalid values
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = SpecPlace(str(path)) if mark is None else source.place(mark.line + 1, mark.column + 1)
        problem = shorten(str(error.problem or error.context), _SHOWN_PROBLEM)
        raise place.error(f"The file is not valid YAML: {problem}.", _ADVICE) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a control character; brackets without end
        problem = shorten(str(error).splitlines()[0], _SHOWN_PROBLEM)
        raise SpecPlace(str(source.path)).error(f"The file is not valid YAML: {problem}.", _ADVICE) from error
    return YamlDocument(source.path, Value(node, source, keys), tuple(repeated))


def _check_written_size(source: YamlSource) -> None:
    """Refuse a long text of too many values before a tree of them is made, which takes ten times as long.

    Raises:
        InvalidSpecError: It holds too many.
    """
    if len(source.text) <= 2 * _MAX_VALUES:  # a value takes a character, and one that ends it
        return
    values = (event for event in yaml.parse(source.text, Loader=_Loader) if isinstance(event, yaml.NodeEvent))
    if next(islice(values, _MAX_VALUES, None), None) is not None:
        raise _too_many(source)


def _too_many(source: YamlSource) -> DesignerError:
    message = f"The file holds more than {_MAX_VALUES:,} values, aliases unfolded."
    return SpecPlace(str(source.path)).error(message, "Divide it into several files.")


def _check_unfolded_size(root: yaml.Node, source: YamlSource) -> None:
    """Refuse a document whose aliases unfold to more than anybody writes: a few lines can stand for gigabytes.

    Raises:
        InvalidSpecError: They do.
        ValueError: An alias stands for something that it is a part of.
    """
    sizes: dict[int, int] = {}
    pending = [root]
    open_nodes: set[int] = set()
    while pending:
        node = pending[-1]
        members = _members(node)
        if id(node) in open_nodes:
            sizes[id(node)] = 1 + sum(sizes[id(member)] for member in members)
            if sizes[id(node)] > _MAX_VALUES:
                raise _too_many(source)
            open_nodes.discard(id(node))
        elif id(node) not in sizes:
            open_nodes.add(id(node))
            if any(id(member) in open_nodes for member in members):
                raise ValueError("an alias stands for something that it is a part of")
            pending += [member for member in members if id(member) not in sizes]
            continue
        pending.pop()


def _without(node: yaml.Node, paths: Collection[tuple[str, ...]]) -> yaml.Node:
    if not isinstance(node, yaml.MappingNode):
        return node
    kept = []
    for key, value in node.value:
        below = {path[1:] for path in paths if path[0] == key.value}
        if () not in below:
            kept.append((key, _without(value, below) if below else value))
    return yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark, node.flow_style)


def _members(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [member for pair in node.value for member in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


_ADVICE = "Check indentation, colons and quotes."


def _repeated_keys(root: yaml.Node, source: YamlSource) -> Iterator[Value]:
    seen: set[int] = set()
    pending: list[Value] = [Value(root, source)]
    while pending:
        value = pending.pop()
        node = value._node
        if id(node) in seen:
            continue
        seen.add(id(node))
        pending += value.entries
        if isinstance(node, yaml.MappingNode):
            names: set[tuple[str, str]] = set()
            for key_node, value_node in node.value:
                name = (key_node.tag, str(key_node.value))
                child = Value(value_node, source, (*value.keys, name[1]), key_node)
                pending.append(child)
                if name in names and key_node.tag != f"{_TAG}merge":
                    yield child
                names.add(name)
