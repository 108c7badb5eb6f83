"""A command component's YAML file (schema commandComponent, SDK v2) as a `CommandSpec`.

Read with PyYAML and not with azure-ai-ml, whose import alone takes longer than many components run. What that SDK
refuses is refused here; what it accepts silently though it is wrong is the linter's business, unless a job
could not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.schema.specification import (
    DATA_TYPES,
    LITERAL_TYPES,
    CommandSpec,
    Distribution,
    InputSpec,
    OutputSpec,
    Resources,
    Scalar,
)
from pytorch_designer.harness.schema.yaml_document import YamlDocument, read_yaml
from pytorch_designer.harness.schema.yaml_section import Section

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeVar

    T = TypeVar("T")

_AZURE_NAMES = {"process_count_per_node": "process_count_per_instance"}


def read_component(path: Path) -> CommandSpec:
    """Read the command component in the YAML file `path`; paths in it are relative to its folder.

    Raises:
        InvalidSpecError: The file is missing, is not YAML, or is not a usable command component.
        UnsupportedLocallyError: It is another kind of component, or its code is not on this machine.
    """
    return command_spec(read_yaml(path))


def command_spec(document: YamlDocument) -> CommandSpec:
    """The command component that a YAML file holds; raises as `read_component` does."""
    section = Section.whole(document)
    _check_type(section)
    return command_at(section, name=document.path.stem)


def command_at(reader: Section, name: str) -> CommandSpec:
    """The command component that one mapping of a YAML file holds; `name` is its name where it says none."""
    return CommandSpec(
        name=reader.text("name") or name,
        version=reader.text("version"),
        display_name=reader.text("display_name"),
        description=reader.text("description") or "",
        command=reader.required_text("command"),
        code=reader.local_path("code", reader.data.get("code")),
        additional_includes=_additional_includes(reader),
        environment=reader.data.get("environment"),
        environment_variables=_environment_variables(reader),
        distribution=_distribution(reader),
        resources=_resources(reader),
        inputs=_ports(reader.mapping("inputs"), read_input),
        outputs=_ports(reader.mapping("outputs"), read_output),
        is_deterministic=reader.flag("is_deterministic", default=True),
        source=reader.document.path,
    )


def _ports(reader: Section, read: Callable[[str, Section], T]) -> dict[str, T]:
    """The ports in one section, each read by `read`, which gets its name and its mapping."""
    ports = {}
    for name, entry in reader.data.items():
        if not isinstance(name, str):
            raise reader.fault(f"The name {name!r} is not a text.")
        # Azure ML's short form `name: literal` belongs to jobs; a component's input is a mapping with a type.
        if not isinstance(entry, dict):
            raise reader.fault(f"{name} must be a mapping with a type.", name)
        ports[name] = read(name, Section(reader.document, (*reader.keys, name), entry))
    return ports


def read_input(name: str, reader: Section) -> InputSpec:
    """One input port."""
    kind = _port_type(name, reader, (*LITERAL_TYPES, *DATA_TYPES))
    return InputSpec(
        name=name,
        type=kind,
        is_optional=reader.flag("optional", default=False),
        default=_scalar(reader, "default"),
        minimum=_bound(reader, "min"),
        maximum=_bound(reader, "max"),
        choices=_choices(reader),
        description=reader.text("description") or "",
        mode=reader.text("mode"),
    )


def read_output(name: str, reader: Section) -> OutputSpec:
    """One output port."""
    return OutputSpec(
        name=name,
        type=_port_type(name, reader, DATA_TYPES),
        mode=reader.text("mode") or "rw_mount",
        description=reader.text("description") or "",
    )


def _distribution(reader: Section) -> Distribution | None:
    """The entry `distribution` of a component or node."""
    entry = reader.mapping("distribution")
    if not entry.data:
        return None
    data = {_AZURE_NAMES.get(key, key): value for key, value in entry.data.items()}
    read = Section(entry.document, entry.keys, data)
    return Distribution(
        type=read.required_text("type").lower(), process_count_per_instance=read.count("process_count_per_instance")
    )


def _resources(reader: Section) -> Resources:
    """The entry `resources` of a component or node."""
    entry = reader.mapping("resources")
    return Resources(instance_count=entry.count("instance_count"), shm_size=entry.text("shm_size"))


def _environment_variables(reader: Section) -> dict[str, str]:
    """The entry `environment_variables` of a component or node."""
    entries = reader.mapping("environment_variables").data
    return {str(name): "" if value is None else str(value) for name, value in entries.items()}


def _check_type(reader: Section) -> None:
    kind = reader.data.get("type", "pipeline" if "jobs" in reader.data else "command")
    if kind != "command":
        raise UnsupportedLocallyError(
            f"The file holds a {kind} component or job; only command components can run here.",
            where=reader.where("type"),
            advice="Name the YAML file of a command component.",
        )


def _additional_includes(reader: Section) -> tuple[Path, ...]:
    entries = reader.data.get("additional_includes") or []
    if not isinstance(entries, list):
        raise reader.fault("additional_includes must be a list of paths.", "additional_includes")
    included = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            raise UnsupportedLocallyError(
                "additional_includes names an artifact of Azure DevOps, which is not on this machine.",
                where=reader.where("additional_includes", index),
                advice="Download the artifact and name its folder.",
            )
        path = reader.local_path("additional_includes", entry, index)
        if path is None:
            raise reader.fault("An entry of additional_includes is empty.", "additional_includes", index)
        included.append(path)
    return tuple(included)


def _port_type(name: str, reader: Section, known: tuple[str, ...]) -> str:
    kind = reader.required_text("type")
    if kind not in known:
        raise reader.fault(f"{name} has the unknown type {kind!r}; Azure ML knows {', '.join(known)}.", "type")
    return kind


def _scalar(reader: Section, key: str) -> Scalar | None:
    value = reader.data.get(key)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise reader.fault(f"{key} must be a single value, not {value!r}.", key)


def _bound(reader: Section, key: str) -> int | float | None:
    value = reader.data.get(key)
    if isinstance(value, str):  # YAML 1.1 takes 1e-3 for a text, as it has no dot
        try:
            value = float(value)
        except ValueError:
            raise reader.fault(f"{key} must be a number, not {value!r}.", key) from None
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise reader.fault(f"{key} must be a number, not {value!r}.", key)


def _choices(reader: Section) -> tuple[Scalar, ...]:
    value = reader.data.get("enum") or []
    if not isinstance(value, list) or not all(isinstance(item, (bool, int, float, str)) for item in value):
        raise reader.fault("enum must be a list of values.", "enum")
    return tuple(value)
