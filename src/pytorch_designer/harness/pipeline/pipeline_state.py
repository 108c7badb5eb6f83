"""State of a pipeline: what `run_pipeline` returns, and the file in the run folder.

RUN/.pytorch-designer       the mark; see `folder_mark`
RUN/pipeline.json           the state of the pipeline and of each node, replaced at once on every change
RUN/pipeline.source.yaml    the text of the pipeline, where it was read from a file
RUN/events.jsonl            what happened, numbered; see `event_log`
RUN/requests/               requests to the run; see `run_requests`
RUN/.lock                   held while the pipeline runs
RUN/nodes/NAME/             the run folder of each node; see `run_folder`
RUN/nodes/NAME.key          key of a node that runs or was interrupted; see `reuse_key`
RUN/named-outputs/NAME/     outputs of the pipeline that were not given a folder
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.job.folder_mark import FolderKind, foreign_entries
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_folder import LOCK_FILE, LOCK_SECONDS, NODES_FOLDER, PIPELINE_FILE
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.output import write_atomically, writing_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path


SOURCE_FILE = "pipeline.source.yaml"


@dataclass(frozen=True)
class PipelineResult:
    """Result of a pipeline.

    Attributes:
        state: `completed`, `failed` (a node has failed), `canceled` (a node was, and none has failed), or, in the
            state file, `running`.
        nodes: By name, in an order in which each comes after those that it needs.
        outputs: The path of each output of the pipeline whose node has succeeded.
        run_folder: The run folder.
        run_id: The parent of the nodes' runs, also in MLflow.
        seconds: Duration.
        source: The file that it was read from, or the base folder of an object.
        inputs: Values of the pipeline's inputs, as text.
        database: The MLflow database, or None.
    """

    name: str
    state: str
    nodes: Mapping[str, NodeResult]
    outputs: Mapping[str, Path]
    run_folder: Path
    run_id: str
    started: float
    seconds: float | None = None
    source: Path | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    database: Path | None = None

    @property
    def has_succeeded(self) -> bool:
        """True if every node has its outputs that was asked for and that no condition has bypassed."""
        fine = {NodeState.LEFT_OUT, NodeState.BYPASSED}
        return all(node.state.has_succeeded or node.state in fine for node in self.nodes.values())

    @property
    def exit_code(self) -> int:
        """0, or 1 where a node failed."""
        return 0 if self.has_succeeded else 1

    @property
    def state_file(self) -> Path:
        """The file that `write_state` writes."""
        return self.run_folder / PIPELINE_FILE

    def with_node(self, node: NodeResult) -> PipelineResult:
        """This state with one node changed."""
        return replace(self, nodes={**self.nodes, node.name: node})

    def ended(self, state: str, outputs: Mapping[str, Path]) -> PipelineResult:
        """This state with the end of the pipeline."""
        return replace(self, state=state, outputs=outputs, seconds=time.time() - self.started)


def write_state(result: PipelineResult) -> None:
    """Replace the state file at once.

    Raises:
        FailedToWriteOutputsError: It cannot be written.
    """
    with writing_errors(result.run_folder):
        # It is written after every change: indenting takes three times as long, and flushing longer than a small job.
        data = (json.dumps(_plain(result)) + "\n").encode()
        write_atomically(result.state_file, data, is_flushed=result.state != "running")


@contextmanager
def prepared_folder(path: Path, outputs: Collection[Path] = ()) -> Iterator[None]:
    """Make the run folder of a pipeline, and keep a second run out of it while the context lasts.

    Args:
        path: The folder: new, empty, or that of an earlier run.
        outputs: Outputs that the user has named, which may be in it before.

    Raises:
        FailedToWriteOutputsError: It cannot be written, holds something that is not a run's, or a run uses it.
    """
    with ExitStack() as lock:
        with writing_errors(path):
            _make(path, outputs)
            _acquire(lock, path)
        yield


def _make(path: Path, outputs: Collection[Path]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if not FolderKind.PIPELINE.marks(path):
        _refuse_foreign(path, outputs)
        FolderKind.PIPELINE.mark(path)
    (path / NODES_FOLDER).mkdir(exist_ok=True)


def _refuse_foreign(path: Path, outputs: Collection[Path]) -> None:
    foreign = [name for name in foreign_entries(path, outputs) if not name.startswith(".")]
    if foreign:
        raise FailedToWriteOutputsError(
            "The run folder is not empty and not one of an earlier run of a pipeline; nothing in it was changed.",
            where=path,
            examples=foreign,
            advice="Name a new or empty folder.",
            reason="not_empty",
        )


def _acquire(lock: ExitStack, path: Path) -> None:
    try:
        lock.enter_context(held_lock(path / LOCK_FILE, timeout_seconds=LOCK_SECONDS))
    except Timeout:
        raise FailedToWriteOutputsError(
            "Another run of a pipeline uses this run folder.", where=path, advice="Wait for it, or name another folder."
        ) from None


def plain_node(node: NodeResult) -> dict[str, Any]:
    """A node as the state file and the events have it."""
    return {
        "state": node.state.value,
        "exit_code": node.exit_code,
        "started": node.started,
        "seconds": node.seconds,
        "peak_memory_bytes": node.peak_memory_bytes,
        "run_id": node.run_id,
        "error": node.error,
        "fault": None if node.fault is None else asdict(node.fault),
        "reused_from": node.reused_from,
        "reason": node.reason,
        "key": node.key,
        "run_folder": str(node.run_folder),
        "outputs": {port: str(path) for port, path in node.outputs.items()},
    }


def _plain(result: PipelineResult) -> dict[str, Any]:
    return {
        "pipeline": result.name,
        "state": result.state,
        "run_id": result.run_id,
        "process_id": os.getpid(),
        "started": result.started,
        "seconds": result.seconds,
        "outputs": {name: str(path) for name, path in result.outputs.items()},
        "source": None if result.source is None else str(result.source),
        "inputs": dict(result.inputs),
        "database": None if result.database is None else str(result.database),
        "nodes": {name: plain_node(node) for name, node in result.nodes.items()},
    }
