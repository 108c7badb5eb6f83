"""Plan of the nodes that decide about others: what each node of a pipeline depends on, and which are repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.job.node import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.harness.node_kinds.control_flow import Branch, Loop
    from pytorch_designer.harness.schema.binding_scope import Scope, Source
    from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
    from pytorch_designer.harness.schema.spec_faults import FaultCollector


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
