"""Command components as plain data, read from YAML or from an azure-ai-ml object.

Everything after the two readers (`component_file`, `azure_objects`) works on these classes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.schema.vocabulary import FILE_TYPES, PARAMETER_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.yaml_tree import Value

Scalar = bool | int | float | str
InputValue = Path | Scalar


@dataclass(frozen=True)
class InputSpec:
    """Input of a component: a parameter (a literal) or a data port (a path).

    Attributes:
        type: One of `PARAMETER_TYPES` or `DATA_TYPES` of `vocabulary`.
        is_optional: Whether a command may leave it out, inside `$[[ ]]`.
        default: The value of a parameter that is not given, or None.
        minimum: Inclusive lower bound, or None.
        maximum: Inclusive upper bound, or None.
        choices: The permitted values (`enum`); empty: any.
        mode: How Azure ML would deliver a data port, for instance `ro_mount`; None: its default.
        holds: What a folder holds, as the component's tag `port.NAME` says, or None.
    """

    name: str
    type: str
    is_optional: bool = False
    default: Scalar | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: tuple[Scalar, ...] = ()
    description: str = ""
    mode: str | None = None
    holds: str | None = None

    @property
    def is_data(self) -> bool:
        """True if the value is a path and not a literal."""
        return self.type not in PARAMETER_TYPES

    @property
    def is_required(self) -> bool:
        """True if a job cannot start without a value for it."""
        return not self.is_optional and self.default is None


@dataclass(frozen=True)
class OutputSpec:
    """Output of a component: data, or a single value, which the job writes as the text of a file.

    Attributes:
        type: One of `PARAMETER_TYPES` or `DATA_TYPES` of `vocabulary`.
        mode: `upload`: delivered when the job has ended; anything else: written live.
        holds: What a folder holds, as the component's tag `port.NAME` says, or None.
    """

    name: str
    type: str = "uri_folder"
    mode: str = "rw_mount"
    description: str = ""
    holds: str | None = None

    @property
    def is_value(self) -> bool:
        """True if it is a single value; see `values.read_output_value`."""
        return self.type in PARAMETER_TYPES

    @property
    def is_file(self) -> bool:
        """True if its path is that of a file, not of a folder."""
        return self.is_value or self.type in FILE_TYPES


@dataclass(frozen=True)
class Interface:
    """Inputs and outputs of a component.

    Attributes:
        type: The component's type: command, pipeline, ...
    """

    type: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, OutputSpec]


@dataclass(frozen=True)
class Distribution:
    """Launcher of the processes of a job.

    Attributes:
        type: `pytorch`, `mpi`, `tensorflow` or `ray`.
        process_count_per_instance: Number of processes per node.
    """

    type: str
    process_count_per_instance: int = 1


@dataclass(frozen=True)
class Resources:
    """Resources of a job.

    Attributes:
        instance_count: Number of nodes.
        shm_size: Size of /dev/shm as Docker writes it (`2g`), or None.
    """

    instance_count: int = 1
    shm_size: str | None = None


@dataclass(frozen=True)
class CommandSpec:
    """Command component, or the command of one node of a pipeline.

    Attributes:
        command: The command line, with its `${{...}}` and `$[[...]]` unresolved.
        code: Folder or file of the code snapshot, absolute; None: the job starts in an empty folder.
        additional_includes: Files and folders that are merged into the snapshot, absolute.
        environment: As written in the file. It is not built locally.
        environment_variables: As written in the file. Azure ML drops those of a component and honours those of a
            node, so a job gets only those of its `JobRequest`.
        timeout_seconds: How long a job may run, or None. Azure ML knows limits of nodes and jobs, not of components.
        is_deterministic: Whether equal inputs give equal outputs, so that a result may be reused.
        source: The file it was read from, or the base folder of an object, absolute.
        definition: The mapping of a parallel component, of which `node_kinds` makes the command; else None.
    """

    name: str
    command: str
    source: Path
    version: str | None = None
    display_name: str | None = None
    description: str = ""
    code: Path | None = None
    additional_includes: tuple[Path, ...] = ()
    environment: Any = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    distribution: Distribution | None = None
    resources: Resources = field(default_factory=Resources)
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    outputs: Mapping[str, OutputSpec] = field(default_factory=dict)
    is_deterministic: bool = True
    timeout_seconds: int | None = None
    definition: Value | None = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """Name for people: the display name, else the name."""
        return self.display_name or self.name

    @property
    def folder(self) -> Path:
        """The folder that relative paths in `environment` start from."""
        return self.source if self.source.is_dir() else self.source.parent

    @property
    def num_processes(self) -> int:
        """Number of processes of the job, over all nodes."""
        per_node = 1 if self.distribution is None else self.distribution.process_count_per_instance
        return per_node * self.resources.instance_count
