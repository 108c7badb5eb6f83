"""Settings of a sweep: search space, sampling, objective, early termination and limits, read and checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.node_kinds.search_space import Hyperparameter, read_search_space
from pytorch_designer.harness.schema.bindings import bindings_in, replace_bindings
from pytorch_designer.harness.schema.specification import InputSpec
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.harness.schema.bindings import Binding
    from pytorch_designer.harness.schema.spec_faults import FaultCollector
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.harness.schema.yaml_tree import Value

SAMPLING_ALGORITHMS = ("random", "grid", "bayesian")
POLICIES = {
    "bandit": ("slack_factor", "slack_amount"),
    "median_stopping": (),
    "truncation_selection": ("truncation_percentage",),
}
_GOALS = ("minimize", "maximize")
_BAYESIAN_TYPES = frozenset({"choice", "uniform", "quniform"})
MAX_TRIALS = 10_000
_WHOLE_PERCENTAGE = 100


@dataclass(frozen=True)
class Sampling:
    """Sampling algorithm.

    Attributes:
        type: One of `SAMPLING_ALGORITHMS`.
        rule: `random` or `sobol`, of random sampling.
        seed: Its seed. Without one Azure ML draws another at each run; here it is 0, so that trials can be reused.
    """

    type: str = "random"
    rule: str = "random"
    seed: int = 0


@dataclass(frozen=True)
class Termination:
    """Early-termination policy; an interval is one logged value of the primary metric.

    Attributes:
        type: A key of `POLICIES`.
        evaluation_interval: Number of intervals between two evaluations.
        delay_evaluation: Number of intervals before the first one.
        slack_factor: Allowed distance from the best trial as a ratio, or None.
        slack_amount: Allowed distance from the best trial, or None.
        truncation_percentage: Share of the trials that is ended at each evaluation.
    """

    type: str
    evaluation_interval: int = 1
    delay_evaluation: int = 0
    slack_factor: float | None = None
    slack_amount: float | None = None
    truncation_percentage: int = 0


@dataclass(frozen=True)
class SweepSettings:
    """Settings of a sweep.

    Attributes:
        primary_metric: The MLflow metric that decides.
        is_maximized: Whether a larger value of it is better.
        max_total_trials: The number of trials; a grid may have fewer.
        max_concurrent_trials: How many may run at a time.
        timeout_seconds: Time for the whole sweep, or None.
        trial_timeout_seconds: Time for one trial, or None.
    """

    search_space: tuple[Hyperparameter, ...]
    sampling: Sampling
    primary_metric: str
    is_maximized: bool
    max_total_trials: int
    max_concurrent_trials: int
    termination: Termination | None = None
    timeout_seconds: int | None = None
    trial_timeout_seconds: int | None = None

    @property
    def num_trials(self) -> int:
        """The number of trials, which is that of the combinations of a smaller grid."""
        if self.sampling.type != "grid":
            return self.max_total_trials
        combinations = math.prod(len(parameter.choices) for parameter in self.search_space)
        return min(self.max_total_trials, combinations)


def read_sweep(sweep: Value, faults: FaultCollector) -> SweepSettings | None:
    """The settings in the mapping of a sweep node or sweep job; None if there are faults, which are collected."""
    num_faults = len(faults.faults)
    fields = Fields(sweep)
    sampling, base = Sampling(), math.e
    with faults.collecting():
        sampling, base = _sampling(fields)
    space = read_search_space(fields, faults, base=base)
    for parameter in space:
        with faults.collecting():
            _check_can_sample(sampling, parameter, sweep)
    metric, is_maximized = "", False
    with faults.collecting():
        metric, is_maximized = _objective(fields)
    termination = None
    with faults.collecting():
        termination = _termination(fields.fields("early_termination"))
    limits: Mapping[str, int | None] = {}
    with faults.collecting():
        limits = _limits(fields)
    if len(faults.faults) > num_faults:
        return None
    total = limits["max_total_trials"] or 1
    settings = SweepSettings(
        search_space=space,
        sampling=sampling,
        primary_metric=metric,
        is_maximized=is_maximized,
        max_total_trials=total,
        max_concurrent_trials=total,
        termination=termination,
        timeout_seconds=limits["timeout"],
        trial_timeout_seconds=limits["trial_timeout"],
    )
    at_a_time = limits["max_concurrent_trials"] or settings.num_trials
    return replace(settings, max_concurrent_trials=min(at_a_time, settings.num_trials))


def sweep_trial(trial: CommandSpec, settings: SweepSettings) -> CommandSpec:
    """The trial with every hyperparameter as an input, so that `${{search_space.x}}` is `${{inputs.x}}`."""
    searched = {
        parameter.name: trial.inputs.get(parameter.name) or InputSpec(parameter.name, "string")
        for parameter in settings.search_space
    }

    def binding(found: Binding) -> str:
        is_searched = found.parts[:1] == ("search_space",)
        return f"${{{{inputs.{'.'.join(found.parts[1:])}}}}}" if is_searched else found.written

    return replace(trial, command=replace_bindings(trial.command, binding), inputs={**trial.inputs, **searched})


def check_search_space(trial: CommandSpec, sweep: Value, settings: SweepSettings, faults: FaultCollector) -> None:
    """Collect hyperparameters that the trial cannot be given, and those that its command does not use."""
    used = {binding.parts[1:] for binding in bindings_in(trial.command) if len(binding.parts) > 1}
    for parameter in settings.search_space:
        place = sweep.children["search_space"].children[parameter.name].key_place
        port = trial.inputs.get(parameter.name)
        if port is not None and port.is_data:
            faults.add(f"The hyperparameter {parameter.name} is a {port.type} of the trial, not a parameter.", place)
        elif (parameter.name,) not in used:
            faults.add(f"The command of the trial does not use the hyperparameter {parameter.name}.", place)


def _sampling(fields: Fields) -> tuple[Sampling, float]:
    """The sampling algorithm, and the base of logarithms."""
    value = fields.get("sampling_algorithm")
    if value is None:
        return Sampling(), math.e
    inner = Fields(value) if value.is_mapping else None
    kind = (fields.text("sampling_algorithm") or "" if inner is None else inner.required_text("type")).lower()
    if kind not in SAMPLING_ALGORITHMS:
        raise value.key_place.error(
            f"{kind or value.shown} is not a sampling algorithm; there are {', '.join(SAMPLING_ALGORITHMS)}."
        )
    if inner is None or kind != "random":
        return Sampling(kind), math.e
    rule = (inner.text("rule") or "random").lower()
    if rule not in {"random", "sobol"}:
        raise inner.mapping.children["rule"].place.error(f"{rule} is not a rule of sampling: write random or sobol.")
    return Sampling(kind, rule, _count_from(inner, "seed", minimum=0) or 0), _base(inner)


def _base(fields: Fields) -> float:
    value = fields.get("logbase")
    if value is None or value.plain == "e":
        return math.e
    base = fields.number("logbase")
    if base is None or not base > 1:
        raise value.place.error(f"logbase must be e or a number above 1, not {value.shown}.")
    return float(base)


def _check_can_sample(sampling: Sampling, parameter: Hyperparameter, sweep: Value) -> None:
    place = sweep.children["search_space"].children[parameter.name].key_place
    if sampling.type == "grid" and parameter.type != "choice":
        raise place.error(
            f"Grid sampling takes choices alone, and {parameter.name} is of type {parameter.type}.",
            "List its values as a choice, or use random sampling.",
        )
    if sampling.type == "bayesian" and parameter.type not in _BAYESIAN_TYPES:
        raise place.error(
            f"Azure ML's Bayesian sampling takes choice, quniform and uniform alone, and {parameter.name} is of type "
            f"{parameter.type}.",
            "Use one of these, or random sampling.",
        )


def _objective(fields: Fields) -> tuple[str, bool]:
    objective = fields.fields("objective")
    if objective is None:
        raise fields.mapping.key_place.error(
            "The sweep has no objective.", "Write `objective: {goal: minimize, primary_metric: loss}`."
        )
    goal = objective.required_text("goal").lower()
    if goal not in _GOALS:
        raise objective.mapping.children["goal"].place.error(f"The goal is {goal}; write minimize or maximize.")
    return objective.required_text("primary_metric"), goal == "maximize"


def _termination(fields: Fields | None) -> Termination | None:
    if fields is None or not fields.mapping.children:
        return None
    kind = fields.required_text("type").lower()
    if kind not in POLICIES:
        raise fields.mapping.children["type"].place.error(
            f"{kind} is not an early-termination policy; there are {', '.join(POLICIES)}."
        )
    known = {"type", "evaluation_interval", "delay_evaluation", *POLICIES[kind]}
    for key, value in fields.mapping.children.items():
        if key not in known:
            raise value.key_place.error(f"The policy {kind} has no {key}.", f"It has {', '.join(sorted(known))}.")
    factor, amount = fields.number("slack_factor") or None, fields.number("slack_amount") or None
    if kind == "bandit" and (factor is None) == (amount is None):
        raise fields.mapping.key_place.error(
            "The policy bandit needs either slack_factor or slack_amount.", "For instance `slack_factor: 0.1`."
        )
    for key in ("slack_factor", "slack_amount"):
        if (fields.number(key) or 0) < 0:
            raise fields.mapping.children[key].place.error(f"{key} must not be negative.")
    percentage = _count_from(fields, "truncation_percentage", minimum=1) or 0
    if kind == "truncation_selection" and not 0 < percentage < _WHOLE_PERCENTAGE:
        raise fields.mapping.key_place.error("truncation_percentage must be a whole number from 1 to 99.")
    return Termination(
        kind,
        evaluation_interval=_count_from(fields, "evaluation_interval", minimum=0) or 1,
        delay_evaluation=_count_from(fields, "delay_evaluation", minimum=0) or 0,
        slack_factor=factor,
        slack_amount=amount,
        truncation_percentage=percentage,
    )


def _limits(fields: Fields) -> dict[str, int | None]:
    limits = fields.fields("limits")
    if limits is None or limits.get("max_total_trials") is None:
        owner = fields.mapping if limits is None else limits.mapping
        raise owner.key_place.error(
            "The sweep has no limits.max_total_trials.", "Write `limits: {max_total_trials: 20}`."
        )
    names = ("max_total_trials", "max_concurrent_trials", "timeout", "trial_timeout")
    found = {name: _count_from(limits, name, minimum=1) for name in names}
    if (found["max_total_trials"] or 0) > MAX_TRIALS:
        raise limits.mapping.children["max_total_trials"].place.error(f"A sweep has at most {MAX_TRIALS:,} trials.")
    return found


def _count_from(fields: Fields, key: str, *, minimum: int) -> int | None:
    """A whole number that may be missing."""
    value = fields.get(key)
    if value is None:
        return None
    number = fields.number(key)
    if number is None or not math.isfinite(number) or number != int(number) or number < minimum:
        raise value.key_place.error(f"{key} must be a whole number of at least {minimum}, not {value.shown}.")
    return int(number)
