"""Interface of a component: its inputs and outputs, read from YAML, and what is to be said of their connections.

`run` and `lint` find the same faults in different ways; what they say of them is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.spec_faults import SpecFault, SpecPlace, did_you_mean
from pytorch_designer.harness.schema.specification import InputSpec, Interface, OutputSpec
from pytorch_designer.harness.schema.vocabulary import DATA_TYPES, FILE_TYPES, FOLDER_TYPES, PARAMETER_TYPES
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.harness.schema.yaml_tree import Value


def read_interface(component: Value, *, is_strict: bool = True) -> Interface:
    """The interface of a component.

    Args:
        component: The component's mapping.
        is_strict: Whether a malformed port is an error; else what is malformed counts as absent, so that the linter
            can go on. A type that is malformed or missing is then empty.

    Raises:
        InvalidSpecError: A port is malformed.
    """
    fields = Fields(component, is_strict=is_strict)
    kind = component.get("type")
    return Interface(
        type=((kind.text or "") if kind is not None else "").lower() or "command",
        inputs={
            name: read_input(name, value, holds=_holds(component, name), is_strict=is_strict)
            for name, value in fields.ports("inputs").items()
        },
        outputs={
            name: read_output(name, value, holds=_holds(component, name), is_strict=is_strict)
            for name, value in fields.ports("outputs").items()
        },
    )


def read_input(name: str, value: Value, *, holds: str | None = None, is_strict: bool = True) -> InputSpec:
    """One input of a component; raises as `read_interface` does."""
    fields = Fields(value, is_strict=is_strict)
    return InputSpec(
        name=name,
        type=_type(name, fields, PARAMETER_TYPES | DATA_TYPES, is_strict=is_strict),
        is_optional=fields.flag("optional", default=False),
        default=fields.scalar("default"),
        minimum=fields.number("min"),
        maximum=fields.number("max"),
        choices=fields.scalars("enum"),
        description=fields.text("description") or "",
        mode=fields.text("mode"),
        holds=holds,
    )


def read_output(
    name: str, value: Value, *, holds: str | None = None, default_type: str = "", is_strict: bool = True
) -> OutputSpec:
    """One output of a component or pipeline job; raises as `read_interface` does."""
    fields = Fields(value, is_strict=is_strict)
    has_type = not default_type or fields.get("type") is not None
    return OutputSpec(
        name=name,
        type=_type(name, fields, PARAMETER_TYPES | DATA_TYPES, is_strict=is_strict) if has_type else default_type,
        mode=fields.text("mode") or "rw_mount",
        description=fields.text("description") or "",
        holds=holds,
    )


def types_fit(given: str, wanted: str) -> bool:
    """True if what has the type `given` is right for a port of the type `wanted`; an unknown type, empty, always is."""
    if not given or not wanted or wanted in {given, "string"} or (given, wanted) == ("integer", "number"):
        return True
    if given in PARAMETER_TYPES or wanted in PARAMETER_TYPES:
        return False
    # custom_model and path may be either a file or a folder.
    return {given, wanted} - FOLDER_TYPES != FILE_TYPES


def type_mismatch(name: str, given: str, target: str, wanted: str) -> tuple[str, str, str]:
    """Rule, message and advice for two connected ports whose types do not fit."""
    is_of_values = (given in PARAMETER_TYPES, wanted in PARAMETER_TYPES)
    rule = "type-mismatch" if len(set(is_of_values)) == 1 else "data-mismatch"
    advice = "Change one of the two types."
    if is_of_values[0] and rule == "data-mismatch":
        advice = f"Give the input {target} a {{type: ..., path: ...}}, or change one of the two types."
    return rule, f"{name} is {given}, and {target} expects {wanted}.", advice


def kind_mismatch(port: InputSpec, path: Path) -> tuple[str, str] | None:
    """Message and advice for the rule `type-mismatch` if an existing path is a file and should be a folder, or not."""
    if port.type in FOLDER_TYPES and path.is_file():
        return f"{port.name} is a {port.type}, but {path} is a file.", "Give it a folder, or declare it as uri_file."
    if port.type in FILE_TYPES and path.is_dir():
        return f"{port.name} is a {port.type}, but {path} is a folder.", "Give it a file, or declare it as uri_folder."
    return None


def kind_warnings(spec: CommandSpec, values: Mapping[str, object]) -> tuple[SpecFault, ...]:
    """Warnings of files that are given to folders' inputs of a component, and the reverse."""
    place = SpecPlace(str(spec.source))
    found = [kind_mismatch(spec.inputs[name], path) for name, path in values.items() if isinstance(path, Path)]
    return tuple(SpecFault(place, "type-mismatch", *mismatch) for mismatch in found if mismatch is not None)


def unknown_input(owner: str, name: str, known: Iterable[str]) -> tuple[str, str]:
    """Message and advice for the rule `unknown-node-input`."""
    return f"The component of {owner} has no input {name}; Azure ML leaves it out.", did_you_mean(name, known)


def unbound_output(name: str) -> tuple[str, str]:
    """Message and advice for the rule `unbound-pipeline-output`."""
    advice = f"Bind an output of a node to ${{{{parent.outputs.{name}}}}}, or remove it."
    return f"No node writes the pipeline output {name}.", advice


def given_value(entry: Value) -> Value | None:
    """The value given to a port by `name: value` or `name: {value: value}`."""
    return entry.get("value") if entry.is_mapping else entry


def _type(name: str, fields: Fields, known: frozenset[str], *, is_strict: bool) -> str:
    value = fields.get("type")
    if not is_strict:
        return "" if value is None else value.text or ""
    # Azure ML's short form `name: literal` belongs to jobs; a component's input is a mapping with a type.
    if not fields.mapping.is_mapping:
        raise fields.mapping.key_place.error(f"{name} must be a mapping with a type.")
    kind = fields.required_text("type")
    if kind not in known and value is not None:
        message = f"{name} has the unknown type {kind!r}; Azure ML knows {', '.join(sorted(known))}."
        raise value.key_place.error(message)
    return kind


def _holds(component: Value, name: str) -> str | None:
    tag = component.get("tags", f"port.{name}")
    return None if tag is None else tag.text
