"""Two runs side by side: states, durations, parameters, metrics, inputs, and outputs that differ."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.runs.run_views import node_view
from pytorch_designer.errors import shorten
from pytorch_designer.harness.job.run_folder import RECORD_FILE
from pytorch_designer.harness.reuse.file_trees import content_hash, list_tree
from pytorch_designer.harness.runs.run_comparison import node_values
from pytorch_designer.harness.runs.run_list import elapsed_seconds
from pytorch_designer.shown_text import redacted
from pytorch_designer.storage.bounded_documents import parse_json
from pytorch_designer.system.regular_files import read_regular
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytorch_designer.harness.job.node import NodeResult
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

_MAX_RECORD_BYTES = 4 << 20
_MAX_HASHED_BYTES = 256 << 20  # larger outputs are compared by the names and sizes of their files
_MAX_VALUE = 300
_UNITS = ("B", "KB", "MB", "GB")


def compare(first: PipelineResult, second: PipelineResult) -> list[dict[str, Any]]:
    """Rows of what two runs have in common and where they differ; `a` and `b` are None where a run has none.

    Raises:
        UnsupportedEnvironmentError: An MLflow database cannot be read.
    """
    rows = [_row("state", None, "state", first.state, second.state)]
    rows.append(_row("duration", None, "seconds", elapsed_seconds(first), elapsed_seconds(second)))
    rows += _rows("input", None, first.inputs, second.inputs)
    logged = [node_values(first), node_values(second)]
    for name in _union(first.nodes, second.nodes):
        nodes = [run.nodes.get(name) for run in (first, second)]
        rows.append(_row("state", name, "state", *(_state(node) for node in nodes)))
        rows.append(_row("duration", name, "seconds", *(None if n is None else elapsed_seconds(n) for n in nodes)))
        rows += _rows("parameter", name, *(_parameters(node) for node in nodes))
        found = [values[name].last() if name in values else {} for values in logged]
        rows += _rows("metric", name, *found)
        rows += list(_output_rows(name, *nodes))
    return rows


def _rows(kind: str, node: str | None, first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [_row(kind, node, name, first.get(name), second.get(name)) for name in _union(first, second)]


def _row(kind: str, node: str | None, name: str, first: Any, second: Any) -> dict[str, Any]:
    a, b = _plain(first), _plain(second)
    return {"kind": kind, "node": node, "name": name, "a": a, "b": b, "differs": a != b}


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float) and value in {float("inf"), float("-inf")}:
        return str(value)
    return shorten(redacted(value), _MAX_VALUE) if isinstance(value, str) else value


def _state(node: NodeResult | None) -> str | None:
    return None if node is None else str(node_view(node)["state"])


def _parameters(node: NodeResult | None) -> dict[str, str]:
    """The values that a node has run with, without paths of data, which differ in each run."""
    if node is None:
        return {}
    path = node.run_folder / RECORD_FILE
    try:
        if path.stat().st_size > _MAX_RECORD_BYTES:
            return {}
        inputs = parse_json(read_regular(path))["inputs"]
        return {str(name): str(value) for name, value in inputs.items() if not Path(str(value)).is_absolute()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # it has not started, or another program's file
        return {}


def _output_rows(name: str, first: NodeResult | None, second: NodeResult | None) -> Iterator[dict[str, Any]]:
    places = [{} if node is None or not node.state.has_succeeded else dict(node.outputs) for node in (first, second)]
    keys = [None if node is None else node.key for node in (first, second)]
    for port in _union(*places):
        paths = [place.get(port) for place in places]
        shown = [None if path is None else _size_of(path) for path in paths]
        row = _row("output", name, port, *shown)
        if not row["differs"] and None not in paths and (keys[0] is None or keys[0] != keys[1]):
            row["differs"] = _fingerprint(paths[0]) != _fingerprint(paths[1])
        yield row


def _fingerprint(path: Path | None) -> str:
    if path is None:
        return ""
    tree = list_tree(path)
    sizes = dict(_sizes(path))
    return content_hash(tree) if sum(sizes.values()) <= _MAX_HASHED_BYTES else repr(sorted(sizes.items()))


def _size_of(path: Path) -> str | None:
    if not path.exists():
        return None
    sizes = [size for _, size in _sizes(path)]
    return f"{count(len(sizes), 'file')}, {_in_words(sum(sizes))}"


def _sizes(path: Path) -> Iterator[tuple[str, int]]:
    if path.is_file():
        yield path.name, path.stat().st_size
    for folder, _, files in os.walk(path):
        for file in files:
            place = os.path.join(folder, file)  # noqa: PTH118 - much faster
            yield os.path.relpath(place, path), os.lstat(place).st_size


def _in_words(num_bytes: int) -> str:
    size, unit = float(num_bytes), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def _union(*names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for some in names for name in some))
