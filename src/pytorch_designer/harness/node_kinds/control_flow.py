"""Nodes that decide about others: `if_else` and `do_while`.

    if_else:  {condition: ${{parent.jobs.check.outputs.is_good}}, true_block: ${{parent.jobs.a}}, false_block: [...]}
    do_while: {body: ${{parent.jobs.step}}, condition: ${{parent.jobs.step.outputs.again}},
               mapping: {${{parent.jobs.step.outputs.x}}: ${{parent.jobs.step.inputs.x}}},
               limits: {max_iteration_count: 10}}

A condition is true where its value is `True`. A loop ends after the first round whose condition is not true. An output
of its body that is mapped to an input becomes that input in the next round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.bindings import NodePort, lone_binding
from pytorch_designer.harness.schema.pipeline_specification import Given
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
    from pytorch_designer.harness.schema.yaml_tree import Value

MAX_ITERATIONS = 1000
_KEYS = {
    "if_else": frozenset({"type", "condition", "true_block", "false_block", "_source", "name"}),
    "do_while": frozenset({"type", "body", "condition", "mapping", "limits", "_source", "name"}),
}


@dataclass(frozen=True)
class Branch:
    """An `if_else` node.

    Attributes:
        blocks: Whether a node of the pipeline is in the block for true, by its name.
    """

    name: str
    place: SpecPlace
    condition: Given
    blocks: Mapping[str, bool]


@dataclass(frozen=True)
class Loop:
    """A `do_while` node.

    Attributes:
        body: The node that is repeated.
        condition: The output of the body that decides, or None: it is repeated as often as the limit says.
        mapping: The output of the last round that becomes an input of the next, by input.
        max_iterations: The largest number of rounds, with the first.
    """

    name: str
    place: SpecPlace
    body: str
    condition: str | None
    mapping: Mapping[str, str]
    max_iterations: int


def read_controls(controls: Mapping[str, Value], faults: FaultCollector) -> tuple[list[Branch], list[Loop]]:
    """The `if_else` and `do_while` nodes of a pipeline; faults are collected."""
    branches: list[Branch] = []
    loops: list[Loop] = []
    for name, value in controls.items():
        with faults.collecting():
            fields = Fields(value)
            kind = str(value.children["type"].plain).lower()
            _check_keys(name, value, kind)
            if kind == "if_else":
                branches.append(_branch(name, fields))
            else:
                loops.append(_loop(name, fields))
    return branches, loops


def _check_keys(name: str, value: Value, kind: str) -> None:
    for key, entry in value.children.items():
        if key not in _KEYS[kind]:
            known = ", ".join(sorted(_KEYS[kind] - {"_source"}))
            raise entry.key_place.error(f"{name}, of type {kind}, has no {key}.", f"It has {known}.")


def _branch(name: str, fields: Fields) -> Branch:
    condition = fields.get("condition")
    if condition is None or not isinstance(condition.plain, (str, bool)):
        raise (condition or fields.mapping).key_place.error(
            f"{name} has no condition.", "Bind it to an output of type boolean, or to an input of the pipeline."
        )
    text = str(condition.plain)
    if not text.lstrip().startswith("${{") and text.lower() not in {"true", "false"}:
        raise condition.place.error(f"The condition of {name} is {text}; it must be a binding, true or false.")
    blocks: dict[str, bool] = {}
    for key, is_true in (("true_block", True), ("false_block", False)):
        for entry in _entries(fields, key):
            node = _node(entry, name)
            if blocks.setdefault(node, is_true) is not is_true:
                raise entry.place.error(f"{node} is in both blocks of {name}.")
    if not blocks:
        raise fields.mapping.key_place.error(f"{name} has neither a true_block nor a false_block.")
    return Branch(name, fields.mapping.key_place, Given(text, place=condition.place), blocks)


def _loop(name: str, fields: Fields) -> Loop:
    value = fields.get("body")
    if value is None:
        raise fields.mapping.key_place.error(f"{name} has no body.", "Write `body: ${{parent.jobs.NODE}}`.")
    body = _node(value, name)
    condition = fields.get("condition")
    mapping: dict[str, str] = {}
    for key, targets in fields.entries("mapping").items():
        for target in targets.entries or [targets]:
            mapping[_port(target.text, body, "inputs", target.place)] = _port(key, body, "outputs", targets.key_place)
    limits = fields.fields("limits")
    if limits is None or limits.get("max_iteration_count") is None:
        raise fields.mapping.key_place.error(
            f"{name} has no limits.max_iteration_count.", "Write `limits: {max_iteration_count: 10}`."
        )
    count = limits.count("max_iteration_count")
    if count > MAX_ITERATIONS:
        raise limits.mapping.children["max_iteration_count"].place.error(
            f"max_iteration_count is {count:,}; Azure ML allows {MAX_ITERATIONS:,}."
        )
    return Loop(
        name,
        fields.mapping.key_place,
        body=body,
        condition=None if condition is None else _port(condition.text, body, "outputs", condition.place),
        mapping=mapping,
        max_iterations=count,
    )


def _entries(fields: Fields, key: str) -> list[Value]:
    value = fields.get(key)
    if value is None:
        return []
    return value.entries if isinstance(value.plain, list) else [value]


def _node(value: Value, owner: str) -> str:
    """The node in `${{parent.jobs.NODE}}`."""
    binding = lone_binding(value.text or "")
    if binding is None or binding.parts[:2] != ("parent", "jobs") or len(binding.parts) != 3:
        raise value.place.error(f"{value.shown_text} in {owner} is not a node.", "Write ${{parent.jobs.NODE}}.")
    return binding.parts[2]


def _port(text: str | None, node: str, side: str, place: SpecPlace) -> str:
    """The port in `${{parent.jobs.NODE.outputs.PORT}}`, or its bare name, as objects of the SDK have it."""
    if text is not None and "${{" not in text:
        return text
    binding = lone_binding(text or "")
    reference = None if binding is None else binding.reference
    if not isinstance(reference, NodePort) or reference.node != node or reference.is_output is not (side == "outputs"):
        raise place.error(
            f"{text} is not one of the {side} of the body, {node}.", f"Write ${{{{parent.jobs.{node}.{side}.NAME}}}}."
        )
    return reference.name
