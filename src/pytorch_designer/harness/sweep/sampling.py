"""Sampling of hyperparameters: random numbers, Sobol's sequence and Bayesian search by Optuna, and the grid itself.

With the same seed and results the same values are drawn in the same order, so that a sweep that is started again finds
its trials kept. Bayesian search learns the results of earlier trials in the order of their numbers, not of their ends.
"""

from __future__ import annotations

import importlib.util
import itertools
import warnings
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from optuna import Study, Trial

    from pytorch_designer.harness.node_kinds.search_space import Hyperparameter
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.schema.specification import Scalar

_MAX_DRAWN_AT_RANDOM = 10


class TrialSampler(Protocol):
    """Source of the values of trials, by number from 0."""

    looks_back: bool
    """True if values depend on the results of earlier trials."""

    def values(self, number: int) -> dict[str, Scalar]:
        """The values of the next trial; `number` counts up from 0."""

    def tell(self, number: int, result: float | None) -> None:
        """Take the result of a trial; None where it has none."""


def needs_optuna(settings: SweepSettings) -> bool:
    """True if a sweep needs Optuna and it is not installed."""
    return settings.sampling.type != "grid" and importlib.util.find_spec("optuna") is None


def open_sampler(settings: SweepSettings) -> TrialSampler:
    """The sampler of a sweep."""
    return _Grid(settings) if settings.sampling.type == "grid" else _Drawn(settings)


class _Grid:
    """All combinations of choices; the last hyperparameter changes fastest."""

    looks_back = False

    def __init__(self, settings: SweepSettings) -> None:
        self._names = [parameter.name for parameter in settings.search_space]
        choices = (parameter.choices for parameter in settings.search_space)
        self._combinations = list(itertools.islice(itertools.product(*choices), settings.num_trials))

    def values(self, number: int) -> dict[str, Scalar]:
        return dict(zip(self._names, self._combinations[number], strict=True))

    def tell(self, number: int, result: float | None) -> None:
        """Drop the result."""


class _Drawn:
    """Values that Optuna draws."""

    def __init__(self, settings: SweepSettings) -> None:
        self._space = settings.search_space
        self._is_bayesian = settings.sampling.type == "bayesian"
        self.looks_back = self._is_bayesian
        self._study = _study(settings)
        self._trials: list[Trial] = []

    def values(self, number: int) -> dict[str, Scalar]:
        trial = self._study.ask()
        self._trials.append(trial)
        return {parameter.name: parameter.value(self._coordinate(trial, parameter)) for parameter in self._space}

    def tell(self, number: int, result: float | None) -> None:
        from optuna.trial import TrialState

        if result is None:
            self._study.tell(self._trials[number], state=TrialState.FAIL)
        else:
            self._study.tell(self._trials[number], result)

    def _coordinate(self, trial: Trial, parameter: Hyperparameter) -> float:
        if not parameter.is_discrete:
            return trial.suggest_float(parameter.name, 0.0, 1.0)
        last = len(parameter.choices) - 1
        if self._is_bayesian and parameter.type == "choice":  # choices have no order
            return int(trial.suggest_categorical(parameter.name, range(last + 1)))
        return trial.suggest_int(parameter.name, 0, last)


def _study(settings: SweepSettings) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = settings.sampling.seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: optuna.samplers.BaseSampler
        if settings.sampling.type == "bayesian":
            num_random = min(_MAX_DRAWN_AT_RANDOM, max(settings.max_total_trials // 3, 1))
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=num_random)
        elif settings.sampling.rule == "sobol":
            sampler = optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
        else:
            sampler = optuna.samplers.RandomSampler(seed=seed)
        return optuna.create_study(sampler=sampler, direction="maximize" if settings.is_maximized else "minimize")
