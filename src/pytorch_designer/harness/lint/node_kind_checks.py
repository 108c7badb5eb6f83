"""Checks of sweep, parallel, if_else and do_while nodes: their settings are read as `run` reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.node_kinds.control_flow import read_controls
from pytorch_designer.harness.node_kinds.parallel_command import read_parallel
from pytorch_designer.harness.node_kinds.sweep_settings import check_search_space, read_sweep
from pytorch_designer.harness.schema.bindings import is_bound
from pytorch_designer.harness.schema.component_file import inline_parallel
from pytorch_designer.harness.schema.spec_faults import FaultCollector
from pytorch_designer.harness.schema.specification import CommandSpec
from pytorch_designer.harness.schema.vocabulary import CONTROL_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.lint.pipeline_model import Node
    from pytorch_designer.harness.schema.spec_faults import SpecFault
    from pytorch_designer.harness.schema.specification import Interface
    from pytorch_designer.harness.schema.yaml_tree import Value


def check_node_kind(report: Report, node: Node, component: Value | None) -> None:
    """Check the settings of a sweep or parallel node; `component` is its trial or component, if it can be read."""
    if node.type_name == "sweep":
        check_sweep(report, node.value, component, node.interface)
    elif node.type_name == "parallel":
        _check_parallel(report, node, component)


def check_sweep(report: Report, sweep: Value, trial: Value | None, interface: Interface | None) -> None:
    """Check the settings of a sweep, and that its trial uses what is searched."""
    faults = FaultCollector()
    settings = read_sweep(sweep, faults)
    command = None if trial is None else trial.get("command")
    if settings is not None and command is not None and command.text is not None:
        inputs = {} if interface is None else interface.inputs
        spec = CommandSpec("trial", command.text, sweep.source.path, inputs=inputs)
        # What the trial does not declare is a finding of its own, unless it declares nothing.
        declared = [item for item in settings.search_space if item.name in inputs or not inputs]
        check_search_space(spec, sweep, replace(settings, search_space=tuple(declared)), faults)
    _report(report, "sweep-settings", faults.faults)


def check_controls(report: Report, jobs: Mapping[str, Value]) -> None:
    """Check the `if_else` and `do_while` nodes of a pipeline."""
    controls = {
        name: value
        for name, value in jobs.items()
        if value.is_mapping and (kind := value.get("type")) is not None and str(kind.plain).lower() in CONTROL_KINDS
    }
    faults = FaultCollector()
    read_controls(controls, faults)
    _report(report, "control-settings", faults.faults)


def _check_parallel(report: Report, node: Node, component: Value | None) -> None:
    faults = FaultCollector()
    owners = [node.value, *([] if component is None else [component])]
    if node.component_file is not None and component is None:
        return  # the missing file is reported elsewhere
    with faults.collecting():
        spec = inline_parallel(owners[-1], node.name)
        if node.interface is not None:
            spec = replace(spec, inputs=node.interface.inputs, outputs=node.interface.outputs)
            read_parallel(owners, spec, faults)
    _report(report, "parallel-settings", faults.faults)


def _report(report: Report, rule_id: str, faults: Iterable[SpecFault]) -> None:
    for fault in faults:
        is_known = not is_bound(fault.message)  # else what is bound has a value when the pipeline runs
        if is_known and fault.kind != UnsupportedLocallyError.__name__:
            report.add(rule_id, fault.place, fault.message, fault.advice)
