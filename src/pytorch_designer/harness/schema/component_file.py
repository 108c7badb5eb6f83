"""Component and job YAML files of SDK v2: their kind, and command components as `CommandSpec`.

What azure-ai-ml refuses is refused here. What it accepts silently although it is wrong is left to the linter, unless
a job could not run.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.bindings import local_command
from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.spec_faults import closest
from pytorch_designer.harness.schema.specification import CommandSpec, Distribution, Resources
from pytorch_designer.harness.schema.vocabulary import OTHER_COMPONENT_KINDS, PARAMETER_TYPES
from pytorch_designer.harness.schema.yaml_fields import Fields, local_path
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.schema.yaml_tree import Value


_JOB_ONLY_KEYS = frozenset({"compute", "experiment_name", "settings", "identity", "services", "limits"})
_COMPONENT_ONLY_KEYS = frozenset({"version", "is_deterministic"})
_COMMAND_KEYS = frozenset({"command", "environment", "code", "inputs", "outputs"})
_GIVEN_KEYS = frozenset({"path", "value"})


class Kind(Enum):
    """Kind of a document that can be checked and run."""

    COMMAND_COMPONENT = "command component"
    COMMAND_JOB = "command job"
    PIPELINE_COMPONENT = "pipeline component"
    PIPELINE_JOB = "pipeline job"
    SWEEP_JOB = "sweep job"

    @property
    def is_pipeline(self) -> bool:
        """True if it consists of nodes."""
        return self in {Kind.PIPELINE_COMPONENT, Kind.PIPELINE_JOB}


def kind_of(root: Value) -> Kind | None:
    """The kind of a document by its `$schema`, `type` and keys; None if it is something else.

    A document that looks like a component or job is one, also where a key of it is misspelled. As in the SDK, its type
    counts, whatever `$schema` says.
    """
    schema, type_name = _word(root, "$schema"), type_of(root)
    if "/sdk-2-0/" in schema or "deployment" in schema or type_name in OTHER_COMPONENT_KINDS:
        return None
    if type_name == "sweep" or (not type_name and "sweepjob" in schema):
        return Kind.SWEEP_JOB
    is_bare = not schema and not type_name
    if type_name == "pipeline" or (not type_name and "pipeline" in schema) or (is_bare and _has_nodes(root)):
        return _pipeline_kind(root, schema)
    if "commandcomponent" in schema or "commandjob" in schema:
        return Kind.COMMAND_JOB if "commandjob" in schema else Kind.COMMAND_COMPONENT
    if type_name == "command" or (is_bare and _looks_like_command(root)):
        return _command_kind(root)
    return None


def type_of(root: Value) -> str:
    """The `type` of a document in lower case; empty if it has none. A misspelled one is the known one."""
    name = _word(root, "type")
    if name in {"", "command", "pipeline"}:
        return name
    return closest(name, ("command", "pipeline")) or name


def is_sweep_job(document: YamlDocument) -> bool:
    """True if a YAML document is a sweep job that stands alone."""
    return kind_of(document.root) is Kind.SWEEP_JOB


def is_pipeline(document: YamlDocument) -> bool:
    """True if a YAML document is a pipeline, not a command component."""
    kind = kind_of(document.root)
    return kind is not None and kind.is_pipeline


def _pipeline_kind(root: Value, schema: str) -> Kind:
    keys = root.children.keys()
    if _COMPONENT_ONLY_KEYS & keys:  # also where $schema says otherwise: the SDK does not look at it
        return Kind.PIPELINE_COMPONENT
    if not schema and any(_declares_parameter(entry) for entry in _entries(root.get("inputs"))):
        return Kind.PIPELINE_COMPONENT
    is_job = "pipelinejob" in schema or "pipelinecomponent" not in schema or ("jobs" in keys and _JOB_ONLY_KEYS & keys)
    return Kind.PIPELINE_JOB if is_job else Kind.PIPELINE_COMPONENT


def _command_kind(root: Value) -> Kind:
    """A component declares its inputs; a job gives them values, or has keys that only jobs have."""
    keys, entries = root.children.keys(), _entries(root.get("inputs"))
    gives_values = any(not entry.is_mapping or _GIVEN_KEYS & entry.children.keys() for entry in entries)
    has_job_keys = _JOB_ONLY_KEYS & keys or ("environment_variables" in keys and "name" not in keys)
    if gives_values or (has_job_keys and not entries and not _COMPONENT_ONLY_KEYS & keys):
        return Kind.COMMAND_JOB
    return Kind.COMMAND_COMPONENT


def _entries(ports: Value | None) -> list[Value]:
    return [] if ports is None else [entry for entry in ports.children.values() if entry.plain is not None]


def _declares_parameter(entry: Value) -> bool:
    """True if a port has the type of a parameter and no value: the input of a job has a value and no such type."""
    return _word(entry, "type") in PARAMETER_TYPES and not _GIVEN_KEYS & entry.children.keys()


def _looks_like_command(root: Value) -> bool:
    """True if there is a command and what goes with it, also where one of the keys is misspelled."""
    known = {closest(key, _COMMAND_KEYS) for key in root.children}
    return "command" in known and len(known - {None}) > 1


def _has_nodes(root: Value) -> bool:
    """True if `jobs` are nodes; workflows of GitHub and Azure DevOps have jobs with `steps`."""
    jobs = root.get("jobs")
    nodes = [] if jobs is None else list(jobs.children.values())
    return any({"component", "command", "trial"} & node.children.keys() for node in nodes)


def _word(root: Value, key: str) -> str:
    value = root.get(key)
    return "" if value is None else (value.text or "").strip().lower()


def read_component(path: Path) -> CommandSpec:
    """Read the command component in the YAML file `path`; paths in it are relative to its folder.

    Raises:
        InvalidSpecError: The file is missing, is not YAML, or is not a usable command component.
        UnsupportedLocallyError: It is another kind of component, or its code is not on this machine.
    """
    return command_spec(read_yaml(path))


def command_spec(document: YamlDocument) -> CommandSpec:
    """The command component in a YAML document; raises as `read_component` does."""
    root = document.mapping()
    kind, type_name = kind_of(root), type_of(root)
    # The SDK reads any file of a command that is named as a component as one, older ones too.
    is_pipeline = type_name == "pipeline" or (kind is not None and kind.is_pipeline) or "jobs" in root.children
    is_flow = kind is None and ({"nodes", "flow"} & root.children.keys() or "flow" in _word(root, "$schema"))
    if type_name in {"", "command"} and not is_pipeline and not is_flow:
        return command_at(root, name=document.path.stem)
    what = kind.value if kind is not None else "prompt flow" if is_flow else ""
    what = what or ("deployment" if "deployment" in _word(root, "$schema") else "")
    raise (root.get("type") or root).key_place.unsupported(
        f"The file holds a {what or f'{type_name} component or job'}; only command components, command jobs and "
        "pipelines can run here.",
        "Name the YAML file of one of them.",
    )


def command_at(value: Value, name: str) -> CommandSpec:
    """The command component in a mapping; `name` is its name if it has none."""
    fields = Fields(value)
    interface = read_interface(value)
    return replace(
        inline_command(value, fields.text("name") or name),
        display_name=fields.text("display_name"),
        environment_variables=fields.texts("environment_variables"),
        distribution=_distribution(fields.fields("distribution")),
        resources=_resources(fields.fields("resources")),
        inputs=interface.inputs,
        outputs=interface.outputs,
    )


def inline_command(value: Value, name: str) -> CommandSpec:
    """Command, code and environment, of a component or of a pipeline node without one."""
    fields = Fields(value)
    environment = value.get("environment")
    return CommandSpec(
        name=name,
        version=fields.text("version"),
        description=fields.text("description") or "",
        command=local_command(fields.required_text("command")),
        code=fields.path("code"),
        additional_includes=tuple(_included(entry) for entry in fields.items("additional_includes")),
        environment=None if environment is None else environment.plain,
        is_deterministic=fields.flag("is_deterministic", default=True),
        source=value.source.path,
    )


def parallel_at(value: Value, name: str) -> CommandSpec:
    """The parallel component in a mapping, without its command, which `node_kinds` makes."""
    interface = read_interface(value)
    return replace(inline_parallel(value, name), inputs=interface.inputs, outputs=interface.outputs)


def inline_parallel(value: Value, name: str) -> CommandSpec:
    """Code and environment of a parallel task, of a component or of a node without one."""
    fields = Fields(value)
    task = fields.fields("task")
    environment = value.get("task", "environment")
    return CommandSpec(
        name=fields.text("name") or name,
        version=fields.text("version"),
        display_name=fields.text("display_name"),
        description=fields.text("description") or "",
        command="",
        code=None if task is None else task.path("code"),
        environment=None if environment is None else environment.plain,
        environment_variables=fields.texts("environment_variables"),
        is_deterministic=fields.flag("is_deterministic", default=True),
        resources=_resources(fields.fields("resources")),
        source=value.source.path,
        definition=value,
    )


def _distribution(fields: Fields | None) -> Distribution | None:
    if fields is None or not fields.mapping.children:
        return None
    azure_name = "process_count_per_node"
    count = azure_name if azure_name in fields.mapping.children else "process_count_per_instance"
    return Distribution(type=fields.required_text("type").lower(), process_count_per_instance=fields.count(count))


def _resources(fields: Fields | None) -> Resources:
    if fields is None:
        return Resources()
    return Resources(instance_count=fields.count("instance_count"), shm_size=fields.text("shm_size"))


def _included(entry: Value) -> Path:
    if entry.is_mapping:
        raise entry.place.unsupported(
            "additional_includes names an artifact of Azure DevOps, which is not on this machine.",
            "Download the artifact and name its folder.",
        )
    if entry.plain is None:
        raise entry.place.error("An entry of additional_includes is empty.")
    return local_path(entry, "additional_includes")
