"""Component parameters: a pydantic model per component, parsed from text with named errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticUndefined

from pytorch_designer.errors import (
    GreaterThanOrEqualToError,
    LessThanOrEqualToError,
    NullOrEmptyError,
    ParameterError,
    ParameterParsingError,
    shorten,
)
from pytorch_designer.wording import bounds_in_words, within_bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


class Parameters(BaseModel):
    """Base class of every component's parameters.

    A field's type, bounds (`ge`, `le`), default and description define the parameter in the YAML, on the command line
    and in the reference page. Azure ML supports inclusive bounds only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


P = TypeVar("P", bound=Parameters)

FROM_STANDARD_INPUT = "-"  # instead of a free text on the command line
AZURE_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


class ParameterSpec(BaseModel):
    """One parameter as plain data, the source of everything that is generated.

    Attributes:
        type_name: Azure ML's name of the type: boolean, integer, number or string.
        choices: The permitted values of a string, or None.
        minimum: Inclusive lower bound, or None.
        maximum: Inclusive upper bound, or None.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type_name: str
    default: bool | int | float | str | None
    description: str
    choices: tuple[str, ...] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None

    @property
    def is_free_text(self) -> bool:
        """True if any text is a value."""
        return self.type_name == "string" and self.choices is None

    @property
    def is_required(self) -> bool:
        """True if there is no default."""
        return self.default is None


def parameter_specs(model: type[Parameters]) -> tuple[ParameterSpec, ...]:
    """The parameters of a model in their order of definition."""
    return tuple(_spec(name, info) for name, info in model.model_fields.items())


def parse_parameters(model: type[P], values: Mapping[str, str]) -> P:
    """Parse the text given for each parameter; a parameter that is not in `values` gets its default.

    Raises:
        ParameterParsingError: A value has the wrong type, is not one of the choices, or is not finite.
        NullOrEmptyError: A value is empty, or a parameter without a default is missing.
        GreaterThanOrEqualToError: A value is below its lower bound.
        LessThanOrEqualToError: A value is above its upper bound.
    """
    stripped = {name: value.strip() for name, value in values.items()}
    for spec in parameter_specs(model):
        if stripped.get(spec.name) == "":
            raise NullOrEmptyError(f"Parameter {spec.name} is empty.", where=spec.name, advice=_allowed(spec))
    try:
        return model.model_validate(stripped)
    except ValidationError as error:
        raise _named_error(model, error.errors()[0]) from None


def _spec(name: str, info: FieldInfo) -> ParameterSpec:
    bounds = {kind: getattr(item, kind) for item in info.metadata for kind in ("ge", "le") if hasattr(item, kind)}
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else None
    annotation = str if choices else info.annotation
    if annotation not in AZURE_TYPES:
        raise TypeError(f"parameter {name}: Azure ML has no type for {info.annotation}")
    return ParameterSpec(
        name=name,
        type_name=AZURE_TYPES[annotation],
        default=None if info.default is PydanticUndefined else info.default,
        description=info.description or "",
        choices=choices,
        minimum=bounds.get("ge"),
        maximum=bounds.get("le"),
    )


def _named_error(model: type[Parameters], details: ErrorDetails) -> ParameterError:
    spec = next(spec for spec in parameter_specs(model) if spec.name == details["loc"][0])
    given = shorten(str(details["input"]), 80)
    if details["type"] == "missing":
        return NullOrEmptyError(f"Parameter {spec.name} has no value.", where=spec.name, advice=_allowed(spec))
    if details["type"] == "greater_than_equal":
        what = f"Parameter {spec.name} is {given}, but must be {bounds_in_words(spec.minimum, None)}."
        return GreaterThanOrEqualToError(what, where=spec.name, advice=_allowed(spec))
    if details["type"] == "less_than_equal":
        what = f"Parameter {spec.name} is {given}, but must be {bounds_in_words(None, spec.maximum)}."
        return LessThanOrEqualToError(what, where=spec.name, advice=_allowed(spec))
    what = f"Parameter {spec.name} cannot be {given!r}."
    return ParameterParsingError(what, where=spec.name, advice=_allowed(spec))


def _allowed(spec: ParameterSpec) -> str:
    if spec.choices:
        text = f"Give one of {', '.join(spec.choices)}"
    else:
        kinds = {"boolean": "True or False", "integer": "a whole number", "number": "a number", "string": "a text"}
        text = f"Give {within_bounds(kinds[spec.type_name], spec.minimum, spec.maximum)}"
    return text + ("." if spec.default is None else f"; the default is {spec.default}.")
