"""Disabled nodes of a pipeline job, and what a local run leaves out because of them.

    jobs: {score: {component: score.yaml, properties: {designer.disabled: "true"}}}

A disabled node does not run on this machine, nor does what needs its outputs, nor an `if_else` or `do_while` that leads
to it, with all that this one leads to. Faults of these nodes, and of data that only they use, stop no run. Azure ML
keeps the property, does not know what it means, and runs the node.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.bindings import ParentInput, ParentOutput, bindings_in
from pytorch_designer.harness.schema.component_file import Kind, kind_of, type_of
from pytorch_designer.harness.schema.vocabulary import CONTROL_FLOW_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytorch_designer.harness.schema.bindings import Binding
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument

DISABLED = "designer.disabled"
DISABLED_REASON = "disabled"
_NODE_PARTS = 3  # ${{parent.jobs.NODE}}


@dataclass(frozen=True)
class LeftOut:
    """What a local run leaves out of a pipeline job.

    Attributes:
        nodes: Why, in a few words, by node.
        inputs: Inputs of the pipeline that only these nodes use.
        outputs: Outputs of the pipeline that only these nodes write.
    """

    nodes: Mapping[str, str] = field(default_factory=dict)
    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()


def without_disabled_nodes(document: YamlDocument) -> tuple[YamlDocument, LeftOut]:
    """The part of a pipeline job that runs on this machine, and what is left out; other documents stay whole."""
    left_out = find_left_out(document.root)
    if not left_out.nodes:
        return document, left_out
    paths = {("jobs", name) for name in left_out.nodes}
    paths |= {("inputs", name) for name in left_out.inputs} | {("outputs", name) for name in left_out.outputs}
    return replace(document, root=document.root.without(paths)), left_out


def find_left_out(root: Value) -> LeftOut:
    """What a local run leaves out of a pipeline job, because of the nodes that are disabled."""
    jobs = root.get("jobs")
    if jobs is None or kind_of(root) is not Kind.PIPELINE_JOB:
        return LeftOut()
    reasons = {name: DISABLED_REASON for name, node in jobs.children.items() if is_disabled(node)}
    if not reasons:
        return LeftOut()
    bindings = {name: list(_bindings(node)) for name, node in jobs.children.items()}
    controls = {name for name, node in jobs.children.items() if type_of(node) in CONTROL_FLOW_TYPES}
    while found := dict(_next_left_out(reasons, bindings, controls)):
        reasons |= found
    gone = _ports(bindings, reasons)
    kept = _ports(bindings, bindings.keys() - reasons)
    return LeftOut(
        nodes={name: reasons[name] for name in jobs.children if name in reasons},
        inputs=frozenset(name for section, name in gone - kept if section == "inputs"),
        outputs=frozenset(name for section, name in gone - kept if section == "outputs"),
    )


def is_disabled(node: Value) -> bool:
    """True if a node says that it is disabled."""
    written = node.get("properties", DISABLED)
    return written is not None and str(written.plain).lower() == "true"


def _bindings(node: Value) -> Iterator[Binding]:
    """The bindings of a node to the pipeline around it."""
    for text in node.texts(skipping={"component", "trial", "command", "description", "comment"}):
        for binding in bindings_in(text.text or ""):
            if binding.parts[:1] == ("parent",) and len(binding.parts) >= _NODE_PARTS:
                yield binding


def _next_left_out(
    left_out: Mapping[str, str], bindings: Mapping[str, list[Binding]], controls: set[str]
) -> Iterator[tuple[str, str]]:
    """Nodes that are left out because of those that are, each with the reason."""
    for name, own in bindings.items():
        for binding in own:
            node = binding.parts[2] if binding.parts[1] == "jobs" else ""
            is_led_to = len(binding.parts) == _NODE_PARTS
            if name not in left_out and node in left_out:
                yield name, f"{'leads to' if is_led_to else 'needs'} {node}"
            elif name in left_out and name in controls and is_led_to and node in bindings.keys() - left_out:
                yield node, f"{name} leads to it"


def _ports(bindings: Mapping[str, list[Binding]], names: Iterable[str]) -> set[tuple[str, str]]:
    """Inputs and outputs of the pipeline that some of its nodes use and write."""
    found = set()
    for name in names:
        for binding in bindings[name]:
            match binding.reference:
                case ParentInput(port):
                    found.add(("inputs", port.split(".")[0]))
                case ParentOutput(port):
                    found.add(("outputs", port))
    return found
