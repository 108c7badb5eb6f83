"""Values of a job, checked against the component's inputs before anything starts, and rendered as Azure ML does."""

from __future__ import annotations

import io
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import address_error, local_path
from pytorch_designer.errors import (
    FailedToWriteOutputsError,
    GreaterThanOrEqualToError,
    LessThanOrEqualToError,
    NullOrEmptyError,
    ParameterError,
    ParameterParsingError,
    UnknownNameError,
    shorten,
)
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.specification import InputSpec
from pytorch_designer.system.regular_files import open_regular_file
from pytorch_designer.system.special_files import special_kind
from pytorch_designer.wording import bounds_in_words, within_bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytorch_designer.harness.schema.specification import CommandSpec, InputValue, OutputSpec, Scalar

_INTEGER = re.compile(r"[+-]?[0-9]+")
NOT_A_CHOICE = "not_a_choice"  # the reason of a `ParameterParsingError` for a value of the right type
_MAX_WRITTEN_CHARACTERS = 1 << 16
_EXAMPLES = {"boolean": "True", "integer": "3", "number": "0.5", "string": "some text"}


def check_values(spec: CommandSpec, given: Mapping[str, object]) -> dict[str, InputValue]:
    """Check what was given for the inputs of `spec` and fill in the defaults.

    Args:
        spec: The component.
        given: By input name: a path for a data port; a Python value or its text for a parameter. None counts as not
            given.

    Returns:
        A value for every input except optional ones without one, in the component's order. Paths are absolute and
        exist. Passing the result in again gives the same result.

    Raises:
        UnknownNameError: There is no input of that name.
        NullOrEmptyError: A required input has no value, or a path does not exist.
        ParameterParsingError: A value is not of the input's type, or is not one of its choices.
        GreaterThanOrEqualToError: A value is below its lower bound.
        LessThanOrEqualToError: A value is above its upper bound.
        UnsupportedLocallyError: A data port was given an address instead of a path.
    """
    check_names("input", given, spec.inputs, spec.name)
    values: dict[str, InputValue] = {}
    for port in spec.inputs.values():
        value = given.get(port.name)
        if value is None:
            value = default_value(port)
        if value is None and not port.is_optional:
            kind = "folder" if port.is_data else port.type
            raise NullOrEmptyError(f"Input {port.name} ({kind}) of {spec.name} has no value.", where=port.name)
        if value is not None:
            values[port.name] = _existing_path(port, value) if port.is_data else parse_literal(port, value)
    return values


def default_value(port: InputSpec) -> Scalar | None:
    """The default as azure-ai-ml registers it: an unquoted whole number of the file goes through a float.

    So `default: 1` is 1.0 for a number, and the text 1.0 for a string; an integer's is 1.
    """
    if port.default is None or isinstance(port.default, bool):
        return port.default
    if port.type == "number":
        return float(parse_literal(port, port.default))
    if port.type == "string" and isinstance(port.default, int):
        return str(float(port.default))
    return port.default


def check_names(kind: str, given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Refuse names that `owner` does not have; `kind` says of what, for the message.

    Raises:
        UnknownNameError: One of `given` is not in `known`.
    """
    names = list(known)
    for name in given:
        if name not in names:
            have = f"It has {', '.join(names)}." if names else f"It has no {kind}s."
            raise UnknownNameError(f"{owner} has no {kind} {name!r}.", where=name, advice=have)


def parse_literal(port: InputSpec, value: object) -> Scalar:
    """`value` as a value of the parameter `port`: a Python value is checked, text is parsed.

    Raises:
        ParameterError: As `check_values` says.
    """
    scalar = _converted(port, value)
    if port.choices and not _is_choice(port, scalar):
        raise _unparsable(port, value, reason=NOT_A_CHOICE)
    if isinstance(scalar, (int, float)) and not isinstance(scalar, bool):
        if port.minimum is not None and scalar < port.minimum:
            what = f"Input {port.name} is {scalar}, but must be {bounds_in_words(port.minimum, None)}."
            raise GreaterThanOrEqualToError(what, where=port.name, advice=_allowed(port))
        if port.maximum is not None and scalar > port.maximum:
            what = f"Input {port.name} is {scalar}, but must be {bounds_in_words(None, port.maximum)}."
            raise LessThanOrEqualToError(what, where=port.name, advice=_allowed(port))
    return scalar


def render_value(value: InputValue) -> str:
    """The text that replaces `${{inputs.name}}` on Azure ML: `str(value)`, for instance True, 0.001 or 1e-07."""
    return str(value)


def read_output_value(port: OutputSpec, path: Path) -> Scalar:
    """The value that a job has written for an output of a simple type.

    `${{outputs.NAME}}` and `AZURE_ML_OUTPUT_NAME` are the path of a file. Its text, without the line end, is the value.

    Args:
        port: The output.
        path: Its file.

    Raises:
        FailedToWriteOutputsError: There is no such file, or its text is not a value of the output's type.
    """
    try:
        with io.TextIOWrapper(open_regular_file(path), encoding="utf-8") as stream:
            text = stream.read(_MAX_WRITTEN_CHARACTERS).rstrip("\r\n")
        return parse_literal(InputSpec(port.name, port.type), text)
    except ParameterError as error:
        raise _not_written(port, path, f"{shorten(text, 80)!r}, which is not a value of this type") from error
    except UnicodeDecodeError as error:
        raise _not_written(port, path, "something that is not text in UTF-8") from error
    except OSError as error:
        raise _not_written(port, path, "no file") from error


def _not_written(port: OutputSpec, path: Path, found: str) -> FailedToWriteOutputsError:
    return FailedToWriteOutputsError(
        f"For its output {port.name} ({port.type}) the job wrote {found}.",
        where=path,
        advice=f"Write the value as text into the file that ${{{{outputs.{port.name}}}}} names, for instance "
        f"`{_EXAMPLES[port.type]}`.",
        reason="no_value",
    )


def _converted(port: InputSpec, value: object) -> Scalar:
    try:
        if port.type == "boolean":
            return _boolean(value)
        if port.type == "integer":
            return _integer(value)
        if port.type == "number":
            return _number(value)
        if isinstance(value, (str, bool, int, float)):
            return str(value)
    except (ValueError, OverflowError):
        pass
    raise _unparsable(port, value)


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    raise ValueError(value)


def _integer(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)  # not through a float, which would change numbers above 2^53
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, (str, float)) and float(value).is_integer():
        return int(float(value))
    raise ValueError(value)


def _number(value: object) -> int | float:
    """A whole number stays one, as in YAML: `1` is shown as 1 and not as 1.0."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(value)
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value.strip()) else float(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _is_choice(port: InputSpec, scalar: Scalar) -> bool:
    if scalar in port.choices or str(scalar) in {str(choice) for choice in port.choices}:
        return True
    if port.type not in {"integer", "number"}:
        return False
    numbers = []
    for choice in port.choices:  # Azure ML wants texts in `enum`, for numbers too
        with suppress(ValueError):
            numbers.append(float(choice))
    return scalar in numbers


def _unparsable(port: InputSpec, value: object, reason: str | None = None) -> ParameterError:
    what = f"Input {port.name} cannot be {shorten(str(value), 80)!r}."
    return ParameterParsingError(what, where=port.name, advice=_allowed(port), reason=reason)


def _allowed(port: InputSpec) -> str:
    if port.choices:
        return f"Give one of {', '.join(str(choice) for choice in port.choices)}."
    kinds = {"boolean": "True or False", "integer": "a whole number", "number": "a number", "string": "text"}
    return f"Give {within_bounds(kinds[port.type], port.minimum, port.maximum)}."


def _existing_path(port: InputSpec, value: object) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ParameterParsingError(
            f"Input {port.name} is a {port.type} and cannot be {value!r}.", where=port.name, advice="Give it a path."
        )
    if is_reference(str(value)):
        raise address_error(str(value), name=port.name)
    path = local_path(str(value), name=port.name).absolute()
    if not path.exists():
        raise NullOrEmptyError(
            f"Input {port.name}: there is no {path}.", where=port.name, advice="Give an existing path."
        )
    special = special_kind(path)
    if special is not None:
        raise ParameterParsingError(
            f"Input {port.name}: {path} is {special}, which is not read.",
            where=port.name,
            advice="Give it a regular file or a folder.",
            reason="special_file",
        )
    return path
