"""Plain data of a YAML text: nested dicts without shared parts, read, compared and changed by paths of keys."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.system.yaml_values import FaultyValueConstructor

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_designer.designer.editing.yaml_spans import Path

_MAX_LOADED = 2
_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(FaultyValueConstructor, _SafeLoader):
    """A loader all of whose errors are of YAML."""


def read_plain(text: str) -> Any:
    """The content of a YAML text, aliases and merge keys resolved.

    Raises:
        yaml.YAMLError: It is not valid YAML.
    """
    return _unshared(_loaded(text))


@lru_cache(_MAX_LOADED)
def _loaded(text: str) -> Any:
    """The content with its shared parts. The text after an edit is the one before the next."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe one)


def value_at(data: Any, path: Path, missing: Any = None) -> Any:
    """The value at a path of keys, or `missing`."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return missing
        data = data[key]
    return data


def put_in(data: dict[str, Any], path: Path, value: object) -> None:
    """Put a value at a path; what is no mapping on the way is replaced by one."""
    for key in path[:-1]:
        if not isinstance(data.get(key), dict):
            data[key] = {}
        data = data[key]
    data[path[-1]] = _unshared(value)


def remove_from(data: dict[str, Any], path: Path) -> None:
    """Remove the entry at a path."""
    for key in path[:-1]:
        data = data[key]
    del data[path[-1]]


def rename_in(data: dict[str, Any], path: Path, key: str) -> None:
    """Give the entry at a path another key, at the same place."""
    owner = value_at(data, path[:-1])
    entries = [(key if name == path[-1] else name, value) for name, value in owner.items()]
    owner.clear()
    owner.update(entries)


def same_data(one: Any, other: Any) -> bool:
    """True if two values are equal, and of the same types all through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_data(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same_data, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def changed_paths(one: Any, other: Any, path: Path = ()) -> set[Path]:
    """The paths at which two values differ, the deepest that say it all."""
    if isinstance(one, dict) and isinstance(other, dict):
        found: set[Path] = set()
        for key in one.keys() | other.keys():
            inside = (*path, str(key))
            if key in one and key in other:
                found |= changed_paths(one[key], other[key], inside)
            else:
                found.add(inside)
        return found
    return set() if same_data(one, other) else {path}


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unshared(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_unshared(member) for member in value]
    return value


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its texts changed, keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [with_texts(member, change) for member in value]
    if isinstance(value, dict):
        return {with_texts(key, change): with_texts(member, change) for key, member in value.items()}
    return value
