"""Parallel job as a command: the program of `mini_batches` in the snapshot, started with the settings as options."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.pipeline_specification import NodeSpec
    from pytorch_designer.harness.schema.spec_faults import FaultCollector
    from pytorch_designer.harness.schema.specification import CommandSpec


def parallel_command(node: NodeSpec, spec: CommandSpec, faults: FaultCollector) -> CommandSpec:
    """The command of a parallel node."""
    raise node.place.unsupported(f"The node {node.name} is a parallel node.")
