"""Untrusted JSON and YAML, bounded in size, depth and expansion of aliases.

Twenty lines of YAML with aliases unfold to gigabytes, a megabyte of brackets takes minutes to read, and a JSON file
takes up to twenty times its size in memory. All are refused before that is spent. The faults are `ValueError`s with a
short text, for callers that know what the document is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.errors import shorten
from pytorch_designer.storage.paths import read_bounded
from pytorch_designer.system.memory_check import check_memory
from pytorch_designer.system.yaml_values import FaultyValueConstructor

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.errors import DesignerError

_MAX_NODES = 10_000  # a directory's description has some hundred
_MAX_DEPTH = 50
_MAX_SCALAR = 1 << 16
_TEXT_LIMIT = 200
# What Python takes for one of them beside its text, rounded up.
_OBJECT_BYTES = 240
_LIST_BYTES = 90
_ITEM_BYTES = 60


def read_json(path: Path, max_bytes: int, error: type[DesignerError]) -> Any:
    """The content of a JSON file.

    Args:
        path: A regular file, or a link to one.
        max_bytes: Its largest size.
        error: The class of the named errors.

    Raises:
        DesignerError: An `error` with the reason "unreadable" or "too_large": more than `max_bytes`, or more than the
            machine has memory for.
        ValueError: It is not JSON, or is nested too deeply.
    """
    return decode_json(path, read_bounded(path, max_bytes, error), error)


def decode_json(path: Path, data: bytes, error: type[DesignerError]) -> Any:
    """The content of the JSON file `path`, whose bytes have been read.

    Raises:
        DesignerError: An `error` with the reason "too_large": more than the machine has memory for.
        ValueError: It is not JSON, or is nested too deeply.
    """
    check_document_memory(json_bytes(data), path, error)
    return parse_json(data)


def json_bytes(data: bytes) -> int:
    """Memory that the content of a JSON document, or of many below each other, takes beside its bytes, at most."""
    num_objects, num_items = data.count(b"{"), data.count(b",") + data.count(b":")
    num_lists = data.count(b"[") + data.count(b"\n")
    return (
        2 * len(data) * bytes_per_character(data)
        + _OBJECT_BYTES * num_objects
        + _LIST_BYTES * num_lists
        + _ITEM_BYTES * num_items
    )


def bytes_per_character(data: bytes) -> int:
    """Bytes that Python takes, at most, for what a byte of a text becomes."""
    return 1 if data.isascii() else 4


def check_document_memory(num_bytes: int, path: Path, error: type[DesignerError]) -> None:
    """Make sure that there is memory for the content of the file `path`.

    Raises:
        DesignerError: An `error` with the reason "too_large".
    """
    advice = "Use a machine with more memory, or divide the dataset."
    check_memory(num_bytes, "Reading the file takes", where=path, advice=advice, error=error)


def parse_json(data: bytes | str) -> Any:
    """The content of a JSON document.

    Raises:
        ValueError: It is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(shorten(str(error), _TEXT_LIMIT)) from error


def parse_yaml(data: bytes) -> Any:
    """The content of a YAML document of plain values, without tags of programming languages.

    Raises:
        ValueError: It is not YAML, or larger, deeper or with more aliases than a description is.
    """
    loader = None
    try:
        loader = _BoundedLoader(data)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f", line {mark.line + 1}"
        raise ValueError(shorten(f"{error.problem or error.context}{place}", _TEXT_LIMIT)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(shorten(str(error).split("\n", 1)[0], _TEXT_LIMIT)) from error
    finally:
        if loader is not None:
            loader.dispose()


class _BoundedLoader(FaultyValueConstructor, yaml.SafeLoader):
    """A loader that counts what it composes: an alias counts as all that it stands for."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = 0
        self._num_nodes = 0
        self._sizes: dict[str, int] = {}  # of what the anchors stand for; missing while it is composed

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # not in the stubs
        anchor = event.anchor
        before = self._num_nodes
        if isinstance(event, yaml.AliasEvent):
            if anchor in self.anchors and anchor not in self._sizes:
                raise yaml.YAMLError("an alias stands for something that it is a part of")
            self._num_nodes += self._sizes.get(anchor, 1)
        else:
            self._num_nodes += 1
            if isinstance(event, yaml.ScalarEvent) and len(event.value) > _MAX_SCALAR:
                raise yaml.YAMLError(f"a value has more than {_MAX_SCALAR:,} characters")
        if self._num_nodes > _MAX_NODES:
            raise yaml.YAMLError(f"it holds more than {_MAX_NODES:,} values, aliases unfolded")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested more than {_MAX_DEPTH} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if anchor is not None:
            self._sizes[anchor] = self._num_nodes - before
        return node
