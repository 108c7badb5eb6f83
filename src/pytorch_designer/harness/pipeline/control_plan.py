"""Control flow of a pipeline: the conditions of `if_else` nodes, and the plan and rounds of `do_while` loops.

The nodes of the body run again in each round, under the same names and in folders of their own. Inputs of the next
round that are mapped to outputs of the last one refer to them as outputs of `NODE@last`. What needs the body waits for
the end of the loop, and gets the outputs of the last round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.job.node import Condition, NodeState
from pytorch_designer.harness.reuse.file_trees import copy_to
from pytorch_designer.harness.schema.binding_scope import OutputOf, Source, leaf_output
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytorch_designer.harness.job.node import NodeResult, PlannedNode
    from pytorch_designer.harness.node_kinds.control_flow import Branch, Loop
    from pytorch_designer.harness.schema.binding_scope import Scope
    from pytorch_designer.harness.schema.pipeline_specification import NodeSpec
    from pytorch_designer.harness.schema.spec_faults import FaultCollector

LAST = "@last"


@dataclass(frozen=True)
class PlannedLoop:
    """A `do_while` node of a flat pipeline.

    Attributes:
        body: The nodes that run in each round after the first, by name.
        condition: The value that decides after each round, or None: there are as many rounds as possible.
        max_rounds: The largest number of rounds.
        exports: The output of the whole pipeline that each output of the body is, by node and port.
    """

    name: str
    body: Mapping[str, PlannedNode]
    condition: OutputOf | None
    max_rounds: int
    exports: Mapping[tuple[str, str], str]


def conditions_by_node(
    pipeline: PipelineSpec, branches: Sequence[Branch], loops: Sequence[Loop], scope: Scope, faults: FaultCollector
) -> dict[str, tuple[Condition, ...]]:
    """The conditions of `if_else` nodes by the nodes of the pipeline that depend on them; faults are collected."""
    members: dict[str, list[tuple[Branch, bool]]] = {}
    for branch in branches:
        for name, expected in branch.blocks.items():
            if name not in pipeline.nodes and name not in pipeline.controls:
                faults.add(f"{branch.name} names {name}, which is no node of the pipeline.", branch.place)
            members.setdefault(name, []).append((branch, expected))
    for loop in loops:  # a block that names a loop is about its body
        members.setdefault(loop.body, []).extend(members.get(loop.name, ()))
    conditions = {}
    for branch in branches:
        with faults.collecting():
            conditions[branch.name] = _source(branch, scope)
    found: dict[str, tuple[Condition, ...]] = {}
    for name in pipeline.nodes:
        pending = list(members.get(name, ()))
        seen: set[str] = set()
        own = []
        while pending:
            branch, expected = pending.pop()
            if branch.name in seen:
                continue
            seen.add(branch.name)
            pending += members.get(branch.name, [])
            if branch.name in conditions:
                own.append(Condition(branch.name, conditions[branch.name], expected))
        found[name] = tuple(own)
    return found


def _source(branch: Branch, scope: Scope) -> Source:
    """The value that decides, which must be one that can be true."""
    place = branch.condition.place or branch.place
    source = scope.resolve(branch.condition, place)
    if source is None:
        raise place.error(f"The condition of {branch.name} has no value.")
    if source.is_path:
        kind = source.outputs[0].type if source.outputs else "path"
        raise place.error(
            f"The condition of {branch.name} is data, a {kind}; it must be a single value.",
            "Give the output the type boolean, and write True or False into its file.",
        )
    return source


def mapped_inputs(loop: Loop, body: NodeSpec, prefix: str, faults: FaultCollector) -> dict[str, Source]:
    """The values of the inputs of the body in the next round; faults are collected."""
    found = {}
    for name, output in loop.mapping.items():
        with faults.collecting(loop.place):
            if name not in body.component.inputs:
                raise loop.place.error(f"The body of {loop.name}, {body.name}, has no input {name}.")
            leaf = leaf_output(body, output, prefix, loop.place)
            port = body.component.inputs[name]
            if port.is_data is leaf.is_value:
                raise loop.place.error(
                    f"{loop.name} maps {output} ({leaf.type}) to the input {name} ({port.type}): one is data, "
                    "the other a single value."
                )
            found[name] = Source((replace(leaf, node=f"{leaf.node}{LAST}"),), is_path=not leaf.is_value)
    return found


def check_body(loop: Loop, body: NodeSpec | None) -> NodeSpec:
    """The body of a loop.

    Raises:
        InvalidSpecError: There is no such node.
        UnsupportedLocallyError: There is a loop in it.
    """
    if body is None:
        raise loop.place.error(f"The body of {loop.name} is {loop.body}, which is no node of the pipeline.")
    pending = [body]
    while pending:
        component = pending.pop().component
        if isinstance(component, PipelineSpec):
            for name, value in component.controls.items():
                if str(value.children["type"].plain).lower() == "do_while":
                    raise loop.place.unsupported(
                        f"The body of {loop.name} has a loop in it, {name}, which cannot run here."
                    )
            pending += component.nodes.values()
    return body


def loop_condition(loop: Loop, body: NodeSpec, prefix: str) -> OutputOf | None:
    """The output that decides.

    Raises:
        InvalidSpecError: There is none of that name, or it is data.
    """
    if loop.condition is None:
        return None
    output = leaf_output(body, loop.condition, prefix, loop.place)
    if not output.is_value:
        raise loop.place.error(
            f"The condition of {loop.name}, {loop.condition}, is data, a {output.type}; it must be a single value.",
            "Give the output the type boolean, and write True or False into its file.",
        )
    return output


def with_inputs(node: PlannedNode, inputs: Mapping[str, Source]) -> PlannedNode:
    """The node with other values for some inputs."""
    given = {**node.inputs, **inputs}
    needs = {output.node for source in given.values() for output in source.outputs}
    return replace(node, inputs=given, needs=node.needs | needs)


def without_last(node: PlannedNode) -> PlannedNode:
    """The node without the need of what the round before has written, which is there."""
    return replace(node, needs=frozenset(name for name in node.needs if not name.endswith(LAST)))


class LoopRounds:
    """The rounds of one loop while the pipeline runs.

    Attributes:
        loop: The loop.
        number: The round that runs, from 1.
        is_open: Whether there may be another.
    """

    def __init__(self, loop: PlannedLoop) -> None:
        self.loop = loop
        self.number = 1
        self.is_open = True

    def has_round_ended(self, nodes: Mapping[str, NodeResult]) -> bool:
        """True if all nodes of the body have ended."""
        return self.is_open and all(nodes[name].state.has_ended for name in self.loop.body)

    def holds(self, name: str, node: PlannedNode) -> bool:
        """True if a node that waits needs the body, and so has to wait for the end of the loop."""
        return self.is_open and name not in self.loop.body and not node.needs.isdisjoint(self.loop.body)

    def end_round(self, nodes: Mapping[str, NodeResult], paths: dict[tuple[str, str], Path]) -> bool:
        """Decide whether there is another round, whose nodes then find the outputs of this one as `NODE@last`.

        Args:
            nodes: The states of all nodes.
            paths: The outputs of the nodes that have run; gets those of this round under their names.

        Raises:
            FailedToWriteOutputsError: The value that decides was not written.
        """
        states = {nodes[name].state for name in self.loop.body}
        self.is_open = False
        if not all(state.has_succeeded or state is NodeState.BYPASSED for state in states):
            return False
        condition = self.loop.condition
        is_true = condition is None or (
            condition.port in paths and condition.text(paths[condition.port]).strip().lower() == "true"
        )
        if not is_true or self.number == self.loop.max_rounds:
            return False
        paths.update(
            {(f"{node}{LAST}", port): path for (node, port), path in list(paths.items()) if node in self.loop.body}
        )
        self.number += 1
        self.is_open = True
        return True

    def deliver(self, paths: dict[tuple[str, str], Path], place: Callable[[str, Path], Path]) -> None:
        """Copy the outputs of the last round to where outputs of the pipeline go.

        Args:
            paths: The outputs of the nodes that have run; gets the places of the copies.
            place: Where an output of the pipeline goes, by its name and the path of what it is.

        Raises:
            FailedToWriteOutputsError: They cannot be written.
        """
        for port, name in self.loop.exports.items():
            if port in paths:
                target = place(name, paths[port])
                with writing_errors(target):
                    copy_to(paths[port], target)
                paths[port] = target
