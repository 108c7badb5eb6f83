"""Settings of sweeps, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytorch_designer.harness.node_kinds.sweep_settings import (
    Sampling,
    SweepSettings,
    Termination,
    read_sweep,
    sweep_trial,
)
from pytorch_designer.harness.schema.spec_faults import FaultCollector
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec
from pytorch_designer.harness.schema.yaml_tree import parse_yaml

CHOICE = {"type": "choice", "values": [1, 2, 3]}
UNIFORM = {"type": "uniform", "min_value": 0, "max_value": 1}
GOOD = {
    "search_space": {"a": CHOICE},
    "objective": {"goal": "maximize", "primary_metric": "accuracy"},
    "limits": {"max_total_trials": 8},
}


def _read(**keys: Any) -> tuple[SweepSettings | None, FaultCollector]:
    faults = FaultCollector()
    document = {key: value for key, value in {**GOOD, **keys}.items() if value is not None}
    return read_sweep(parse_yaml(yaml.safe_dump(document), Path("/x/sweep.yaml")).root, faults), faults


def _settings(**keys: Any) -> SweepSettings:
    settings, faults = _read(**keys)
    assert settings is not None, faults.faults
    return settings


def test_what_is_left_out_has_azures_defaults() -> None:
    settings = _settings()

    assert (settings.sampling, settings.termination) == (Sampling(), None)
    assert (settings.timeout_seconds, settings.trial_timeout_seconds) == (None, None)
    assert settings.max_concurrent_trials == settings.num_trials == 8


def test_a_grid_has_no_more_trials_than_combinations() -> None:
    settings = _settings(sampling_algorithm="grid", search_space={"a": CHOICE, "b": {**CHOICE, "values": [1, 2]}})

    assert settings.num_trials == 6


@pytest.mark.parametrize(
    ("written", "sampling"),
    [
        ("Bayesian", Sampling("bayesian")),
        ({"type": "random", "seed": 7, "rule": "sobol"}, Sampling("random", "sobol", 7)),
        ({"type": "grid"}, Sampling("grid")),
    ],
)
def test_sampling_is_a_word_or_a_mapping(written: object, sampling: Sampling) -> None:
    assert _settings(sampling_algorithm=written).sampling == sampling


def test_the_base_of_logarithms_is_a_setting_of_random_sampling() -> None:
    settings = _settings(
        sampling_algorithm={"type": "random", "logbase": 10}, search_space={"a": {**UNIFORM, "type": "loguniform"}}
    )

    assert settings.search_space[0].value(1.0) == 10


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ({"type": "bandit", "slack_factor": 0.2}, Termination("bandit", slack_factor=0.2)),
        (  # as the SDK writes what was not set
            {"type": "bandit", "slack_amount": 0.1, "evaluation_interval": 0, "delay_evaluation": 0},
            Termination("bandit", slack_amount=0.1),
        ),
        (
            {"type": "median_stopping", "evaluation_interval": 2, "delay_evaluation": 5},
            Termination("median_stopping", 2, 5),
        ),
        (
            {"type": "truncation_selection", "truncation_percentage": 20},
            Termination("truncation_selection", truncation_percentage=20),
        ),
    ],
)
def test_policies_of_early_termination(written: dict[str, Any], policy: Termination) -> None:
    assert _settings(early_termination=written).termination == policy


@pytest.mark.parametrize(
    ("keys", "message", "place"),
    [
        ({"objective": None}, "has no objective", ""),
        ({"objective": {"goal": "best", "primary_metric": "m"}}, "The goal is best", "objective.goal"),
        ({"objective": {"goal": "minimize"}}, "primary_metric is missing", "objective"),
        ({"limits": None}, "max_total_trials", ""),
        ({"limits": {"timeout": 3}}, "max_total_trials", "limits"),
        ({"limits": {"max_total_trials": 0}}, "at least 1", "limits.max_total_trials"),
        ({"limits": {"max_total_trials": 20_000}}, "at most 10,000", "limits.max_total_trials"),
        ({"limits": {"max_total_trials": 2, "trial_timeout": 1.5}}, "whole number", "limits.trial_timeout"),
        ({"sampling_algorithm": "evolution"}, "not a sampling algorithm", "sampling_algorithm"),
        ({"sampling_algorithm": {"type": "random", "rule": "halton"}}, "rule of sampling", "sampling_algorithm.rule"),
        ({"sampling_algorithm": {"type": "random", "seed": "x"}}, "seed must be", "sampling_algorithm.seed"),
        ({"sampling_algorithm": {"type": "random", "logbase": 1}}, "logbase must", "sampling_algorithm.logbase"),
        ({"sampling_algorithm": "grid", "search_space": {"u": UNIFORM}}, "choices alone", "search_space.u"),
        (
            {"sampling_algorithm": "bayesian", "search_space": {"u": {"type": "randint", "upper": 3}}},
            "Bayesian sampling takes",
            "search_space.u",
        ),
        ({"early_termination": {"type": "luck"}}, "not an early-termination policy", "early_termination.type"),
        ({"early_termination": {"type": "bandit"}}, "either slack_factor or", "early_termination"),
        (
            {"early_termination": {"type": "bandit", "slack_factor": 1, "slack_amount": 1}},
            "either slack_factor or",
            "early_termination",
        ),
        (
            {"early_termination": {"type": "bandit", "slack_factor": -1}},
            "not be negative",
            "early_termination.slack_factor",
        ),
        (
            {"early_termination": {"type": "median_stopping", "slack_factor": 1}},
            "has no slack_factor",
            "early_termination.slack_factor",
        ),
        (
            {"early_termination": {"type": "truncation_selection", "truncation_percentage": 100}},
            "from 1 to 99",
            "early_termination",
        ),
    ],
)
def test_every_wrong_field_is_a_fault_at_its_place(keys: dict[str, Any], message: str, place: str) -> None:
    settings, faults = _read(**keys)

    assert settings is None
    (fault,) = faults.faults
    assert message in f"{fault.message} {fault.advice}"
    assert fault.place.key == place


def test_all_faults_are_found_at_once() -> None:
    _, faults = _read(objective=None, limits=None, search_space={}, sampling_algorithm="x")

    assert len(faults.faults) == 4


def test_hyperparameters_become_inputs_of_the_trial() -> None:
    trial = CommandSpec(
        "t",
        "run ${{search_space.a}} ${{ search_space.b }} ${{inputs.c}}",
        Path(),
        inputs={"b": InputSpec("b", "number"), "c": InputSpec("c", "string")},
    )

    spec = sweep_trial(trial, _settings(search_space={"a": CHOICE, "b": UNIFORM}))

    assert spec.command == "run ${{inputs.a}} ${{inputs.b}} ${{inputs.c}}"
    assert {name: port.type for name, port in spec.inputs.items()} == {"b": "number", "c": "string", "a": "string"}
