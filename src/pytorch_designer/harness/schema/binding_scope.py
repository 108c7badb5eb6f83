"""Resolution of the bindings in a pipeline to literals, paths and outputs of command nodes.

A nested pipeline is a scope of its own: its inputs are what its node was given in the scope around it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, lone_binding, parse_text
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
from pytorch_designer.harness.schema.specification import OutputSpec
from pytorch_designer.harness.schema.values import read_output_value
from pytorch_designer.harness.schema.vocabulary import PARAMETER_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.errors import DesignerError
    from pytorch_designer.harness.schema.assets import Assets
    from pytorch_designer.harness.schema.bindings import Part
    from pytorch_designer.harness.schema.pipeline_specification import Given, NodeSpec
    from pytorch_designer.harness.schema.spec_faults import SpecPlace
    from pytorch_designer.harness.schema.specification import InputSpec, Scalar


@dataclass(frozen=True)
class OutputOf:
    """Output of a command node, which exists once the node has run.

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

    @property
    def is_value(self) -> bool:
        """True if it is a single value, which the node writes as the text of a file."""
        return self.type in PARAMETER_TYPES

    def text(self, path: Path) -> str:
        """The value of a binding to it: the path of data, or the value that is written there."""
        return str(read_output_value(OutputSpec(self.name, self.type), path)) if self.is_value else str(path)


@dataclass(frozen=True)
class Source:
    """Value as far as it is known before the pipeline runs: texts and outputs, to be joined.

    Attributes:
        is_path: Whether it is a path of data, not a literal.
        place: Where it is written, at the end of all bindings; None if that is not known.
    """

    parts: tuple[str | OutputOf, ...]
    is_path: bool = False
    place: SpecPlace | None = field(default=None, compare=False)

    @property
    def outputs(self) -> tuple[OutputOf, ...]:
        """The outputs that it needs."""
        return tuple(part for part in self.parts if isinstance(part, OutputOf))

    def text(self, paths: Mapping[tuple[str, str], Path]) -> str:
        """The value, given the paths of the outputs that it needs, by `OutputOf.port`."""
        return "".join(part.text(paths[part.port]) if isinstance(part, OutputOf) else part for part in self.parts)

    def path(self, paths: Mapping[tuple[str, str], Path]) -> Path:
        """The value as a path."""
        return Path(self.text(paths))


UNKNOWN = Source(("",))  # a value that is at fault; what is bound to it is not


class Scope:
    """Scope of one pipeline, with the values of its inputs.

    Args:
        pipeline: The pipeline.
        prefix: Prefix of the names of its nodes.
        values: By input; None for an optional input without a value, `UNKNOWN` for one that is at fault.
        assets: Where registered data is.
    """

    def __init__(
        self, pipeline: PipelineSpec, prefix: str, values: Mapping[str, Source | None], assets: Assets
    ) -> None:
        self._pipeline = pipeline
        self._prefix = prefix
        self._values = values
        self._assets = assets

    def resolve(self, given: Given, place: SpecPlace) -> Source | None:
        """The value of `given`; None if it is bound to an optional input without a value, `UNKNOWN` to one at fault.

        Raises:
            InvalidSpecError: A binding is malformed, or refers to what does not exist.
            UnsupportedLocallyError: It is registered data that is not on this machine.
        """
        return self._resolve(given, place, ())

    def declared(self, given: Given) -> InputSpec | None:
        """The input of the pipeline that `given` is bound to, and nothing else; else None."""
        binding = lone_binding(given.text)
        reference = None if binding is None else binding.reference
        return self._pipeline.inputs.get(reference.name) if isinstance(reference, ParentInput) else None

    def _resolve(self, given: Given, place: SpecPlace, visited: tuple[NodePort, ...]) -> Source | None:
        parts = parse_text(given.text, place)
        if given.is_path and is_reference(given.text):
            return Source((str(self._assets.find(given.text, place)),), is_path=True)
        sources: list[Source] = []
        for part in parts:
            source = self._part(part, place, visited)
            if source is None:
                if len(parts) == 1:
                    return None
                raise place.error(f"{given.text} is bound to an optional input without a value.")
            sources.append(source)
        if any(source is UNKNOWN for source in sources):
            return UNKNOWN
        return Source(
            tuple(part for source in sources for part in source.parts),
            is_path=given.is_path or any(source.is_path for source in sources),
            place=sources[0].place if len(sources) == 1 and not isinstance(parts[0], str) else given.place,
        )

    def _part(self, part: Part, place: SpecPlace, visited: tuple[NodePort, ...]) -> Source | None:
        if isinstance(part, str):
            return Source((part,))
        if isinstance(part, ParentInput):
            if part.name not in self._values:
                raise _unknown(f"The pipeline has no input {part.name}", self._values, place)
            return self._values[part.name]
        node = self._pipeline.nodes.get(part.node)
        if node is None:
            raise _unknown(f"The pipeline has no node {part.node}", self._pipeline.nodes, place)
        if part.is_output:
            output = leaf_output(node, part.name, self._prefix, place)
            return Source((output,), is_path=not output.is_value)
        return self._input_of_node(node, part, place, (*visited, part))

    def _input_of_node(
        self, node: NodeSpec, part: NodePort, place: SpecPlace, visited: tuple[NodePort, ...]
    ) -> Source | None:
        if visited.count(part) > 1:
            raise place.error(f"The input {part.name} of {part.node} is bound to itself.")
        if part.name not in node.component.inputs:
            raise _unknown(f"The node {part.node} has no input {part.name}", node.component.inputs, place)
        if part.name not in node.inputs:
            return _literal(node.component.inputs[part.name].default)
        return self._resolve(node.inputs[part.name], place, visited)


def leaf_output(node: NodeSpec, name: str, prefix: str, place: SpecPlace) -> OutputOf:
    """The output of a command node behind the output `name` of `node`, which may be a nested pipeline.

    Raises:
        InvalidSpecError: There is no such output, or no node of the nested pipeline writes it.
    """
    component = node.component
    if name not in component.outputs:
        raise _unknown(f"The node {node.name} has no output {name}", component.outputs, place)
    if not isinstance(component, PipelineSpec):
        return OutputOf(f"{prefix}{node.name}", name, component.outputs[name].type)
    for inner in component.nodes.values():
        for port, bound in inner.bound_outputs.items():
            if bound == name:
                return leaf_output(inner, port, f"{prefix}{node.name}.", place)
    raise place.error(f"No node of {node.name} writes its output {name}.")


def _literal(value: Scalar | None) -> Source | None:
    return None if value is None else Source((str(value),))


def _unknown(what: str, known: Iterable[str], place: SpecPlace) -> DesignerError:
    names = ", ".join(known)
    return place.error(f"{what}; there {'are: ' + names if names else 'is none'}.")
