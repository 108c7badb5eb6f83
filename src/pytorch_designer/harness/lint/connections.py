"""Checks of the bindings between the nodes of a pipeline and its own ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.bindings import Binding, bindings_in, half_bindings_in
from pytorch_designer.harness.lint.command_checks import is_declared
from pytorch_designer.harness.lint.findings import did_you_mean
from pytorch_designer.harness.lint.schema import CONTROL_FLOW_TYPES, PARAMETER_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.lint.findings import Position, Report
    from pytorch_designer.harness.lint.interfaces import Port
    from pytorch_designer.harness.lint.pipeline import Node, Pipeline
    from pytorch_designer.harness.lint.yaml_tree import Value

# What runs inside the job refers to the node's own ports, not to the pipeline's.
_INSIDE_THE_JOB = frozenset(
    {"component", "trial", "command", "task", "args", "code", "entry", "description", "inputs", "outputs", "type"}
)
_WHOLE_FOLDERS = frozenset({"uri_folder", "mltable", "mlflow_model", "triton_model"})
_PARENT_FORMS = "Use ${{parent.inputs.<name>}} or ${{parent.jobs.<node>.outputs.<name>}}."


@dataclass(frozen=True)
class _Edge:
    """One node needs another, as a binding says."""

    source: str
    target: str
    position: Position


def check_connections(report: Report, pipeline: Pipeline) -> None:
    """Check every binding of every node, and what the bindings make of the pipeline as a whole."""
    edges: list[_Edge] = []
    for node in pipeline.nodes.values():
        for name, value in node.inputs.items():
            edges += _check_input(report, pipeline, node, name, value)
        for value in node.value.texts(skipping=_INSIDE_THE_JOB):
            for binding in bindings_in(value.text or ""):
                if binding.parts[:1] == ("parent",):
                    edges += _check_binding(report, pipeline, node, value, binding)
        for name, value in node.outputs.items():
            _check_output(report, pipeline, node, name, value)
    _check_cycles(report, edges)
    _check_outputs_bound(report, pipeline)
    _check_inputs_used(report, pipeline)


def _check_input(report: Report, pipeline: Pipeline, node: Node, name: str, value: Value) -> Iterator[_Edge]:
    target = None if node.interface is None or node.is_inline else node.interface.inputs.get(name)
    for text in value.texts():
        content = text.text or ""
        for written, hint in half_bindings_in(content):
            report.add("bad-binding", text.locate(written), f"{written} is no binding.", hint)
        for binding in bindings_in(content):
            yield from _check_binding(report, pipeline, node, text, binding)
            if binding.written == content.strip():
                source = _source(pipeline, binding)
                if source is not None and target is not None:
                    is_known = binding.parts[1] == "inputs" and source.name in pipeline.literals
                    _check_fit(report, text.position, source, target, has_known_value=is_known)


def _check_binding(report: Report, pipeline: Pipeline, node: Node, value: Value, binding: Binding) -> Iterator[_Edge]:
    at = value.locate(binding.written)
    match binding.parts:
        case ("parent", "inputs", *name) if name:
            if not is_declared(name, pipeline.inputs):
                message = f"The pipeline has no input {'.'.join(name)}."
                report.add("unknown-pipeline-input", at, message, did_you_mean(name[0], pipeline.inputs))
        case ("parent", "outputs", *name) if name:
            if not is_declared(name, pipeline.outputs):
                message = f"The pipeline has no output {'.'.join(name)}."
                report.add("unknown-pipeline-output", at, message, did_you_mean(name[0], pipeline.outputs))
        case ("parent", "jobs", job, "outputs" | "inputs" as section, *name) if name:
            if _check_job_port(report, pipeline, at, (job, section, ".".join(name))) and section == "outputs":
                yield _Edge(node.name, job, at)
        case ("parent", "jobs", job) if node.type_name in CONTROL_FLOW_TYPES:
            _check_job_port(report, pipeline, at, (job, "", ""))
        case _:
            report.add("bad-binding", at, f"{binding.written} means nothing in a pipeline.", _PARENT_FORMS)


def _check_job_port(report: Report, pipeline: Pipeline, at: Position, place: tuple[str, str, str]) -> bool:
    job, section, name = place
    source = pipeline.nodes.get(job)
    if source is None:
        report.add("unknown-job", at, f"The pipeline has no node {job}.", did_you_mean(job, pipeline.nodes))
        return False
    if source.interface is not None and section == "outputs":
        ports = source.interface.outputs
        if name not in ports:
            report.add("unknown-port", at, f"The node {job} has no output {name}.", did_you_mean(name, ports))
    return True


def _check_output(report: Report, pipeline: Pipeline, node: Node, name: str, value: Value) -> None:
    if value.text is None:
        for text in value.texts():
            for binding in bindings_in(text.text or ""):
                if binding.parts[:1] == ("parent",):
                    list(_check_binding(report, pipeline, node, text, binding))
        return
    bindings = bindings_in(value.text)
    if len(bindings) != 1 or bindings[0].parts[:2] != ("parent", "outputs"):
        message = f"The output {name} can only be bound to an output of the pipeline."
        report.add("bad-binding", value.position, message, "Use ${{parent.outputs.<name>}}.")
        return
    list(_check_binding(report, pipeline, node, value, bindings[0]))
    source = None if node.interface is None else node.interface.outputs.get(name)
    target = pipeline.outputs.get(".".join(bindings[0].parts[2:]))
    if source is not None and target is not None:
        _check_types(report, value.position, source, target)


def _source(pipeline: Pipeline, binding: Binding) -> Port | None:
    match binding.parts:
        case ("parent", "inputs", *name):
            return pipeline.inputs.get(".".join(name))
        case ("parent", "jobs", job, "outputs", *name):
            node = pipeline.nodes.get(job)
            return None if node is None or node.interface is None else node.interface.outputs.get(".".join(name))
    return None


def _check_fit(report: Report, at: Position, source: Port, target: Port, *, has_known_value: bool) -> None:
    if source.is_optional and source.default is None and target.is_required:
        report.add(
            "optional-to-required",
            at,
            f"The optional pipeline input {source.name} feeds {target.name}, which is required.",
            "Make both optional, or give the pipeline input a default.",
        )
    if not (has_known_value and target.is_parameter):  # then it is checked as a value
        _check_types(report, at, source, target)
    if source.holds and target.holds and not _holds_fit(source.holds, target.holds):
        report.add(
            "port-tag-mismatch",
            at,
            f"{source.name} holds {source.holds}, and {target.name} expects {target.holds}.",
            "Connect another output, or put a component that converts in between.",
        )


def _check_types(report: Report, at: Position, source: Port, target: Port) -> None:
    given, wanted = source.type_name, target.type_name
    if given is None or wanted is None or _types_fit(given, wanted):
        return
    hint = "Write the input as {type: ..., path: ...}." if given in PARAMETER_TYPES else "Change one of the two types."
    report.add("type-mismatch", at, f"{source.name} is {given}, and {target.name} expects {wanted}.", hint)


def _types_fit(given: str, wanted: str) -> bool:
    if wanted in {given, "string"} or (given, wanted) == ("integer", "number"):
        return True
    if given in PARAMETER_TYPES or wanted in PARAMETER_TYPES:
        return False
    # custom_model and path may be either a file or a folder.
    return {given, wanted} - _WHOLE_FOLDERS != {"uri_file"}


def _holds_fit(given: str, wanted: str) -> bool:
    # A trained model may be trained further, so it fits where an untrained one is expected.
    return given == wanted or wanted.startswith("Any") or given.startswith("Any") or wanted == f"Untrained{given}"


def _check_cycles(report: Report, edges: list[_Edge]) -> None:
    needs: dict[str, list[_Edge]] = {}
    for edge in edges:
        needs.setdefault(edge.source, []).append(edge)
    done: set[str] = set()
    for start in needs:
        _follow(report, start, needs, path=[], done=done)


def _follow(report: Report, node: str, needs: dict[str, list[_Edge]], *, path: list[str], done: set[str]) -> None:
    if node in done:
        return
    for edge in needs.get(node, ()):
        if edge.target in [*path, node]:
            circle = [*path, node][[*path, node].index(edge.target) :]
            message = f"Nodes wait for each other: {' -> '.join([*reversed(circle), circle[-1]])}."
            report.add("cycle", edge.position, message, "Take one of these connections away.")
        else:
            _follow(report, edge.target, needs, path=[*path, node], done=done)
    done.add(node)


def _check_outputs_bound(report: Report, pipeline: Pipeline) -> None:
    writers: dict[str, str] = {}
    for node in pipeline.nodes.values():
        for value in node.outputs.values():
            for text in value.texts():
                for binding in bindings_in(text.text or ""):
                    if binding.parts[:2] != ("parent", "outputs"):
                        continue
                    name = ".".join(binding.parts[2:])
                    if name in writers:
                        message = f"The nodes {writers[name]} and {node.name} both write the pipeline output {name}."
                        report.add("output-bound-twice", text.position, message, "Give each an output of its own.")
                    writers.setdefault(name, node.name)
    for name, port in pipeline.outputs.items():
        if name not in writers:
            hint = f"Bind an output of a node to ${{{{parent.outputs.{name}}}}}, or remove it."
            report.add("unbound-pipeline-output", port.position, f"No node writes the pipeline output {name}.", hint)


def _check_inputs_used(report: Report, pipeline: Pipeline) -> None:
    used = {
        binding.parts[2]
        for text in pipeline.root.texts(skipping={"inputs", "description"})
        for binding in bindings_in(text.text or "")
        if binding.parts[:2] == ("parent", "inputs") and len(binding.parts) > 2
    }
    for name, port in pipeline.inputs.items():
        if name.split(".")[0] not in used:
            report.add(
                "unused-pipeline-input",
                port.position,
                f"No node uses the pipeline input {name}.",
                f"Bind an input of a node to ${{{{parent.inputs.{name}}}}}, or remove it.",
            )
