"""A command component's YAML file (schema commandComponent, SDK v2) as a `CommandSpec`.

Read with PyYAML and not with azure-ai-ml, whose import alone takes longer than many components run. What that SDK
refuses is refused here; what it accepts silently though it is wrong is the linter's business, unless a job
could not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.specification import (
    DATA_TYPES,
    LITERAL_TYPES,
    CommandSpec,
    Distribution,
    InputSpec,
    OutputSpec,
    Resources,
    Scalar,
)
from pytorch_designer.harness.yaml_document import YamlDocument, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeVar

    from pytorch_designer.harness.yaml_document import Key

    T = TypeVar("T")

_NOT_LOCAL = ("azureml:", "azureml://", "git+", "https://", "http://")
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
    reader = _Reader(document, (), document.data)
    _check_type(reader)
    return CommandSpec(
        name=reader.text("name") or document.path.stem,
        version=reader.text("version"),
        display_name=reader.text("display_name"),
        description=reader.text("description") or "",
        command=reader.required_text("command"),
        code=_local_path(reader, "code", reader.data.get("code")),
        additional_includes=_additional_includes(reader),
        environment=reader.data.get("environment"),
        environment_variables=_environment_variables(reader.mapping("environment_variables")),
        distribution=_distribution(reader),
        resources=_resources(reader.mapping("resources")),
        inputs=_ports(reader.mapping("inputs"), _input),
        outputs=_ports(reader.mapping("outputs"), _output),
        is_deterministic=reader.flag("is_deterministic", default=True),
        source=document.path,
    )


class _Reader:
    """One mapping of the file; every fault it finds names the line."""

    def __init__(self, document: YamlDocument, keys: tuple[Key, ...], data: Mapping[Any, Any]) -> None:
        self.document = document
        self.keys = keys
        self.data = data

    def fault(self, what: str, *keys: Key) -> InvalidSpecError:
        return InvalidSpecError(what, where=self.document.where(*self.keys, *keys))

    def text(self, key: str) -> str | None:
        value = self.data.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):  # version: 1, version: 1.0
            return str(value)
        raise self.fault(f"{key} must be a text, not {value!r}.", key)

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None or not value.strip():
            raise self.fault(f"{key} is missing.", key)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.data.get(key, default)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        raise self.fault(f"{key} must be true or false, not {value!r}.", key)

    def count(self, key: str) -> int:
        value = self.data.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.fault(f"{key} must be a whole number of at least 1, not {value!r}.", key)
        return value

    def mapping(self, key: str) -> _Reader:
        value = self.data.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.fault(f"{key} must be a mapping.", key)
        return _Reader(self.document, (*self.keys, key), value or {})


def _check_type(reader: _Reader) -> None:
    kind = reader.data.get("type", "pipeline" if "jobs" in reader.data else "command")
    if kind != "command":
        raise UnsupportedLocallyError(
            f"The file holds a {kind} component or job; only command components can run here.",
            where=reader.document.where("type"),
            advice="Name the YAML file of a command component.",
        )


def _local_path(reader: _Reader, key: str, value: object, *keys: Key) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise reader.fault(f"{key} must be a path, not {value!r}.", key, *keys)
    if value.startswith(_NOT_LOCAL):
        raise UnsupportedLocallyError(
            f"{key} names {value}, which is not on this machine.",
            where=reader.document.where(*reader.keys, key, *keys),
            advice="Check the code out and name its folder.",
        )
    return (reader.document.path.parent / value).resolve()


def _additional_includes(reader: _Reader) -> tuple[Path, ...]:
    entries = reader.data.get("additional_includes") or []
    if not isinstance(entries, list):
        raise reader.fault("additional_includes must be a list of paths.", "additional_includes")
    included = []
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            raise UnsupportedLocallyError(
                "additional_includes names an artifact of Azure DevOps, which is not on this machine.",
                where=reader.document.where(*reader.keys, "additional_includes", index),
                advice="Download the artifact and name its folder.",
            )
        path = _local_path(reader, "additional_includes", entry, index)
        if path is None:
            raise reader.fault("An entry of additional_includes is empty.", "additional_includes", index)
        included.append(path)
    return tuple(included)


def _environment_variables(reader: _Reader) -> dict[str, str]:
    return {str(name): "" if value is None else str(value) for name, value in reader.data.items()}


def _distribution(reader: _Reader) -> Distribution | None:
    entry = reader.mapping("distribution")
    if not entry.data:
        return None
    data = {_AZURE_NAMES.get(key, key): value for key, value in entry.data.items()}
    read = _Reader(entry.document, entry.keys, data)
    return Distribution(
        type=read.required_text("type").lower(), process_count_per_instance=read.count("process_count_per_instance")
    )


def _resources(reader: _Reader) -> Resources:
    return Resources(instance_count=reader.count("instance_count"), shm_size=reader.text("shm_size"))


def _ports(reader: _Reader, read: Callable[[str, _Reader], T]) -> dict[str, T]:
    ports = {}
    for name, entry in reader.data.items():
        if not isinstance(name, str):
            raise reader.fault(f"The name {name!r} is not a text.")
        # Azure ML's short form `name: literal` belongs to jobs; a component's input is a mapping with a type.
        if not isinstance(entry, dict):
            raise reader.fault(f"{name} must be a mapping with a type.", name)
        ports[name] = read(name, _Reader(reader.document, (*reader.keys, name), entry))
    return ports


def _input(name: str, reader: _Reader) -> InputSpec:
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


def _output(name: str, reader: _Reader) -> OutputSpec:
    return OutputSpec(
        name=name,
        type=_port_type(name, reader, DATA_TYPES),
        mode=reader.text("mode") or "rw_mount",
        description=reader.text("description") or "",
    )


def _port_type(name: str, reader: _Reader, known: tuple[str, ...]) -> str:
    kind = reader.required_text("type")
    if kind not in known:
        raise reader.fault(f"{name} has the unknown type {kind!r}; Azure ML knows {', '.join(known)}.", "type")
    return kind


def _scalar(reader: _Reader, key: str) -> Scalar | None:
    value = reader.data.get(key)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise reader.fault(f"{key} must be a single value, not {value!r}.", key)


def _bound(reader: _Reader, key: str) -> int | float | None:
    value = reader.data.get(key)
    if isinstance(value, str):  # YAML 1.1 takes 1e-3 for a text, as it has no dot
        try:
            value = float(value)
        except ValueError:
            raise reader.fault(f"{key} must be a number, not {value!r}.", key) from None
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise reader.fault(f"{key} must be a number, not {value!r}.", key)


def _choices(reader: _Reader) -> tuple[Scalar, ...]:
    value = reader.data.get("enum") or []
    if not isinstance(value, list) or not all(isinstance(item, (bool, int, float, str)) for item in value):
        raise reader.fault("enum must be a list of values.", "enum")
    return tuple(value)
