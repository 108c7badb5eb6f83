"""Run folder of a job, laid out like what `az ml job download --all` fetches.

RUN/.pytorch-designer                the mark; see `folder_mark`
RUN/.lock                            held while the job runs
RUN/run.json                         what ran, with which values, and how it ended; see `RunRecord`
RUN/user_logs/std_log.txt            output of the process; std_log_process_00.txt ... where there are several
RUN/outputs/, RUN/logs/              what the job wrote to ./outputs and ./logs
RUN/named-outputs/NAME/              output ports that were not given a folder
RUN/mlflow/                          what the job logged, if it has another MLflow; see `file_tracking`
RUN/work/node_0/                     working directory of each node; removed when the job succeeds
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.job.folder_mark import FolderKind, foreign_entries, remove_own
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.output import write_atomically, writing_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

RUNS_FOLDER = "runs"  # in the working directory: the run folders of those who name none
RECORD_FILE = "run.json"
PIPELINE_FILE = "pipeline.json"
NODES_FOLDER = "nodes"
LOCK_FILE = ".lock"
LOCK_SECONDS = 0.5  # who asks whether a run goes on holds the lock for a moment
_COLLECTED = ("outputs", "logs")
_LOGS = "user_logs"
_WORK = "work"
_STAGED = "staged-outputs"
TRACKING_FOLDER = "mlflow"
_NOT_IN_NAMES = re.compile(r"[^\w.-]|^\.")
_MAX_NAME = 60


def new_run_folder(label: str, folder: Path | None = None) -> Path:
    """Make a run folder, named after what runs in it and the time.

    Args:
        label: What runs in it.
        folder: Where the run folders are; None: `./runs`.

    Raises:
        FailedToWriteOutputsError: It cannot be made.
    """
    runs = (Path(RUNS_FOLDER) if folder is None else folder).absolute()
    name = f"{_NOT_IN_NAMES.sub('_', label)[:_MAX_NAME]}-{time.strftime('%Y%m%d-%H%M%S')}"
    with writing_errors(runs):
        runs.mkdir(exist_ok=True)
        for number in itertools.count(1):
            made = runs / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):  # of another run that was started in the same second
                made.mkdir()
                break
    return made


@dataclass(frozen=True)
class RunRecord:
    """The content of run.json, plain data. Values of environment variables are left out: they may be secrets.

    Attributes:
        state: `running`, `completed`, `failed` or `canceled`. A harness that was killed leaves `running`.
        started: Seconds since 1970.
        exit_code: That of the job; None while it runs, or where it was canceled.
        error: The named error that ended it, as a message, or None.
        database: The MLflow database that the run is in, or None.
    """

    state: str
    run_id: str
    component: str
    version: str | None
    source: str
    command: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    environment_variables: tuple[str, ...]
    started: float
    seconds: float | None = None
    exit_code: int | None = None
    peak_memory_bytes: int | None = None
    error: str | None = None
    database: str | None = None

    def ended(self, state: str, **fields: Any) -> RunRecord:
        """This record with the outcome of the run; `fields` are the other fields to change."""
        return replace(self, state=state, **{"seconds": time.time() - self.started, **fields})


class RunFolder:
    """Folder of one run: created, filled and read."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def prepare(self, outputs: Collection[Path] = ()) -> None:
        """Create and mark the folder.

        What an earlier run left in it is removed, except its named outputs: a job that is started again finds what it
        wrote before, as on Azure ML.

        Args:
            outputs: Where the outputs of the job go, which may be in the folder before it is marked.

        Raises:
            FailedToWriteOutputsError: It cannot be written, or holds something without the mark of an earlier run.
        """
        with writing_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self.check_own(outputs)
            FolderKind.JOB.mark(self.path)
            for name in (*_COLLECTED, _LOGS, _WORK, _STAGED, TRACKING_FOLDER, RECORD_FILE):
                remove_own(self.path / name)
            (self.path / _LOGS).mkdir()

    @contextmanager
    def held(self, outputs: Collection[Path] = ()) -> Iterator[None]:
        """Create and mark the folder, and keep a second job out of it while the context lasts.

        Args:
            outputs: As for `prepare`.

        Raises:
            FailedToWriteOutputsError: As `prepare` says, or another job runs in it.
        """
        with ExitStack() as lock:
            with writing_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                self.check_own(outputs)
                FolderKind.JOB.mark(self.path)
                try:
                    lock.enter_context(held_lock(self.path / LOCK_FILE, timeout_seconds=LOCK_SECONDS))
                except Timeout:
                    raise FailedToWriteOutputsError(
                        "Another run uses this run folder.",
                        where=self.path,
                        advice="Wait for it, or name another folder.",
                        reason="in_use",
                    ) from None
            yield

    def check_own(self, outputs: Collection[Path] = ()) -> None:
        """Refuse a folder that `prepare` would refuse; changes nothing.

        Raises:
            FailedToWriteOutputsError: It is a file, or holds something without the mark of an earlier run.
        """
        with writing_errors(self.path):
            if not self.path.exists() or FolderKind.JOB.marks(self.path):
                return
            foreign = foreign_entries(self.path, outputs)
        if foreign:
            raise FailedToWriteOutputsError(
                "The run folder is not empty and not one of an earlier run; nothing in it was changed.",
                where=self.path,
                examples=foreign,
                advice="Name a new or empty folder.",
                reason="not_empty",
            )

    def log_files(self, num_processes: int) -> tuple[Path, ...]:
        """The log of every process, by rank."""
        if num_processes == 1:
            return (self.path / _LOGS / "std_log.txt",)
        return tuple(self.path / _LOGS / f"std_log_process_{rank:02d}.txt" for rank in range(num_processes))

    def working_directory(self, node_rank: int) -> Path:
        """Working directory of a node."""
        return self.path / _WORK / f"node_{node_rank}"

    def make_collected(self, num_nodes: int) -> None:
        """Make ./outputs and ./logs in each node's working directory, where a job finds them on Azure ML.

        Raises:
            FailedToWriteOutputsError: One cannot be made.
        """
        for node_rank in range(num_nodes):
            for name in _COLLECTED:
                folder = self.working_directory(node_rank) / name
                if not folder.is_file():  # a file of the code; the job then has no such folder
                    with writing_errors(folder):
                        folder.mkdir(exist_ok=True)

    def default_output(self, name: str) -> Path:
        """Default folder of an output."""
        return self.path / "named-outputs" / name

    def staged_output(self, name: str) -> Path:
        """Staging folder of an output of mode `upload`."""
        return self.path / _STAGED / name

    def collect(self, num_nodes: int) -> None:
        """Move what the nodes wrote to ./outputs and ./logs here; of one file by two nodes, the first node's stays.

        Raises:
            FailedToWriteOutputsError: A file cannot be moved.
        """
        with writing_errors(self.path):
            for name in _COLLECTED:
                (self.path / name).mkdir(exist_ok=True)
                for node_rank in range(num_nodes):
                    move_into(self.working_directory(node_rank) / name, self.path / name)

    def copy_collected(self, folder: Path) -> None:
        """Copy what was collected into an output that stands for it; see `vocabulary.COLLECTED_OUTPUTS`.

        Raises:
            FailedToWriteOutputsError: A file cannot be copied.
        """
        with writing_errors(folder):
            for name in _COLLECTED:
                shutil.copytree(self.path / name, folder / name, symlinks=True, dirs_exist_ok=True)

    def remove_working_directories(self) -> None:
        """Remove the nodes' working directories, and what was staged there, where that is possible."""
        for name in (_WORK, _STAGED):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def write_record(self, record: RunRecord) -> None:
        """Replace run.json at once.

        Raises:
            FailedToWriteOutputsError: It cannot be written.
        """
        with writing_errors(self.path):
            data = (json.dumps(asdict(record), indent=2) + "\n").encode()
            write_atomically(self.path / RECORD_FILE, data, is_flushed=False)


def is_run_folder(path: Path) -> bool:
    """True if `path` is the folder of an earlier or running run, of a component or pipeline."""
    return FolderKind.JOB.marks(path) or FolderKind.PIPELINE.marks(path)


def is_held(run_folder: Path) -> bool:
    """True if a program runs a job or pipeline in this folder at the moment: its lock dies with it."""
    lock = run_folder / LOCK_FILE
    if not lock.exists():
        return False
    try:
        with held_lock(lock, timeout_seconds=0):
            return False
    except Timeout:
        return True
    except OSError:  # a folder that cannot be written: nobody runs anything in it
        return False


def move_into(source: Path, target: Path, *, replaces: bool = False) -> None:
    """Move the content of the folder `source`, if there is one, into the folder `target`.

    Args:
        source: Is left with what was not moved.
        target: An existing folder.
        replaces: Whether a file that is there already is replaced; otherwise it stays.

    Raises:
        OSError: An entry cannot be moved.
    """
    if not source.is_dir():
        return
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and not entry.is_symlink() and place.is_dir():
            move_into(entry, place, replaces=replaces)
            continue
        if replaces and place.is_file():
            place.unlink()
        if not place.exists():
            shutil.move(entry, place)
