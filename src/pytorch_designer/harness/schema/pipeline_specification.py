"""Pipelines as plain data, read from YAML or from an azure-ai-ml object.

Texts keep their bindings (`${{parent.inputs.x}}`); `pipeline_plan` resolves them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.bindings import NodePort, ParentInput, parse_text
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.specification import InputSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.specification import CommandSpec, OutputSpec
    from pytorch_designer.harness.schema.yaml_tree import Value


@dataclass(frozen=True)
class Given:
    """Value given to an input.

    Attributes:
        text: A literal as text (`True`, `0.001`), a path, a registered name, or a text with bindings. A local path is
            absolute.
        is_path: Whether it was written as a path of data, not as a literal.
        place: Where it is written, or None if that is not known.
        key_place: Where its name is written, likewise.
    """

    text: str
    is_path: bool = False
    place: SpecPlace | None = field(default=None, compare=False)
    key_place: SpecPlace | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PipelineSettings:
    """Settings of a pipeline job.

    Attributes:
        continue_on_step_failure: Whether nodes that do not depend on a failed one go on.
        force_rerun: Whether every node runs even if its result could be reused.
        default_compute: Compute of nodes that name none. It has no meaning locally.
    """

    continue_on_step_failure: bool = True
    force_rerun: bool = False
    default_compute: str | None = None


@dataclass(frozen=True)
class NodeSpec:
    """Node of a pipeline.

    Attributes:
        name: Its key among the jobs of the pipeline.
        component: Its component, without what the node overrides. That of a sweep is its trial; that of a parallel
            node has no command, since `node_kinds` makes it.
        place: Where it is defined.
        inputs: Given values by input; inputs of a group are called `group.name`.
        bound_outputs: The pipeline output that each output is bound to.
        output_modes: Modes that the node sets, by output.
        environment_variables: Values with bindings.
        resources: Overrides by name; values are texts with bindings.
        distribution: Likewise.
        limits: Likewise; `timeout` is in seconds.
        environment: The environment instead of the component's, or None.
        compute: Compute on Azure ML. It has no meaning locally.
        kind: `command`, `pipeline`, `sweep` or `parallel`.
        definition: The mapping of a sweep or parallel node, which `node_kinds` reads; else None.
    """

    name: str
    component: CommandSpec | PipelineSpec
    place: SpecPlace
    inputs: Mapping[str, Given] = field(default_factory=dict)
    bound_outputs: Mapping[str, str] = field(default_factory=dict)
    output_modes: Mapping[str, str] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    distribution: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    environment: object = None
    compute: str | None = None
    kind: str = "command"
    definition: Value | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PipelineSpec:
    """Pipeline job or pipeline component.

    Attributes:
        source: The file it was read from, or the base folder of an object, absolute.
        nodes: By name, in the order in which they were written.
        controls: The mappings of its `if_else` and `do_while` nodes by name; see `node_kinds.control_flow`.
        inputs: Its inputs. Literals of a job have the type `string`; the inputs that get them check them.
        outputs: Its outputs.
        places: Where its inputs and outputs are declared, by `("inputs", name)` and `("outputs", name)`.
        given: Values that a job gives to its inputs.
        given_outputs: Local folders that a job names for its outputs, absolute.
        experiment_name: The MLflow experiment, or None.
    """

    name: str
    source: Path
    nodes: Mapping[str, NodeSpec]
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    places: Mapping[tuple[str, str], SpecPlace] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)
    given_outputs: Mapping[str, Path] = field(default_factory=dict)
    settings: PipelineSettings = field(default_factory=PipelineSettings)
    display_name: str | None = None
    experiment_name: str | None = None
    controls: Mapping[str, Value] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        """Name for people: the display name, else the name."""
        return self.display_name or self.name

    def place_of(self, section: str, name: str) -> SpecPlace:
        """Place at which an input or output is declared; without a line where that is not known."""
        return self.places.get((section, name)) or SpecPlace(str(self.source), keys=(section, name))

    def run_by(self, job: PipelineSpec) -> PipelineSpec:
        """This component as the pipeline of a job that does no more than run it."""
        return replace(
            self,
            given=job.given,
            given_outputs=job.given_outputs,
            settings=job.settings,
            display_name=job.display_name or self.display_name,
            experiment_name=job.experiment_name,
        )


COMMAND_JOB_NODE = "job"


def one_node_pipeline(job: PipelineSpec, node: NodeSpec) -> PipelineSpec:
    """A command job as a pipeline of one node: the ports of both are the same."""
    bound = {
        name: Given(f"${{{{parent.inputs.{name}}}}}", place=given.place, key_place=given.key_place)
        for name, given in node.inputs.items()
    }
    return replace(
        job, nodes={node.name: replace(node, inputs=bound, bound_outputs={name: name for name in job.outputs})}
    )


def inferred_input(port: str, given: Given, node: NodeSpec, pipeline: PipelineSpec) -> InputSpec:
    """The input of a node without a component: what it is given says its type."""
    try:
        parts = parse_text(given.text, node.place)
    except InvalidSpecError:  # reported when the bindings are resolved
        return InputSpec(port, "string")
    source = _source_of(parts[0], pipeline) if parts else None
    if source is None or (isinstance(source, InputSpec) and not source.is_data and len(parts) > 1):
        return InputSpec(port, "path" if given.is_path else "string")
    if len(parts) > 1:  # a part of a folder, which may be a file
        return InputSpec(port, "path")
    is_optional = isinstance(source, InputSpec) and not source.is_required
    return InputSpec(port, source.type, is_optional=is_optional)


def _source_of(part: object, pipeline: PipelineSpec) -> InputSpec | OutputSpec | None:
    if isinstance(part, ParentInput):
        return pipeline.inputs.get(part.name)
    if isinstance(part, NodePort) and part.node in pipeline.nodes:
        component = pipeline.nodes[part.node].component
        return component.outputs.get(part.name) if part.is_output else component.inputs.get(part.name)
    return None
