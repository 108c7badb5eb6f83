"""Results of components and pipelines in tests, with assertions that show the log."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.job.node import NodeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_ERROR_INFO = "outputs/error_info.json"
_TAIL_LINES = 40


@dataclass(frozen=True)
class Run:
    """One job that has ended.

    Attributes:
        name: What was run.
        exit_code: That of the job, 128 + n where signal n ended it; None: a node that did not start.
        outputs: The path of each output.
        run_folder: Its logs, and what it wrote to ./outputs and ./logs.
        log: Standard output and standard error; of several processes one after the other.
        metrics: What it logged to MLflow: the step and value of each metric, in the order of the steps.
        parameters: What it logged to MLflow.
        error_info: The content of ./outputs/error_info.json if it wrote that, or None. Components of this project do
            when they fail: `name` and `code` of the error, `what` is wrong and `where`.
    """

    name: str
    exit_code: int | None
    outputs: Mapping[str, Path]
    run_folder: Path
    log: str = field(repr=False)
    metrics: Mapping[str, list[tuple[int, float]]]
    parameters: Mapping[str, str]
    error_info: Mapping[str, Any] | None

    @property
    def has_succeeded(self) -> bool:
        """True if the exit code is 0."""
        return self.exit_code == 0

    def assert_succeeded(self) -> None:
        """Fail the test, with the end of the log, unless the exit code is 0."""
        assert self.has_succeeded, self._story(f"ended with exit code {self.exit_code}")

    def assert_failed(self, named_error: str | type[Exception] | None = None, *, exit_code: int | None = None) -> None:
        """Fail the test, with the end of the log, unless the job ended with another exit code than 0.

        Args:
            named_error: The `name` in its error_info.json, or an exception class of that name.
            exit_code: The code that it must have ended with.
        """
        assert self.exit_code != 0, self._story("succeeded, but should have failed")
        if exit_code is not None:
            told = self._story(f"ended with exit code {self.exit_code}, not {exit_code}")
            assert self.exit_code == exit_code, told
        if named_error is not None:
            expected = named_error if isinstance(named_error, str) else named_error.__name__
            found = None if self.error_info is None else self.error_info.get("name")
            assert found == expected, self._story(f"failed with the named error {found}, not {expected}")

    def _story(self, what: str) -> str:
        lines = self.log.splitlines()
        return "\n".join([f"{self.name} {what}. The end of its log:", *lines[-_TAIL_LINES:]])


@dataclass(frozen=True)
class ComponentRun(Run):
    """A component that was run by itself.

    Attributes:
        seconds: How long its processes ran.
        fault_notes: What the faults have done, a sentence each.
        rerun: Runs it once more without faults, on the same outputs, as a preempted job is started again.
        warnings: What Azure ML passes although it is suspicious, one line each, as the command `run` says it.
    """

    seconds: float
    fault_notes: tuple[str, ...]
    rerun: Callable[[], ComponentRun] = field(repr=False)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeRun(Run):
    """A node of a pipeline.

    Attributes:
        state: `completed`, `reused`, `failed`, `skipped` (what it needs has failed) or `canceled`.
        error: Why it failed or was not run, as a message, or None.
    """

    state: str
    error: str | None

    @property
    def has_succeeded(self) -> bool:
        """True if there is a result: of this run, or of the run that it is reused from, without an exit code here."""
        return NodeState(self.state).has_succeeded


@dataclass(frozen=True)
class PipelineRun:
    """A pipeline that has ended.

    Attributes:
        nodes: By name, those of nested pipelines as `outer.inner`.
        outputs: The path of each output of the pipeline whose node has succeeded.
        run_folder: Where everything is.
        warnings: What Azure ML passes although it is suspicious, one line each, as the command `run` says it.
    """

    name: str
    nodes: Mapping[str, NodeRun]
    outputs: Mapping[str, Path]
    run_folder: Path
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def has_succeeded(self) -> bool:
        """True if all nodes have succeeded, but for those that a condition has bypassed; one that was reused has."""
        return not self._failed

    @property
    def _failed(self) -> list[NodeRun]:
        bypassed = NodeState.BYPASSED.value
        return [node for node in self.nodes.values() if not node.has_succeeded and node.state != bypassed]

    def assert_succeeded(self) -> None:
        """Fail the test, with the end of the log of each node that failed, unless all have succeeded."""
        failed = self._failed
        told = [f"{node.name} is {node.state}: {node.error}\n{node.log}" for node in failed]
        assert not failed, "\n".join([f"The pipeline {self.name} failed.", *told])

    def assert_failed(self, node: str, named_error: str | type[Exception] | None = None) -> None:
        """Fail the test unless that node failed, with that named error where one is given."""
        self.nodes[node].assert_failed(named_error)


def read_log(log_files: Iterable[Path]) -> str:
    """The logs of all processes, one after the other."""
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in log_files if path.exists())


def read_error_info(run_folder: Path) -> dict[str, Any] | None:
    """The content of ./outputs/error_info.json, or None."""
    path = run_folder / _ERROR_INFO
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def read_metrics(database: Path | None, run_id: str | None) -> dict[str, list[tuple[int, float]]]:
    """The metrics of a run in an MLflow database, by name; empty without one."""
    metrics: dict[str, list[tuple[int, float]]] = {}
    select = "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step, timestamp"
    for key, step, value, is_nan in _rows(database, select, run_id):
        metrics.setdefault(key, []).append((step, float("nan") if is_nan else value))
    return metrics


def read_parameters(database: Path | None, run_id: str | None) -> dict[str, str]:
    """The parameters of a run in an MLflow database; empty without one."""
    return dict(_rows(database, "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", run_id))


def _rows(database: Path | None, select: str, run_id: str | None) -> list[tuple[Any, ...]]:
    if database is None or run_id is None:
        return []
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(select, (run_id,)).fetchall()
