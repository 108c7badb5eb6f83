"""Comparison of runs: inputs, states, times, memory and metrics side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.runs.run_metrics import read_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytorch_designer.harness.job.node import NodeResult
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
    from pytorch_designer.harness.runs.run_metrics import RunValues


@dataclass(frozen=True)
class ComparedRow:
    """One fact of all runs.

    Attributes:
        section: `input`, `node`, `parameter`, `metric` or `output`.
        name: Of the input, node, `node.parameter` or `node.metric`, or output.
        values: By run; None where a run has none.
    """

    section: str
    name: str
    values: tuple[str | float | NodeResult | None, ...]

    @property
    def differs(self) -> bool:
        """True if the runs do not agree; nodes differ in their states and keys."""
        return len({_comparable(value) for value in self.values}) > 1


def compare_runs(runs: Sequence[PipelineResult]) -> list[ComparedRow]:
    """Inputs, nodes, and what was logged to MLflow, of several runs.

    Raises:
        UnsupportedEnvironmentError: An MLflow database cannot be read.
    """
    logged = [node_values(run) for run in runs]
    rows = [
        ComparedRow("input", name, tuple(run.inputs.get(name) for run in runs))
        for name in _union(run.inputs for run in runs)
    ]
    rows += [
        ComparedRow("node", name, tuple(run.nodes.get(name) for run in runs))
        for name in _union(run.nodes for run in runs)
    ]
    parameters = [_flat({node: values.parameters for node, values in found.items()}) for found in logged]
    metrics = [_flat({node: values.last() for node, values in found.items()}) for found in logged]
    for section, flat in (("parameter", parameters), ("metric", metrics)):
        rows += [ComparedRow(section, name, tuple(one.get(name) for one in flat)) for name in _union(flat)]
    return rows


def node_values(run: PipelineResult) -> dict[str, RunValues]:
    """Parameters and metrics that each node has logged to MLflow; nodes that have logged nothing are absent.

    Raises:
        UnsupportedEnvironmentError: The MLflow database cannot be read.
    """
    values = read_values(run.database, (node.run_id for node in run.nodes.values()))
    return {name: values[node.run_id] for name, node in run.nodes.items() if node.run_id in values}


def _flat(values: Mapping[str, Mapping[str, str]] | Mapping[str, Mapping[str, float]]) -> dict[str, str | float]:
    return {f"{node}.{name}": value for node, found in values.items() for name, value in found.items()}


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    """All names in the order in which they are found first."""
    return list(dict.fromkeys(name for some in names for name in some))


def _comparable(value: object) -> object:
    key = getattr(value, "key", None)
    state = getattr(value, "state", None)
    if state is None:
        return str(value)
    return (state.has_succeeded, key) if state.has_succeeded else state
