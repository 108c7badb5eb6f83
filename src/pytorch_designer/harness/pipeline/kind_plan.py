"""Plan of a node by its kind: the job that a command or parallel node runs, and how a sweep chooses its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.node_kinds.parallel_command import parallel_command, read_parallel
from pytorch_designer.harness.node_kinds.sweep_settings import check_search_space, read_sweep, sweep_trial
from pytorch_designer.harness.sweep.sampling import needs_optuna

if TYPE_CHECKING:
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.schema.pipeline_specification import NodeSpec
    from pytorch_designer.harness.schema.spec_faults import FaultCollector
    from pytorch_designer.harness.schema.specification import CommandSpec


def plan_kind(
    node: NodeSpec, spec: CommandSpec, faults: FaultCollector
) -> tuple[CommandSpec, SweepSettings | None, int]:
    """The job of a node, how a sweep chooses its trials, and the number of workers of a parallel job.

    Args:
        node: The node.
        spec: Its component, with the node's overrides.
        faults: Gets what is wrong with the settings of its kind.
    """
    if node.definition is None:
        return spec, None, 1
    if node.kind == "parallel":
        owners = [owner for owner in (node.definition, spec.definition) if owner is not None]
        parallel = read_parallel(owners, spec, faults)
        if parallel is None:
            return spec, None, 1
        command, num_workers = parallel_command(spec, parallel)
        return command, None, num_workers
    sweep = read_sweep(node.definition, faults)
    if sweep is None:
        return spec, None, 1
    if needs_optuna(sweep):
        with faults.collecting():
            raise node.place.unsupported(
                f"The sweep {node.name} needs Optuna, which is not installed.",
                "Install it with pip install 'pytorch-designer[sweep]'.",
            )
    check_search_space(spec, node.definition, sweep, faults)
    return sweep_trial(spec, sweep), sweep, 1
