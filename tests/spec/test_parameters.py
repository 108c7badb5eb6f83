"""Parameter parsing: exact values, and exact messages for invalid text."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from pytorch_designer.components.train_pytorch_model import TrainPyTorchModelParameters
from pytorch_designer.errors import (
    GreaterThanOrEqualToError,
    LessThanOrEqualToError,
    NullOrEmptyError,
    ParameterError,
    ParameterParsingError,
)
from pytorch_designer.spec.parameters import Parameters, parse_parameters


class Example(Parameters):
    """One parameter of each kind."""

    share: float = Field(0.5, ge=0, le=1, description="A share.")
    is_on: bool = Field(True, description="A switch.")
    model: Literal["small", "large"] = Field("small", description="A choice.")
    text: str = Field("x", description="A text.")
    count: int = Field(description="A number without a default.")


def train(**values: str) -> TrainPyTorchModelParameters:
    return parse_parameters(TrainPyTorchModelParameters, values)


def test_parameters_that_are_not_given_have_their_defaults() -> None:
    assert train() == TrainPyTorchModelParameters(
        epochs=5, batch_size=16, learning_rate=0.001, random_seed=1, patience=3
    )


@pytest.mark.parametrize("text", ["True", "true", "TRUE", "tRuE"])
def test_booleans_are_read_in_any_case(text: str) -> None:
    assert parse_parameters(Example, {"count": "1", "is_on": text}).is_on is True
    assert parse_parameters(Example, {"count": "1", "is_on": text.lower().replace("true", "FALSE")}).is_on is False


@pytest.mark.parametrize("seed", [-1, 0, 2**63, 10**30, -(10**30)])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert train(random_seed=str(seed)).random_seed == seed


@pytest.mark.parametrize("text", ["5e-324", "1e-07", "10000000000.0", "1"])
def test_learning_rate_reads_every_positive_double(text: str) -> None:
    assert train(learning_rate=text).learning_rate == float(text)


@given(st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False))
def test_learning_rate_survives_its_rendering_by_azure_ml(rate: float) -> None:
    assert train(learning_rate=str(rate)).learning_rate == rate


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("epochs", "0", GreaterThanOrEqualToError, "Parameter epochs is 0, but must be at least 1."),
        ("epochs", "-1", GreaterThanOrEqualToError, "Parameter epochs is -1, but must be at least 1."),
        ("epochs", "1.5", ParameterParsingError, "Parameter epochs cannot be '1.5'."),
        ("epochs", "five", ParameterParsingError, "Parameter epochs cannot be 'five'."),
        ("epochs", "nan", ParameterParsingError, "Parameter epochs cannot be 'nan'."),
        ("epochs", "inf", ParameterParsingError, "Parameter epochs cannot be 'inf'."),
        ("epochs", "1e400", ParameterParsingError, "Parameter epochs cannot be '1e400'."),
        ("epochs", "", NullOrEmptyError, "Parameter epochs is empty."),
        ("epochs", "  ", NullOrEmptyError, "Parameter epochs is empty."),
        (
            "learning_rate",
            "0",
            GreaterThanOrEqualToError,
            "Parameter learning_rate is 0, but must be greater than zero.",
        ),
        (
            "learning_rate",
            "-1",
            GreaterThanOrEqualToError,
            "Parameter learning_rate is -1, but must be greater than zero.",
        ),
        ("learning_rate", "nan", ParameterParsingError, "Parameter learning_rate cannot be 'nan'."),
        ("learning_rate", "1e400", ParameterParsingError, "Parameter learning_rate cannot be '1e400'."),
        (
            "patience",
            "0",
            GreaterThanOrEqualToError,
            "Parameter patience is 0, but must be at least 1.",
        ),
        ("random_seed", "0.5", ParameterParsingError, "Parameter random_seed cannot be '0.5'."),
    ],
)
def test_bad_value_has_its_named_error(name: str, text: str, error: type[ParameterError], message: str) -> None:
    with pytest.raises(error) as caught:
        train(**{name: text})
    assert type(caught.value) is error
    assert caught.value.what == message
    assert caught.value.where == name
    assert "the default is" in caught.value.advice


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("share", "1.01", LessThanOrEqualToError),
        ("share", "-0.01", GreaterThanOrEqualToError),
        ("is_on", "maybe", ParameterParsingError),
        ("model", "medium", ParameterParsingError),
    ],
)
def test_other_kinds_of_bad_value(name: str, text: str, error: type[ParameterError]) -> None:
    with pytest.raises(error):
        parse_parameters(Example, {"count": "1", name: text})


def test_missing_parameter_without_default_is_named() -> None:
    with pytest.raises(NullOrEmptyError, match="count has no value"):
        parse_parameters(Example, {})


def test_advice_names_type_range_choices_and_default() -> None:
    advice = {}
    for name, text in (("share", "2"), ("model", "x"), ("count", "x")):
        with pytest.raises(ParameterError) as caught:
            parse_parameters(Example, {"count": "1", name: text})
        advice[name] = caught.value.advice
    assert advice == {
        "share": "Give a number from 0 to 1; the default is 0.5.",
        "model": "Give one of small, large; the default is small.",
        "count": "Give a whole number.",
    }


def test_type_that_azure_ml_does_not_know_is_a_bug() -> None:
    class Wrong(Parameters):
        items: list[str] = Field([], description="Not a parameter type.")

    with pytest.raises(TypeError, match="items"):
        parse_parameters(Wrong, {})
