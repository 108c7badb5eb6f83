"""YAML files as plain data together with the line of every entry, so that an error can name its place.

What PyYAML accepts silently though it is a mistake is refused: a key that stands twice in one mapping.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

Key = str | int

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class YamlDocument:
    """A YAML file that holds a mapping.

    Attributes:
        path: The file, absolute.
        data: Its content.
        lines: The line, from 1, of each key of a mapping and each item of a list, by the keys that lead to it.
    """

    path: Path
    data: dict[str, Any] = field(repr=False)
    lines: dict[tuple[Key, ...], int] = field(repr=False)

    def line(self, *keys: Key) -> int:
        """The line of the entry at `keys`, or of the nearest entry above it that exists."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def where(self, *keys: Key) -> str:
        """`file:line` of the entry at `keys`, the form in which editors and CI find a place."""
        return f"{self.path}:{self.line(*keys)}"


def read_yaml(path: Path) -> YamlDocument:
    """Read the YAML file `path`.

    Raises:
        InvalidSpecError: There is no such file, it is not YAML, or it holds no mapping.
    """
    path = path.absolute()
    text = _read_text(path)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            data = None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = path if mark is None else f"{path}:{mark.line + 1}"
        raise InvalidSpecError(f"The file is not valid YAML: {error.problem}.", where=where) from error
    except (yaml.YAMLError, ValueError) as error:  # a stray control character; a date such as 2026-13-40
        raise InvalidSpecError(f"The file is not valid YAML: {error}.", where=path) from error
    if not isinstance(data, dict):
        raise InvalidSpecError("The file holds no YAML mapping.", where=path, advice="Name a component's YAML file.")
    return YamlDocument(path, data, dict(_lines(root, (), path, set())))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InvalidSpecError("There is no such file.", where=path) from None
    except IsADirectoryError:
        raise InvalidSpecError(
            "This is a folder, not a YAML file.", where=path, advice="Name the YAML file in it."
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidSpecError("The file is not UTF-8 text.", where=path) from error
    except OSError as error:
        raise InvalidSpecError(f"The file cannot be read: {error.strerror or error}.", where=path) from error


def _lines(node: Any, keys: tuple[Key, ...], path: Path, visited: set[int]) -> Iterator[tuple[tuple[Key, ...], int]]:
    if id(node) in visited:  # an alias: its lines are those of the anchor, and it may contain itself
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key_node, value_node in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if isinstance(key, str) and key in seen:
                raise InvalidSpecError(f"The key {key!r} stands twice in one mapping.", where=f"{path}:{line}")
            if isinstance(key, str):
                seen.add(key)
                yield (*keys, key), line
                yield from _lines(value_node, (*keys, key), path, visited)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            if id(item) not in visited:
                yield (*keys, index), item.start_mark.line + 1
            yield from _lines(item, (*keys, index), path, visited)
