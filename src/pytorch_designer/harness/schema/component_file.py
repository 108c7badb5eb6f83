"""Command component YAML files (schema commandComponent, SDK v2) as `CommandSpec`.

What azure-ai-ml refuses is refused here. What it accepts silently although it is wrong is left to the linter, unless
a job could not run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.specification import CommandSpec, Distribution, Resources
from pytorch_designer.harness.schema.yaml_fields import Fields, local_path
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.schema.yaml_tree import Value


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
    kind = root.get("type")
    name = str(kind.plain) if kind is not None else "pipeline" if "jobs" in root.children else "command"
    if name != "command":
        raise (root if kind is None else kind).key_place.unsupported(
            f"The file holds a {name} component or job; only command components can run here.",
            "Name the YAML file of a command component.",
        )
    return command_at(root, name=document.path.stem)


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
    """What a component and a pipeline node that has none say alike: the command, its code and its environment."""
    fields = Fields(value)
    environment = value.get("environment")
    return CommandSpec(
        name=name,
        version=fields.text("version"),
        description=fields.text("description") or "",
        command=fields.required_text("command"),
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
    """What a parallel component and a parallel node that has none say alike: the code of the task, its environment."""
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
