"""Forecast of a pipeline run: which nodes would be reused, which would run, and why. Nothing is run or copied.

A node after one that would run has no forecast: whether it is reused depends on what that one will write. The rounds of
a loop are followed as long as their results are kept.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError, NullOrEmptyError
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import PIPELINE_FILE
from pytorch_designer.harness.pipeline.control_plan import LoopRounds
from pytorch_designer.harness.pipeline.pipeline_reading import read_result
from pytorch_designer.harness.reuse.node_reuse import Reuse
from pytorch_designer.harness.reuse.reuse_explanation import FORCED, NOT_EMPTY, NOTHING_KEPT
from pytorch_designer.harness.sweep.sampling import open_sampler
from pytorch_designer.harness.sweep.sweep_run import trial_node
from pytorch_designer.harness.sweep.trial import trial_name
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults
    from pytorch_designer.harness.job.node import PlannedNode
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

_log = logging.getLogger(__name__)

REUSE_IS_OFF = "nothing is reused in this run"


@dataclass(frozen=True)
class NodeForecast:
    """Forecast for one node.

    Attributes:
        node: Its name.
        is_reused: True or False; None where that depends on a node that runs.
        reason: Why it runs, in one phrase; empty if it is reused.
        reused_from: When the result was made, in seconds since 1970, or None.
    """

    node: str
    is_reused: bool | None
    reason: str = ""
    reused_from: float | None = None


@dataclass(frozen=True)
class Selection:
    """Results that a run of some nodes takes from earlier runs.

    Attributes:
        kept: Nodes whose results are put into the run folder out of the cache.
        taken: Results of earlier runs, which are read where they are.
        paths: Outputs that the keys of `kept` depend on, by node and port.
    """

    kept: frozenset[str] = frozenset()
    taken: Mapping[str, NodeResult] = field(default_factory=dict)
    paths: Mapping[tuple[str, str], Path] = field(default_factory=dict)


def with_faults(faults: InjectedFaults) -> str:
    """Reason for which a node with injected faults runs."""
    return f"runs with {', '.join(faults.texts)}"


def forecast(request: PipelineRequest, stop: StopRequest | None = None) -> dict[str, NodeForecast]:
    """Forecast for each node that a run of `request` would run.

    Raises:
        InterruptedRunError: `stop` was requested while large inputs were read.
    """
    return _Forecast(request, open_reuse(request, stop or StopRequest())).nodes()


def select_results(request: PipelineRequest, reuse: Reuse | None) -> Selection:
    """Find what the chosen nodes need of those that are not: kept results, else those of the last run that has them.

    Raises:
        NullOrEmptyError: There is no result of a node that is needed.
    """
    if request.chosen is None:
        return Selection()
    nodes, chosen = request.plan.nodes, request.chosen
    needed = {need for name in chosen for need in nodes[name].needs} - chosen
    earlier = _EarlierRuns(request)
    paths: dict[tuple[str, str], Path] = {}
    kept, taken, missing = set(), {}, []
    for name, node in nodes.items():
        if name in chosen or not (needed & _with_all_after(name, nodes)):
            continue
        if reuse is not None and _is_kept(node, reuse, paths):
            if name in needed:
                kept.add(name)
            continue
        result = earlier.find(name)
        if result is not None:
            paths |= {(name, port): path for port, path in result.outputs.items()}
        if name in needed and result is None:
            missing.append(name)
        elif name in needed and result is not None:
            _warn_of_change(node, result, reuse, paths)
            taken[name] = result
    if missing:
        raise _missing(missing, nodes, chosen)
    return Selection(frozenset(kept), taken, paths)


def open_reuse(request: PipelineRequest, stop: StopRequest) -> Reuse | None:
    """The cache as the run sees it; None where there is none, or it cannot be written."""
    cache = request.cache
    if cache is None:
        return None
    try:
        with writing_errors(cache.folder):
            cache.claim()
    except FailedToWriteOutputsError as error:
        if not isinstance(error.__cause__, OSError):  # something else is in it: a mistake
            raise
        advice = "PYTORCH_DESIGNER_REUSE_CACHE can name another folder"
        _log.warning("Nothing is reused or kept (%s). %s Where: %s", advice, error.what, error.where)
        return None
    own = () if request.store is None else request.store.own_paths
    not_code = (*own, cache.folder, *request.outputs.values())
    return Reuse(cache, stop=stop, is_forced=request.is_forced, not_code=not_code, python=request.python)


class _Forecast:
    """Forecast of the nodes in the order in which they would run, with all rounds of loops whose nodes are kept."""

    def __init__(self, request: PipelineRequest, reuse: Reuse | None) -> None:
        self._request = request
        self._reuse = reuse
        self._paths: dict[tuple[str, str], Path] = {}
        self._loops = [LoopRounds(loop) for loop in request.plan.loops]
        self._found: dict[str, NodeForecast] = {}

    def nodes(self) -> dict[str, NodeForecast]:
        chosen = self._request.chosen
        waiting = {name: node for name, node in self._request.plan.nodes.items() if chosen is None or name in chosen}
        while waiting:
            for name, node in list(waiting.items()):
                if not any(rounds.holds(name, node) for rounds in self._loops):
                    self._found[name] = self._node(waiting.pop(name))
            for rounds in self._loops:
                if rounds.is_open and waiting.keys().isdisjoint(rounds.loop.body):
                    self._further_rounds(rounds)
        return {name: self._found[name] for name in self._request.plan.nodes if name in self._found}

    def _further_rounds(self, rounds: LoopRounds) -> None:
        """Go on as the loop would, until a node of a round runs: what comes after that is not known."""
        body = rounds.loop.body
        while self._goes_on(rounds):
            self._forget(body)
            for name, node in body.items():
                found = self._node(node)
                words = f"round {rounds.number}: {found.reason}" if found.reason else ""
                self._found[name] = replace(found, reason=words)
        if not all(self._found[name].is_reused for name in body if name in self._found):
            self._forget(body)

    def _goes_on(self, rounds: LoopRounds) -> bool:
        """True if the loop has another round, as far as the results of this one are kept."""
        try:
            return rounds.end_round({name: self._state(name) for name in rounds.loop.body}, self._paths)
        except DesignerError:
            return False

    def _forget(self, names: Collection[str]) -> None:
        self._paths = {key: path for key, path in self._paths.items() if key[0] not in names}

    def _state(self, name: str) -> NodeResult:
        is_reused = name in self._found and self._found[name].is_reused
        return NodeResult(name, self._request.run_folder, NodeState.REUSED if is_reused else NodeState.FAILED)

    def _node(self, node: PlannedNode) -> NodeForecast:
        reuse, request = self._reuse, self._request
        if reuse is None or node.name in request.faults:
            faults = request.faults.get(node.name)
            return NodeForecast(node.name, is_reused=False, reason=with_faults(faults) if faults else REUSE_IS_OFF)
        unknown = sorted(name for name in node.needs if not any(owner == name for owner, _ in self._paths))
        if unknown and node.spec.is_deterministic and not request.is_forced:
            return NodeForecast(node.name, is_reused=None, reason=f"depends on what {', '.join(unknown)} will write")
        try:
            return self._known_node(node, reuse, has_inputs=not unknown)
        except (OSError, DesignerError) as error:
            return NodeForecast(node.name, is_reused=False, reason=str(error).splitlines()[0])

    def _known_node(self, node: PlannedNode, reuse: Reuse, *, has_inputs: bool) -> NodeForecast:
        """The forecast of a node that depends on nothing that another will write."""
        unmet = [condition for condition in node.conditions if has_inputs and not condition.is_met(self._paths)]
        if unmet:
            why = f"bypassed: the condition of {unmet[0].name} is {unmet[0].source.text(self._paths)}"
            return NodeForecast(node.name, is_reused=None, reason=why)
        if node.sweep is not None and has_inputs:
            return NodeForecast(node.name, is_reused=False, reason=self._trials(node, node.sweep, reuse))
        parts = reuse.parts(node, self._paths) if has_inputs else None
        entry = None if parts is None or self._request.is_forced else reuse.find(parts)
        if entry is None:
            return NodeForecast(node.name, is_reused=False, reason=reuse.why_it_runs(node, parts))
        outputs = self._request.outputs
        named = {port: outputs[output] for port, output in node.pipeline_outputs.items() if output in outputs}
        if reuse.occupied(entry, named):
            return NodeForecast(node.name, is_reused=False, reason=NOT_EMPTY)
        self._paths |= {(node.name, port): path for port, path in reuse.output_paths(entry).items()}
        return NodeForecast(node.name, is_reused=True, reused_from=entry.stored)

    def _trials(self, node: PlannedNode, settings: SweepSettings, reuse: Reuse) -> str:
        """Forecast for the trials of a sweep; the sweep itself always runs."""
        if not node.spec.is_deterministic or self._request.is_forced:
            return reuse.why_it_runs(node, None)
        sampler = open_sampler(settings)
        if sampler.looks_back:
            return "its trials are chosen while it runs; each is reused where its result is kept"
        num_kept, reason = 0, ""
        for number in range(settings.num_trials):
            trial = trial_node(node, number, sampler.values(number))
            parts = reuse.parts(trial, self._paths)
            if parts is not None and reuse.find(parts) is not None:
                num_kept += 1
            else:
                reason = reason or f"; {trial_name(number)}: {reuse.why_it_runs(trial, parts)}"
        return f"{num_kept} of {count(settings.num_trials, 'trial')} would be reused{reason}"


def _is_kept(node: PlannedNode, reuse: Reuse, paths: dict[tuple[str, str], Path]) -> bool:
    known = {owner for owner, _ in paths}
    if not node.needs <= known:
        return False
    try:
        parts = reuse.parts(node, paths)
        entry = None if parts is None else reuse.find(parts)
    except (OSError, DesignerError):
        return False
    if entry is None:
        return False
    paths |= {(node.name, port): path for port, path in reuse.output_paths(entry).items()}
    return True


def _warn_of_change(
    node: PlannedNode, result: NodeResult, reuse: Reuse | None, paths: Mapping[tuple[str, str], Path]
) -> None:
    known = {owner for owner, _ in paths}
    if reuse is None or result.key is None or not node.needs <= known:
        return
    parts = reuse.parts(node, paths)
    if parts is not None and parts.key != result.key:
        why = reuse.why_it_runs(node, parts)
        shown = "what it depends on has changed since" if why in {NOTHING_KEPT, FORCED} else f"changed since: {why}"
        _log.warning("%s is taken from %s; %s", node.name, result.run_folder, shown)


def _with_all_after(name: str, nodes: Mapping[str, PlannedNode]) -> set[str]:
    found = {name}
    for other, node in nodes.items():
        if node.needs & found:
            found.add(other)
    return found


def _missing(missing: list[str], nodes: Mapping[str, PlannedNode], chosen: frozenset[str]) -> NullOrEmptyError:
    users = sorted(name for name in chosen if nodes[name].needs & {*missing})
    names = ", ".join(missing)
    return NullOrEmptyError(
        f"{', '.join(users)} cannot run alone: there is no result of {names}, neither kept nor of an earlier run.",
        where=names,
        advice=f"Run from there (`--from {missing[0]}`), or the whole pipeline once.",
        reason="no_result",
    )


class _EarlierRuns:
    """Runs of the same pipeline, the latest first: that of the run folder, and those beside it."""

    def __init__(self, request: PipelineRequest) -> None:
        self._request = request
        self._runs: list[PipelineResult] | None = None

    def find(self, name: str) -> NodeResult | None:
        """The node's last result whose outputs are there."""
        if self._runs is None:
            self._runs = self._read()
        for run in self._runs:
            node = run.nodes.get(name)
            if node is not None and node.state.has_succeeded and all(path.exists() for path in node.outputs.values()):
                made = node.reused_from or node.started or run.started
                return replace(node, state=NodeState.REUSED, reused_from=made, reason=None)
        return None

    def _read(self) -> list[PipelineResult]:
        folder = self._request.run_folder
        runs = []
        for place in {folder, *(path.parent for path in folder.parent.glob(f"*/{PIPELINE_FILE}"))}:
            try:
                run = read_result(place)
            except DesignerError:  # none, or damaged
                continue
            if run.source == self._request.plan.pipeline.source:
                runs.append(run)
        return sorted(runs, key=lambda run: run.started, reverse=True)
