"""A pipeline as plain data, whether it was read from YAML or from an azure-ai-ml object.

The texts in it still have their bindings (`${{parent.inputs.x}}`); `pipeline_plan` resolves them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec, OutputSpec


@dataclass(frozen=True)
class Given:
    """What is given to one input.

    Attributes:
        text: A literal as text (`True`, `0.001`), a path, a registered name, or a text with bindings. A local path is
            absolute.
        is_path: Whether it was written as the path of data, and not as a literal.
    """

    text: str
    is_path: bool = False


@dataclass(frozen=True)
class PipelineSettings:
    """What holds for all nodes of a pipeline job.

    Attributes:
        continue_on_step_failure: Whether nodes that do not depend on a failed one go on.
        force_rerun: Whether no node is reused.
        default_compute: Where nodes run that do not say it. It has no meaning locally.
    """

    continue_on_step_failure: bool = True
    force_rerun: bool = False
    default_compute: str | None = None


@dataclass(frozen=True)
class NodeSpec:
    """One node of a pipeline.

    Attributes:
        name: Its key among the jobs of the pipeline.
        component: What it runs, as it is defined, without what the node changes.
        where: File and line, or folder, for messages.
        inputs: What is given, by input; those of a group as `group.name`.
        bound_outputs: The output of the pipeline that each output is written as.
        output_modes: Modes that the node sets, by output.
        environment_variables: Values with bindings.
        resources: What the node sets, by name; values are texts with bindings.
        distribution: Likewise.
        environment: The environment in place of the component's, or None.
        compute: Where it would run on Azure ML. It has no meaning locally.
    """

    name: str
    component: CommandSpec | PipelineSpec
    where: str
    inputs: Mapping[str, Given] = field(default_factory=dict)
    bound_outputs: Mapping[str, str] = field(default_factory=dict)
    output_modes: Mapping[str, str] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    distribution: Mapping[str, str] = field(default_factory=dict)
    environment: object = None
    compute: str | None = None


@dataclass(frozen=True)
class PipelineSpec:
    """A pipeline job or a pipeline component.

    Attributes:
        source: The file it was read from, or the base folder of an object, absolute.
        nodes: By name, in the order in which they were written.
        inputs: Its inputs. Literals of a job have the type `string`: the inputs that they go to check them.
        outputs: Its outputs.
        given: A job's own values for its inputs.
        given_outputs: Local folders that a job names for its outputs, absolute.
        experiment_name: The MLflow experiment, or None.
    """

    name: str
    source: Path
    nodes: Mapping[str, NodeSpec]
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    given: Mapping[str, Given] = field(default_factory=dict)
    given_outputs: Mapping[str, Path] = field(default_factory=dict)
    settings: PipelineSettings = field(default_factory=PipelineSettings)
    display_name: str | None = None
    experiment_name: str | None = None

    @property
    def label(self) -> str:
        """What a person calls it: the display name, else the name."""
        return self.display_name or self.name
