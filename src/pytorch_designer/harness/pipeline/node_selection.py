"""Selection of the nodes of a pipeline that run: some of them, and what is before or after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.wording import nearest_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pytorch_designer.harness.job.node import PlannedNode


def select_nodes(
    nodes: Mapping[str, PlannedNode],
    *,
    only: Collection[str] = (),
    start_from: Collection[str] = (),
    up_to: Collection[str] = (),
) -> frozenset[str] | None:
    """The names of the nodes that run; None: all of them.

    Args:
        nodes: Those of the plan, each after those that it needs.
        only: These and no others. `outer` stands for all nodes of the nested pipeline `outer`.
        start_from: These, and all that need them, directly or not.
        up_to: These, and all that they need.

    Raises:
        UnknownNameError: There is no such node.
    """
    if not (only or start_from or up_to):
        return None
    chosen = set(_named(nodes, only))
    after = set(_named(nodes, start_from))
    for name, node in nodes.items():
        if node.needs & after:
            after.add(name)
    before = set(_named(nodes, up_to))
    for name, node in reversed(list(nodes.items())):
        if name in before:
            before |= node.needs
    return frozenset(chosen | after | before)


def unknown_node(name: str, nodes: Collection[str]) -> UnknownNameError:
    """The error that says that there is no such node, to be raised."""
    nearest = nearest_name(name, nodes)
    hint = f"Did you mean {nearest}? " if nearest else ""
    return UnknownNameError(
        f"The pipeline has no node {name!r}.", where=name, advice=f"{hint}It has {', '.join(nodes)}."
    )


def _named(nodes: Mapping[str, PlannedNode], given: Collection[str]) -> list[str]:
    found = []
    for name in given:
        matches = [node for node in nodes if node == name or node.startswith(f"{name}.")]
        if not matches:
            raise unknown_node(name, nodes)
        found += matches
    return found
