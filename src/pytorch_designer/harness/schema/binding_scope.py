"""What the bindings in one pipeline stand for, down to literals, paths, and outputs of command nodes.

A nested pipeline is a scope of its own: its inputs are what its node was given, in the scope around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, parse_text
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.schema.assets import Assets
    from pytorch_designer.harness.schema.bindings import Part
    from pytorch_designer.harness.schema.pipeline_specification import Given, NodeSpec
    from pytorch_designer.harness.schema.specification import Scalar


@dataclass(frozen=True)
class OutputOf:
    """An output of a command node, which is there when the node has run.

    Attributes:
        node: The node's name, after those of the nodes around it: `outer.inner`.
        name: The port's name.
        type: The port's type.
    """

    node: str
    name: str
    type: str

    @property
    def port(self) -> tuple[str, str]:
        """The node's name and the port's."""
        return self.node, self.name


@dataclass(frozen=True)
class Source:
    """A value as far as it is known before the pipeline runs: texts and outputs, to be put together.

    Attributes:
        is_path: Whether it is a path of data, and not a literal.
    """

    parts: tuple[str | OutputOf, ...]
    is_path: bool = False

    @property
    def outputs(self) -> tuple[OutputOf, ...]:
        """The outputs that it needs."""
        return tuple(part for part in self.parts if isinstance(part, OutputOf))

    def text(self, paths: Mapping[tuple[str, str], Path]) -> str:
        """The value, once the outputs that it needs have the given paths, by `OutputOf.port`."""
        return "".join(str(paths[part.port]) if isinstance(part, OutputOf) else part for part in self.parts)

    def path(self, paths: Mapping[tuple[str, str], Path]) -> Path:
        """The value as a path."""
        return Path(self.text(paths))


class Scope:
    """One pipeline, with what its inputs stand for.

    Args:
        pipeline: The pipeline.
        prefix: What the names of its nodes begin with.
        values: By input; None for an optional input without a value.
        assets: Where registered data is.
    """

    def __init__(
        self, pipeline: PipelineSpec, prefix: str, values: Mapping[str, Source | None], assets: Assets
    ) -> None:
        self._pipeline = pipeline
        self._prefix = prefix
        self._values = values
        self._assets = assets

    def resolve(self, given: Given, where: str) -> Source | None:
        """What `given` stands for; None where it is bound to an optional input without a value.

        Raises:
            InvalidSpecError: A binding is malformed, or refers to what does not exist.
            UnsupportedLocallyError: It is registered data that is not on this machine.
        """
        return self._resolve(given, where, ())

    def _resolve(self, given: Given, where: str, visited: tuple[NodePort, ...]) -> Source | None:
        parts = parse_text(given.text, where)
        if given.is_path and is_reference(given.text):
            return Source((str(self._assets.find(given.text, where)),), is_path=True)
        sources: list[Source] = []
        for part in parts:
            source = self._part(part, where, visited)
            if source is None:
                if len(parts) == 1:
                    return None
                raise InvalidSpecError(f"{given.text} is bound to an optional input without a value.", where=where)
            sources.append(source)
        return Source(
            tuple(part for source in sources for part in source.parts),
            is_path=given.is_path or any(source.is_path for source in sources),
        )

    def _part(self, part: Part, where: str, visited: tuple[NodePort, ...]) -> Source | None:
        if isinstance(part, str):
            return Source((part,))
        if isinstance(part, ParentInput):
            if part.name not in self._values:
                raise _unknown(f"The pipeline has no input {part.name}", self._values, where)
            return self._values[part.name]
        node = self._pipeline.nodes.get(part.node)
        if node is None:
            raise _unknown(f"The pipeline has no node {part.node}", self._pipeline.nodes, where)
        if part.is_output:
            return Source((leaf_output(node, part.name, self._prefix, where),), is_path=True)
        return self._input_of_node(node, part, where, (*visited, part))

    def _input_of_node(
        self, node: NodeSpec, part: NodePort, where: str, visited: tuple[NodePort, ...]
    ) -> Source | None:
        if visited.count(part) > 1:
            raise InvalidSpecError(f"The input {part.name} of {part.node} is bound to itself.", where=where)
        if part.name not in node.component.inputs:
            raise _unknown(f"The node {part.node} has no input {part.name}", node.component.inputs, where)
        if part.name not in node.inputs:
            return _literal(node.component.inputs[part.name].default)
        return self._resolve(node.inputs[part.name], where, visited)


def leaf_output(node: NodeSpec, name: str, prefix: str, where: str) -> OutputOf:
    """The output of a command node that the output `name` of `node` is, which may be a nested pipeline.

    Raises:
        InvalidSpecError: There is no such output, or no node of the nested pipeline writes it.
    """
    component = node.component
    if name not in component.outputs:
        raise _unknown(f"The node {node.name} has no output {name}", component.outputs, where)
    if not isinstance(component, PipelineSpec):
        return OutputOf(f"{prefix}{node.name}", name, component.outputs[name].type)
    for inner in component.nodes.values():
        for port, bound in inner.bound_outputs.items():
            if bound == name:
                return leaf_output(inner, port, f"{prefix}{node.name}.", where)
    raise InvalidSpecError(f"No node of {node.name} writes its output {name}.", where=where)


def _literal(value: Scalar | None) -> Source | None:
    return None if value is None else Source((str(value),))


def _unknown(what: str, known: Iterable[str], where: str) -> InvalidSpecError:
    names = ", ".join(known)
    return InvalidSpecError(f"{what}; there {'are: ' + names if names else 'is none'}.", where=where)
