from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.errors import (
    DesignerError,
    GreaterThanOrEqualToError,
    LessThanOrEqualToError,
    NullOrEmptyError,
    ParameterParsingError,
    UnknownNameError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec
from pytorch_designer.harness.schema.values import check_values, parse_literal, render_value

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.specification import Scalar


def _spec(*inputs: InputSpec) -> CommandSpec:
    return CommandSpec("sample", "true", Path("c.yaml"), inputs={port.name: port for port in inputs})


@pytest.mark.parametrize(
    ("kind", "value", "rendered"),
    [
        ("boolean", "true", "True"),
        ("boolean", "FALSE", "False"),
        ("boolean", True, "True"),
        ("integer", "5", "5"),
        ("integer", "-3", "-3"),
        ("integer", " 7 ", "7"),
        ("integer", "5.0", "5"),
        ("integer", 5.0, "5"),
        ("integer", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("number", "0.001", "0.001"),
        ("number", "1e-7", "1e-07"),
        ("number", 1e-7, "1e-07"),
        ("number", "1", "1"),
        ("number", "5e-324", "5e-324"),
        ("string", "a b", "a b"),
        ("string", "", ""),
        ("string", True, "True"),
        ("string", 3, "3"),
    ],
)
def test_a_value_is_shown_as_azure_ml_shows_it(kind: str, value: object, rendered: str) -> None:
    assert render_value(parse_literal(InputSpec("x", kind), value)) == rendered


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", "yes"),
        ("boolean", 1),
        ("boolean", ""),
        ("integer", "2.5"),
        ("integer", 2.5),
        ("integer", "five"),
        ("integer", ""),
        ("integer", True),
        ("integer", "nan"),
        ("integer", "1e400"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1e400"),
        ("number", float("nan")),
        ("number", "many"),
        ("number", False),
        ("string", ["a"]),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ParameterParsingError) as caught:
        parse_literal(InputSpec("x", kind), value)

    assert caught.value.where == "x"


@pytest.mark.parametrize(
    ("kind", "default", "rendered"),
    # What azure-ai-ml 1.35.2 registers for these defaults.
    [
        ("number", 1, "1.0"),
        ("number", "1e-3", "0.001"),
        ("boolean", False, "False"),
        ("integer", 5.0, "5"),
        ("integer", 7, "7"),
        ("string", 5, "5.0"),
        ("string", "5", "5"),
    ],
)
def test_a_default_is_filled_in_as_azure_ml_registers_it(kind: str, default: Scalar, rendered: str) -> None:
    values = check_values(_spec(InputSpec("x", kind, default=default)), {})

    assert render_value(values["x"]) == rendered


def test_bounds_are_inclusive() -> None:
    port = InputSpec("x", "integer", minimum=1, maximum=3)

    assert [parse_literal(port, value) for value in ("1", "3")] == [1, 3]
    with pytest.raises(GreaterThanOrEqualToError, match="at least 1"):
        parse_literal(port, "0")
    with pytest.raises(LessThanOrEqualToError, match="at most 3"):
        parse_literal(port, "4")


def test_a_default_out_of_bounds_is_refused_before_a_job_gets_it() -> None:
    with pytest.raises(GreaterThanOrEqualToError):
        check_values(_spec(InputSpec("x", "integer", default=0, minimum=1)), {})


def test_only_a_choice_is_taken() -> None:
    port = InputSpec("x", "string", choices=("a", "b"))

    assert parse_literal(port, "b") == "b"
    with pytest.raises(ParameterParsingError) as caught:
        parse_literal(port, "c")
    assert caught.value.advice == "Give one of a, b."


def test_choices_of_numbers_are_compared_as_numbers() -> None:
    port = InputSpec("x", "number", choices=(1, 0.5))

    assert [parse_literal(port, value) for value in ("1.0", "0.50")] == [1.0, 0.5]


def test_a_name_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UnknownNameError) as caught:
        check_values(_spec(InputSpec("epochs", "integer")), {"epoch": "1"})

    assert caught.value.where == "epoch"
    assert caught.value.advice == "It has epochs."


def test_a_required_input_without_a_value_is_refused() -> None:
    with pytest.raises(NullOrEmptyError, match="epochs"):
        check_values(_spec(InputSpec("epochs", "integer")), {"epochs": None})


def test_an_optional_input_without_a_value_is_absent() -> None:
    spec = _spec(InputSpec("a", "integer", is_optional=True), InputSpec("d", "uri_folder", is_optional=True))

    assert check_values(spec, {}) == {}


def test_a_data_port_gets_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    assert check_values(_spec(InputSpec("d", "uri_folder")), {"d": "data"}) == {"d": tmp_path / "data"}


@pytest.mark.parametrize(
    ("kind", "path", "error"),
    [
        ("uri_folder", "missing", NullOrEmptyError),
        ("uri_file", "", ParameterParsingError),
        ("uri_folder", "azureml:pets:3", UnsupportedLocallyError),
        ("uri_folder", "https://storage/pets", UnsupportedLocallyError),
    ],
)
def test_a_path_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, path: str, error: type[DesignerError]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(error):
        check_values(_spec(InputSpec("d", kind)), {"d": path})


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_the_text_of_a_number_is_read_as_that_number(number: float) -> None:
    assert parse_literal(InputSpec("x", "number"), str(number)) == number


@pytest.mark.slow
@given(st.from_type(type(None)) | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()))
def test_a_value_is_taken_or_refused_by_name_and_taken_again_unchanged(value: object) -> None:
    for kind in ("boolean", "integer", "number", "string"):
        spec = _spec(InputSpec("x", kind))
        try:
            values = check_values(spec, {"x": value})
        except DesignerError:
            continue
        assert check_values(spec, values) == values
