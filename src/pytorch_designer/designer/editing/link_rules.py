"""Rules of links: which output may be connected with which input, and why not.

The page has the same rules, so that a link that does not fit is refused while it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.connections import holds_fit
from pytorch_designer.harness.schema.bindings import NodePort, bindings_in
from pytorch_designer.harness.schema.interface import type_mismatch, types_fit
from pytorch_designer.harness.schema.spec_faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.harness.lint.pipeline_model import Node, Pipeline
    from pytorch_designer.harness.schema.specification import InputSpec, OutputSpec
    from pytorch_designer.harness.schema.yaml_tree import Value


@dataclass(frozen=True)
class LinkRefusal:
    """Reason why a link is not made.

    Attributes:
        reason: `no_node`, `no_port`, `no_input`, `types`, `circle` or `taken`.
        message: One sentence.
        advice: What to do instead.
    """

    reason: str
    message: str
    advice: str


@dataclass(frozen=True)
class LinkSource:
    """Source of a link: an output of a node, or an input of the pipeline, which has no node."""

    node: str | None
    port: str

    @property
    def binding(self) -> str:
        """As the pipeline writes it."""
        if self.node is None:
            return f"${{{{parent.inputs.{self.port}}}}}"
        return f"${{{{parent.jobs.{self.node}.outputs.{self.port}}}}}"


def link_refusal(pipeline: Pipeline, source: LinkSource, node: str, port: str) -> LinkRefusal | None:
    """Reason why a source cannot be connected to an input of a node; None if it can.

    Args:
        pipeline: The pipeline as it is.
        source: Source of the link.
        node: The node that it leads to.
        port: The input of that node.
    """
    try:
        given, wanted = _source_port(pipeline, source), _target_port(pipeline, node, port)
    except _UnknownError as error:
        return error.refusal
    refusal = None if given is None or wanted is None else _type_refusal(given, wanted)
    if refusal is None and source.node is not None and source.node in nodes_after(pipeline, node):
        message = f"{source.node} needs {node} already: they would wait for each other."
        if source.node == node:
            message = f"{node} cannot take what it writes itself."
        refusal = LinkRefusal("circle", message, "Remove one of the connections between them first.")
    inputs = pipeline.nodes[node].inputs
    if refusal is None and port in inputs and is_linked(inputs[port]):
        refusal = LinkRefusal("taken", f"{port} of {node} is connected already.", "Remove that connection first.")
    return refusal


def is_linked(value: Value) -> bool:
    """True if what an input is given comes from elsewhere in the pipeline."""
    return any(bindings_in(text.text or "") for text in value.texts())


def nodes_after(pipeline: Pipeline, node: str) -> set[str]:
    """A node, and all that need it."""
    needs = {
        name: {
            binding.reference.node
            for text in other.value.texts(skipping={"component", "trial", "description"})
            for binding in bindings_in(text.text or "")
            if isinstance(binding.reference, NodePort) and binding.reference.is_output
        }
        for name, other in pipeline.nodes.items()
        if other.type_name not in {"if_else", "do_while"}
    }
    found, size = {node}, 0
    while len(found) > size:
        size = len(found)
        found |= {name for name, needed in needs.items() if needed & found}
    return found


def _type_refusal(given: InputSpec | OutputSpec, wanted: InputSpec) -> LinkRefusal | None:
    if not types_fit(given.type, wanted.type):
        _, message, advice = type_mismatch(given.name, given.type, wanted.name, wanted.type)
        return LinkRefusal("types", message, advice)
    if given.holds and wanted.holds and not holds_fit(given.holds, wanted.holds):
        message = f"{given.name} holds {given.holds}, and {wanted.name} expects {wanted.holds}."
        return LinkRefusal("types", message, "Connect another output, or insert a component that converts it.")
    return None


class _UnknownError(Exception):
    def __init__(self, reason: str, message: str, name: str, known: Iterable[str]) -> None:
        super().__init__(message)
        self.refusal = LinkRefusal(reason, message, did_you_mean(name, known))


def _source_port(pipeline: Pipeline, source: LinkSource) -> InputSpec | OutputSpec | None:
    """The port that a link comes from; None where the component is not known."""
    if source.node is None:
        inputs = pipeline.interface.inputs
        if source.port not in inputs:
            raise _UnknownError("no_input", f"The pipeline has no input {source.port}.", source.port, inputs)
        return inputs[source.port]
    interface = _node(pipeline, source.node).interface
    if interface is None:
        return None
    if source.port not in interface.outputs:
        message = f"The node {source.node} has no output {source.port}."
        raise _UnknownError("no_port", message, source.port, interface.outputs)
    return interface.outputs[source.port]


def _target_port(pipeline: Pipeline, node: str, port: str) -> InputSpec | None:
    """The input that a link leads to; None where the component is not known, or the node says itself what it takes."""
    target = _node(pipeline, node)
    if target.interface is None or target.is_inline:
        return None
    if port not in target.interface.inputs:
        message = f"The node {node} has no input {port}."
        raise _UnknownError("no_port", message, port, target.interface.inputs)
    return target.interface.inputs[port]


def _node(pipeline: Pipeline, name: str) -> Node:
    if name not in pipeline.nodes:
        raise _UnknownError("no_node", f"The pipeline has no node {name}.", name, pipeline.nodes)
    return pipeline.nodes[name]
