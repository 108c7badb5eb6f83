"""Size of a pipeline with all that is nested in it, known before it is laid flat.

Twenty files that each name the next one twice stand for a million nodes. Each file is counted once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.spec_faults import TOO_LARGE
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytorch_designer.harness.schema.spec_faults import SpecPlace
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

    OpenComponent = Callable[[Value], YamlDocument | None]

MAX_NODES = 1000
MAX_LEVELS = 50


def check_size(root: Value, open_component: OpenComponent) -> None:
    """Refuse a pipeline of more than `MAX_NODES` nodes, or nested deeper than `MAX_LEVELS`.

    Args:
        root: The pipeline's mapping.
        open_component: The document that a `component` names; None where it is not to be looked at.

    Raises:
        InvalidSpecError: It is too large, or a nested pipeline contains itself.
        DesignerError: As `open_component` raises it.
    """
    check_num_nodes(_Counter(open_component).nodes_of(root, ()), root.place)


def check_num_nodes(num_nodes: int, place: SpecPlace) -> None:
    """Refuse a number of nodes above `MAX_NODES`.

    Raises:
        InvalidSpecError: There are more.
    """
    if num_nodes > MAX_NODES:
        message = (
            f"With all that is nested in it, the pipeline has {_shown(num_nodes)} nodes; {MAX_NODES:,} can be run."
        )
        raise place.error(message, "Divide the pipeline, or nest less.", reason=TOO_LARGE)


class _Counter:
    """Counter of nodes, which remembers what it has counted."""

    def __init__(self, open_component: OpenComponent) -> None:
        self._open_component = open_component
        self._known: dict[Path, int] = {}

    def nodes_of(self, pipeline: Value, ancestors: tuple[Path, ...], level: int = 0) -> int:
        if level > MAX_LEVELS:
            message = f"Pipelines are nested more than {MAX_LEVELS} levels deep."
            raise pipeline.place.error(message, "Nest less.", reason=TOO_LARGE)
        jobs = pipeline.get("jobs")
        if jobs is None:  # a job that only runs a pipeline component
            return self._nodes_in(pipeline, ancestors, level) if pipeline.get("component") else 0
        check_num_nodes(len(jobs.children), pipeline.place)  # before any file that they name is looked for
        return sum(1 + self._nodes_in(node, ancestors, level) for node in jobs.children.values())

    def _nodes_in(self, node: Value, ancestors: tuple[Path, ...], level: int) -> int:
        component = node.get("component")
        if component is None:
            return 0
        if component.is_mapping:
            return self.nodes_of(component, ancestors, level + 1)
        document = self._open_component(component)
        if document is None:
            return 0
        path = resolved(document.path)
        inside = (*ancestors, resolved(node.source.path))
        if path in inside:
            raise component.key_place.error(f"The pipeline component {path} contains itself.")
        if path not in self._known:
            self._known[path] = self.nodes_of(document.root, inside, level + 1)
        return self._known[path]


def _shown(number: int) -> str:
    return f"{number:,}" if number < 10**9 else "more than a billion"
