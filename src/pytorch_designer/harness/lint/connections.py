"""Checks of the bindings between the nodes of a pipeline and its own ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.command_checks import is_declared
from pytorch_designer.harness.schema.bindings import (
    PIPELINE_FORMS,
    Binding,
    NodePort,
    ParentInput,
    ParentOutput,
    bindings_in,
    half_bindings_in,
)
from pytorch_designer.harness.schema.interface import type_mismatch, types_fit, unbound_output
from pytorch_designer.harness.schema.spec_faults import did_you_mean
from pytorch_designer.harness.schema.specification import InputSpec, OutputSpec
from pytorch_designer.harness.schema.vocabulary import CONTROL_FLOW_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.spec_faults import SpecPlace
    from pytorch_designer.harness.schema.yaml_tree import Value

# What runs inside the job refers to the node's own ports, not to the pipeline's.
_INSIDE_THE_JOB = frozenset(
    {"component", "trial", "command", "task", "args", "code", "entry", "description", "inputs", "outputs", "type"}
)


@dataclass(frozen=True)
class _Edge:
    """One node needs another, as a binding says."""

    source: str
    target: str
    place: SpecPlace


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


def holds_fit(given: str, wanted: str) -> bool:
    """True if a directory of one type is right for a port of another: a trained model may be trained further."""
    return given == wanted or wanted.startswith("Any") or given.startswith("Any") or wanted == f"Untrained{given}"


def _check_input(report: Report, pipeline: Pipeline, node: Node, name: str, value: Value) -> Iterator[_Edge]:
    target = None if node.interface is None or node.is_inline else node.interface.inputs.get(name)
    for text in value.texts():
        content = text.text or ""
        for written, advice in half_bindings_in(content):
            report.add("bad-binding", text.locate(written), f"{written} is not a binding.", advice)
        for binding in bindings_in(content):
            yield from _check_binding(report, pipeline, node, text, binding)
            if binding.written == content.strip():
                source = _source(pipeline, binding)
                if source is not None and target is not None:
                    is_known = isinstance(source, InputSpec) and source.name in pipeline.literals
                    _check_fit(report, text.place, source, target, has_known_value=is_known)


def _check_binding(report: Report, pipeline: Pipeline, node: Node, value: Value, binding: Binding) -> Iterator[_Edge]:
    at = value.locate(binding.written)
    match binding.reference:
        case ParentInput(name):
            if not is_declared(name.split("."), pipeline.interface.inputs):
                message = f"The pipeline has no input {name}."
                report.add(
                    "unknown-pipeline-input", at, message, did_you_mean(name.split(".")[0], pipeline.interface.inputs)
                )
        case ParentOutput(name):
            if not is_declared(name.split("."), pipeline.interface.outputs):
                message = f"The pipeline has no output {name}."
                report.add(
                    "unknown-pipeline-output", at, message, did_you_mean(name.split(".")[0], pipeline.interface.outputs)
                )
        case NodePort(job, name, is_output):
            if _is_node(report, pipeline, at, job) and is_output:
                _check_node_output(report, pipeline.nodes[job], at, name)
                yield _Edge(node.name, job, at)
        case None:
            is_node = len(binding.parts) == 3 and binding.parts[:2] == ("parent", "jobs")
            if is_node and node.type_name in CONTROL_FLOW_TYPES:
                _is_node(report, pipeline, at, binding.parts[2])
            else:
                report.add("bad-binding", at, f"{binding.written} means nothing in a pipeline.", PIPELINE_FORMS)


def _is_node(report: Report, pipeline: Pipeline, at: SpecPlace, name: str) -> bool:
    if name not in pipeline.nodes:
        report.add("unknown-job", at, f"The pipeline has no node {name}.", did_you_mean(name, pipeline.nodes))
    return name in pipeline.nodes


def _check_node_output(report: Report, node: Node, at: SpecPlace, name: str) -> None:
    if node.interface is not None and name not in node.interface.outputs:
        advice = did_you_mean(name, node.interface.outputs)
        report.add("unknown-port", at, f"The node {node.name} has no output {name}.", advice)


def _check_output(report: Report, pipeline: Pipeline, node: Node, name: str, value: Value) -> None:
    if value.text is None:
        for text in value.texts():
            for binding in bindings_in(text.text or ""):
                if binding.parts[:1] == ("parent",):
                    list(_check_binding(report, pipeline, node, text, binding))
        return
    bindings = bindings_in(value.text)
    reference = bindings[0].reference if len(bindings) == 1 else None
    if not isinstance(reference, ParentOutput):
        message = f"The output {name} can only be bound to an output of the pipeline."
        report.add("bad-binding", value.place, message, "Use ${{parent.outputs.<name>}}.")
        return
    list(_check_binding(report, pipeline, node, value, bindings[0]))
    source = None if node.interface is None else node.interface.outputs.get(name)
    target = pipeline.interface.outputs.get(reference.name)
    if source is not None and target is not None:
        _check_types(report, value.place, source, target)


def _source(pipeline: Pipeline, binding: Binding) -> InputSpec | OutputSpec | None:
    match binding.reference:
        case ParentInput(name):
            return pipeline.interface.inputs.get(name)
        case NodePort(job, name, is_output=True) if job in pipeline.nodes:
            interface = pipeline.nodes[job].interface
            return None if interface is None else interface.outputs.get(name)
    return None


def _check_fit(
    report: Report, at: SpecPlace, source: InputSpec | OutputSpec, target: InputSpec, *, has_known_value: bool
) -> None:
    if isinstance(source, InputSpec) and source.is_optional and source.default is None and target.is_required:
        report.add(
            "optional-to-required",
            at,
            f"The optional pipeline input {source.name} feeds {target.name}, which is required.",
            "Make both optional, or give the pipeline input a default.",
        )
    if target.is_data or not has_known_value:  # a known value is checked itself
        _check_types(report, at, source, target)
    if source.holds and target.holds and not holds_fit(source.holds, target.holds):
        report.add(
            "port-tag-mismatch",
            at,
            f"{source.name} holds {source.holds}, and {target.name} expects {target.holds}.",
            "Connect another output, or insert a component that converts it.",
        )


def _check_types(report: Report, at: SpecPlace, source: InputSpec | OutputSpec, target: InputSpec | OutputSpec) -> None:
    if not types_fit(source.type, target.type):
        rule, message, advice = type_mismatch(source.name, source.type, target.name, target.type)
        report.add(rule, at, message, advice)


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
            report.add("cycle", edge.place, message, "Remove one of these connections.")
        else:
            _follow(report, edge.target, needs, path=[*path, node], done=done)
    done.add(node)


def _check_outputs_bound(report: Report, pipeline: Pipeline) -> None:
    writers: dict[str, str] = {}
    for node in pipeline.nodes.values():
        for text in (text for value in node.outputs.values() for text in value.texts()):
            for binding in bindings_in(text.text or ""):
                if not isinstance(binding.reference, ParentOutput):
                    continue
                name = binding.reference.name
                if name in writers:
                    message = f"The nodes {writers[name]} and {node.name} both write the pipeline output {name}."
                    report.add("output-bound-twice", text.place, message, "Give each an output of its own.")
                writers.setdefault(name, node.name)
    for name in pipeline.interface.outputs.keys() - writers.keys():
        at = pipeline.root.children["outputs"].children[name].key_place
        report.add("unbound-pipeline-output", at, *unbound_output(name))


def _check_inputs_used(report: Report, pipeline: Pipeline) -> None:
    references = (
        binding.reference
        for text in pipeline.root.texts(skipping={"inputs", "description"})
        for binding in bindings_in(text.text or "")
    )
    used = {reference.name.split(".")[0] for reference in references if isinstance(reference, ParentInput)}
    for name in pipeline.interface.inputs:
        if name.split(".")[0] not in used:
            advice = f"Bind an input of a node to ${{{{parent.inputs.{name}}}}}, or remove it."
            at = pipeline.root.children["inputs"].children[name].key_place
            report.add("unused-pipeline-input", at, f"No node uses the pipeline input {name}.", advice)
