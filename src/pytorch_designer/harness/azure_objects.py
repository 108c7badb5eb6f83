"""azure-ai-ml objects as the plain data of `specification`: the only module that knows that SDK's classes.

It is not imported here either: whoever has an object has imported it, and only public attributes are read.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.specification import CommandSpec, Distribution, InputSpec, OutputSpec, Resources

_ANONYMOUS = "CliV2AnonymousEnvironment"
_ENVIRONMENT_FIELDS = ("name", "version", "image", "conda_file", "build")


def command_component(component: Any) -> CommandSpec:
    """What `azure.ai.ml.load_component` or `azure.ai.ml.command(...).component` gave, as a `CommandSpec`.

    Raises:
        UnsupportedLocallyError: It is another kind of component, or its code is not on this machine.
        InvalidSpecError: It has no command.
    """
    base = Path(component.base_path or Path.cwd())
    kind = getattr(component, "type", None)
    if kind != "command":
        raise UnsupportedLocallyError(
            f"{component.name} is a {kind} component; only command components can run here.", where=base
        )
    if not component.command:
        raise InvalidSpecError(f"{component.name} has no command.", where=base)
    return CommandSpec(
        name=component.name or "component",
        version=None if component.version is None else str(component.version),
        display_name=component.display_name,
        description=component.description or "",
        command=component.command,
        code=None if component.code is None else _local_path(base, component.code),
        additional_includes=tuple(_local_path(base, entry) for entry in component.additional_includes or ()),
        environment=_environment(component.environment),
        environment_variables=dict(getattr(component, "environment_variables", None) or {}),
        distribution=distribution(component.distribution),
        resources=resources(component.resources),
        inputs={name: _input(name, port) for name, port in component.inputs.items()},
        outputs={name: _output(name, port) for name, port in component.outputs.items()},
        is_deterministic=component.is_deterministic is not False,
        source=base,
    )


def distribution(value: Any) -> Distribution | None:
    """A component's or node's `distribution`, an object or a dict; None stays None."""
    if value is None:
        return None
    count = _attribute(value, "process_count_per_instance")
    return Distribution(str(_attribute(value, "type")).lower(), int(count or 1))


def resources(value: Any) -> Resources:
    """A component's or node's `resources`, an object or a dict; None is one node."""
    if value is None:
        return Resources()
    return Resources(int(_attribute(value, "instance_count") or 1), _attribute(value, "shm_size"))


def _input(name: str, port: Any) -> InputSpec:
    return InputSpec(
        name=name,
        type=port.type,
        is_optional=bool(port.optional),
        default=port.default,
        minimum=port.min,
        maximum=port.max,
        choices=tuple(choice.value if isinstance(choice, Enum) else choice for choice in port.enum or ()),
        description=port.description or "",
        mode=port.mode,
    )


def _output(name: str, port: Any) -> OutputSpec:
    return OutputSpec(name, type=port.type, mode=port.mode or "rw_mount", description=port.description or "")


def _environment(value: Any) -> Any:
    """A reference stays text; an inline environment becomes plain data, so that it can be compared and hashed."""
    if value is None or isinstance(value, (str, dict)):
        return value
    fields = {name: getattr(value, name, None) for name in _ENVIRONMENT_FIELDS}
    if fields["name"] == _ANONYMOUS:  # made up by the SDK for an inline environment
        fields |= {"name": None, "version": None}
    build = fields["build"]
    if build is not None:
        dockerfile = {} if build.dockerfile_path is None else {"dockerfile_path": build.dockerfile_path}
        fields["build"] = {"path": str(build.path), **dockerfile}
    return {name: field for name, field in fields.items() if field is not None}


def _local_path(base: Path, value: Any) -> Path:
    text = str(getattr(value, "path", value))
    if text.startswith(("azureml:", "/subscriptions/", "git+", "http://", "https://")):
        raise UnsupportedLocallyError(f"The code {text} is not on this machine.", where=base)
    return (base / text).resolve()


def _attribute(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
