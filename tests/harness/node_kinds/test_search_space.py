"""Search spaces: what each distribution gives, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytorch_designer.harness.node_kinds.search_space import Hyperparameter, read_search_space
from pytorch_designer.harness.schema.spec_faults import FaultCollector
from pytorch_designer.harness.schema.yaml_fields import Fields
from pytorch_designer.harness.schema.yaml_tree import parse_yaml

RANGE = {"min_value": 2, "max_value": 6}
BELL = {"mu": 1, "sigma": 2}


def _read(space: Any) -> tuple[tuple[Hyperparameter, ...], FaultCollector]:
    faults = FaultCollector()
    root = parse_yaml(yaml.safe_dump({"search_space": space}), Path("/x/sweep.yaml")).root
    return read_search_space(Fields(root), faults), faults


@pytest.mark.parametrize(
    ("written", "coordinate", "value"),
    [
        ({"type": "choice", "values": ["a", 1, 2.5, True]}, 2, 2.5),
        ({"type": "randint", "upper": 5}, 4, 4),
        ({"type": "uniform", **RANGE}, 0.25, 3.0),
        ({"type": "quniform", **RANGE, "q": 4}, 0.9, 4),
        ({"type": "loguniform", **RANGE}, 0.5, pytest.approx(math.exp(4))),
        ({"type": "qloguniform", "min_value": 0, "max_value": 2, "q": 0.5}, 0.5, 2.5),
        ({"type": "normal", **BELL}, 0.5, 1.0),
        ({"type": "normal", **BELL}, 0.841344746, pytest.approx(3.0)),  # one standard deviation above the mean
        ({"type": "lognormal", **BELL}, 0.5, pytest.approx(math.e)),
        ({"type": "qnormal", **BELL, "q": 2}, 0.5, 0),
        ({"type": "qlognormal", **BELL, "q": 1}, 0.5, 3),
        ({"type": "Uniform", **RANGE}, 1.0, 6.0),
    ],
)
def test_a_coordinate_becomes_a_value(written: dict[str, Any], coordinate: float, value: object) -> None:
    (parameter,), faults = _read({"x": written})

    assert faults.faults == []
    assert parameter.value(coordinate) == value


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_normal_values_are_finite_at_the_ends(end: float) -> None:
    (parameter,), _ = _read({"x": {"type": "normal", **BELL}})

    assert math.isfinite(float(parameter.value(end)))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (3, "must be a mapping"),
        ({"type": "gaussian", **BELL}, "gaussian is not a distribution"),
        ({"type": "uniform", "min_value": 1}, "has no max_value"),
        ({"type": "uniform", "min_value": 6, "max_value": 2}, "not above min_value"),
        ({"type": "uniform", **RANGE, "q": 1}, "has no q"),
        ({"type": "uniform", "min_value": 0, "max_value": math.inf}, "not finite"),
        ({"type": "quniform", **RANGE, "q": 0}, "must be above 0"),
        ({"type": "normal", "mu": 0, "sigma": -1}, "must be above 0"),
        ({"type": "loguniform", "min_value": 0, "max_value": 1000}, "exponents"),
        ({"type": "choice", "values": []}, "has no values"),
        ({"type": "choice", "values": 3}, "must be a list"),
        ({"type": "choice", "values": [{"y": {"type": "choice", "values": [1]}}]}, "search space of its own"),
        ({"type": "choice", "values": [[1]]}, "list of texts, numbers or booleans"),
        ({"type": "randint"}, "upper is missing"),
        ({"type": "randint", "upper": 0}, "at least 1"),
        ({"values": [1]}, "type is missing"),
    ],
)
def test_what_cannot_be_sampled_is_a_fault_at_its_place(written: object, message: str) -> None:
    found, faults = _read({"good": {"type": "choice", "values": [1]}, "bad": written})

    assert [parameter.name for parameter in found] == ["good"]
    (fault,) = faults.faults
    assert message in f"{fault.message} {fault.advice}"
    assert fault.place.keys[:2] == ("search_space", "bad")
    assert fault.place.line > 1


@pytest.mark.parametrize("space", [None, {}, [1], {"a-b": {"type": "choice", "values": [1]}}])
def test_a_sweep_without_hyperparameters_is_a_fault(space: object) -> None:
    found, faults = _read(space)

    assert found == ()
    assert len(faults.faults) == 1
