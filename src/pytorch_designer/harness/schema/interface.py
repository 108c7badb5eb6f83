"""Interface of a component: its inputs and outputs, read from YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.specification import InputSpec, Interface, OutputSpec
from pytorch_designer.harness.schema.vocabulary import DATA_TYPES, PARAMETER_TYPES
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
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


def given_value(entry: Value) -> Value | None:
    """What is given to a port by `name: value` or `name: {value: value}`."""
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
