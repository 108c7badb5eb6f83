"""Node of a flat pipeline: what it runs, on which conditions, its state and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.errors import DesignerError
    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.schema.binding_scope import Source
    from pytorch_designer.harness.schema.specification import CommandSpec


@dataclass(frozen=True)
class Condition:
    """Condition of an `if_else` node on the nodes in its blocks.

    Attributes:
        name: The name of the `if_else` node.
        source: The value that decides.
        expected: Whether the nodes run where the value is true, or where it is not.
    """

    name: str
    source: Source
    expected: bool

    def is_met(self, paths: Mapping[tuple[str, str], Path]) -> bool:
        """True if the nodes run, given the paths of the outputs that the value needs."""
        return (self.source.text(paths).strip().lower() == "true") is self.expected


@dataclass(frozen=True)
class PlannedNode:
    """Node of a flat pipeline, which can run once the outputs that it needs exist.

    Attributes:
        name: Its name, after those of the nodes around it: `outer.inner`.
        spec: Its component, with the node's overrides; that of a sweep is its trial.
        inputs: Given values by input; others have their defaults.
        environment_variables: By name.
        pipeline_outputs: The output of the whole pipeline that each output is, if it is one.
        needs: The names of the nodes whose outputs it needs.
        sweep: How its trials are chosen, if it is a sweep; else it is one job.
        num_workers: Number of processes that a parallel job starts itself.
        conditions: All must be met, or it is bypassed.
    """

    name: str
    spec: CommandSpec
    inputs: Mapping[str, Source]
    environment_variables: Mapping[str, Source]
    pipeline_outputs: Mapping[str, str]
    needs: frozenset[str]
    sweep: SweepSettings | None = None
    num_workers: int = 1
    conditions: tuple[Condition, ...] = ()

    @property
    def num_processes(self) -> int:
        """Number of processes at a time, with workers, and all trials that may run side by side."""
        at_a_time = self.num_workers if self.sweep is None else self.sweep.max_concurrent_trials
        return self.spec.num_processes * at_a_time


class NodeState(str, Enum):
    """State of a node, by the words of the state file.

    `interrupted`: the program that ran it has died; only who reads the state later finds that. `left out`: it was not
    asked for (`run --only`).
    """

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    BYPASSED = "bypassed"  # a condition was not met
    INTERRUPTED = "interrupted"
    LEFT_OUT = "left out"

    @property
    def has_succeeded(self) -> bool:
        """True if its outputs are there."""
        return self in {NodeState.COMPLETED, NodeState.REUSED}

    @property
    def has_ended(self) -> bool:
        """True if nothing more happens to it."""
        return self not in {NodeState.WAITING, NodeState.RUNNING}


@dataclass(frozen=True)
class NodeFault:
    """Named error that ended a node: of the harness, or of the component, which wrote it to ./outputs.

    Attributes:
        name: The error's class.
        code: Its code, or None.
        what: One sentence: what is wrong.
        where: The path, port or parameter at fault, or None.
        advice: What to do about it, or empty.
        examples: Offending items.
        reason: A stable word for programs, or None.
    """

    name: str
    what: str
    code: str | None = None
    where: str | None = None
    advice: str = ""
    examples: tuple[str, ...] = ()
    reason: str | None = None

    @classmethod
    def of(cls, error: DesignerError) -> NodeFault:
        """The fault that a named error is."""
        return cls(error.name, error.what, error.code, error.where, error.advice, error.examples, error.reason)


@dataclass(frozen=True)
class NodeResult:
    """State and result of a node.

    Attributes:
        name: Its name, after those of the pipelines around it: `outer.inner`.
        run_folder: Its logs and collected files; see `run_folder`.
        outputs: The path of each output.
        exit_code: That of its job, or None where no job ran to its own end.
        seconds: How long its job took.
        peak_memory_bytes: See `job.JobResult`.
        run_id: Its MLflow run, or None where it did not start.
        error: Message that says why it failed or was not run, or None.
        reused_from: When the result that it reuses was made, in seconds since 1970, or None.
        key: See `reuse_key`; None where it is not deterministic.
        log_files: The log of every process, by rank.
        reason: Why it ran although results are kept, where that was asked for, or None.
        fault: The named error that ended it, or None.
    """

    name: str
    run_folder: Path
    state: NodeState = NodeState.WAITING
    outputs: Mapping[str, Path] = field(default_factory=dict)
    exit_code: int | None = None
    started: float | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    run_id: str | None = None
    error: str | None = None
    reused_from: float | None = None
    key: str | None = None
    log_files: tuple[Path, ...] = ()
    reason: str | None = None
    fault: NodeFault | None = None
