"""Checkpoints: the training state on disk, from which a killed run continues (docs/decisions/0011-resume.md).

    OUTPUT/.checkpoint/00000042.safetensors   network.*, momentum.*, input_means.*, best.*, confusion, outcomes.*,
                                              others.RANK.*
    OUTPUT/.checkpoint/00000042.json          position, history, fingerprint, number of processes, MLflow's run,
                                              SHA-256 of all this; written last
    OUTPUT/.checkpoint/*.partial              a file that a kill left half written; the next save removes it

The number is the position in the run: it grows with every step and with the end of every epoch. The JSON file is
renamed into place after the tensors are on disk: a checkpoint without it does not exist. The two newest are kept;
one that is not what a run writes is skipped for the one before. Nothing in these files is executed: safetensors and
JSON only, in regular files, of bounded size.

The first of several processes writes it. What differs in the others are buffers, such as the running statistics of
batch norm: those that do are `others.RANK.NAME`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from pytorch_designer.errors import FailedToWriteOutputsError, UnsupportedEnvironmentError
from pytorch_designer.reporting.outcomes import Outcomes
from pytorch_designer.storage.output import CHECKPOINT_FOLDER, sync_folder, write_atomically, writing_errors
from pytorch_designer.system.regular_files import open_regular
from pytorch_designer.tracking.destination import RunReference
from pytorch_designer.training.checkpoint_checks import (
    BEST,
    CONFUSION,
    INPUT_MEANS,
    MOMENTUM,
    NETWORK,
    OTHERS,
    OUTCOMES,
    RunExtent,
    check_num_processes,
    check_position,
    check_tensors,
    max_tensor_bytes,
)
from pytorch_designer.training.history import EpochRecord, MetricSums
from pytorch_designer.training.state import BestEpoch, TrainingState, copy_weights
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

_log = logging.getLogger(__name__)

_NUM_KEPT = 2
_PARTIAL = ".partial"
_BLOCK_BYTES = 1 << 20
_POSITION_BYTES, _EPOCH_BYTES = 4 << 20, 2 << 10  # a record of an epoch takes about 600
_NAME = re.compile(r"\d{8,}\.(json|safetensors|partial)|\.\d{8,}\.json\.partial")

_MAX_CHECKPOINT_SHARE = 0.02  # of the time of a run: on a slow disk, checkpoints become rarer
_LEAST_EPOCH_SHARE = 0.1  # of the time between checkpoints: shorter epochs do not each end with one
_FIRST_EPOCH_SHARE = 0.5  # likewise, as long as the cost of a checkpoint is unknown


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run below its output folder.

    Attributes:
        output: The output folder of the run.
        fingerprint: Hash of everything that determines the result; a checkpoint of another run is not used.
        extent: Epochs, steps, classes, validation images and processes of the run; a checkpoint with others is not one
            of it.
    """

    output: Path
    fingerprint: str
    extent: RunExtent

    @property
    def folder(self) -> Path:
        """Folder of the checkpoints."""
        return self.output / CHECKPOINT_FOLDER

    def save(self, state: TrainingState, position: int) -> None:
        """Write a checkpoint and drop all but the two newest.

        Raises:
            FailedToWriteOutputsError: The disk is full, or cannot be written; older checkpoints are intact.
        """
        with writing_errors(self.output):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._drop_partial()
            tensors_path = self.folder / f"{position:08d}.safetensors"
            partial = tensors_path.with_suffix(_PARTIAL)
            try:
                _write_tensors(partial, _tensors(state))
                content = _position(state) | {
                    "fingerprint": self.fingerprint,
                    "processes": self.extent.num_processes,
                }
                digest = _digest(content, _blocks(partial))
                partial.replace(tensors_path)
                sync_folder(self.folder)
                write_atomically(tensors_path.with_suffix(".json"), json.dumps(content | {"sha256": digest}).encode())
            except (OSError, FailedToWriteOutputsError):
                with suppress(OSError):  # a full disk has no room for half a file
                    partial.unlink()
                raise
            self._drop_old(position)

    def restore(self, state: TrainingState) -> bool:
        """Put the newest usable checkpoint into `state`, whose network and optimizer are freshly built.

        Returns:
            Whether there was one. Checkpoints of another run, and damaged ones, are named in the log and skipped.

        Raises:
            UnsupportedEnvironmentError: It is of this very run, with another number of processes.
        """
        self._refuse_planted_folder()
        is_of_another_run = False
        for path in self._newest_first():
            try:
                content = _read_position(path, max(_POSITION_BYTES, _EPOCH_BYTES * self.extent.num_epochs))
                if content["fingerprint"] != self.fingerprint:
                    is_of_another_run = True
                    continue
                self._refuse_other_processes(path, content)
                check_position(content, self.extent)
                tensors = self._read_tensors(path, content, state)
            except (OSError, ValueError) as error:
                _log.warning(
                    "The checkpoint %s is damaged, or was not written by this program: %s. It is passed over.",
                    path,
                    error.strerror if isinstance(error, OSError) and error.strerror else error,
                )
                continue
            _restore(state, content, tensors)
            return True
        if is_of_another_run:
            _log.warning(
                "The output holds a checkpoint of a run with other data, parameters, model or versions. "
                "It is not used: training starts from the beginning."
            )
            self.clear()
        return False

    def clear(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _refuse_other_processes(self, path: Path, content: dict[str, Any]) -> None:
        num_processes = check_num_processes(content)
        if num_processes == self.extent.num_processes:
            return
        own = {name: value for name, value in content.items() if name != "sha256"}
        if content.get("sha256") != _digest(own, _blocks(path.with_suffix(".safetensors"))):
            raise ValueError("it does not match its hash")
        raise UnsupportedEnvironmentError(
            f"The output holds a checkpoint of this run by {count(num_processes, 'process', 'processes')}; "
            f"{self.extent.num_processes} cannot continue it to the same result.",
            where=self.folder,
            advice=f"Run it with {count(num_processes, 'process', 'processes')} again (PYTORCH_DESIGNER_PROCESSES, or "
            "the number of nodes times that of their GPUs), or name another output folder to start anew.",
            reason="other_processes",
        )

    def _refuse_planted_folder(self) -> None:
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            _log.warning("%s is not a folder, as it would be if a run had made it. It is removed.", self.folder)
            with writing_errors(self.output):
                self.folder.unlink()

    def _read_tensors(self, path: Path, content: dict[str, Any], state: TrainingState) -> dict[str, Tensor]:
        data = _read_file(path.with_suffix(".safetensors"), max_tensor_bytes(state, self.extent))
        if content.pop("sha256", None) != _digest(content, [data]):
            raise ValueError("it does not match its hash")
        try:
            tensors: dict[str, Tensor] = load(data)
        except SafetensorError as error:
            raise ValueError(f"its tensors cannot be read: {error}") from error
        check_tensors(content, tensors, state, self.extent)
        return tensors

    def _own_files(self) -> list[Path]:
        """The files whose names this program gives, in order; others are left alone."""
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        return [path for path in paths if _NAME.fullmatch(path.name)]

    def _newest_first(self) -> list[Path]:
        return [path for path in reversed(self._own_files()) if path.suffix == ".json"]

    def _drop_partial(self) -> None:
        for path in self._own_files():
            if path.suffix == _PARTIAL:
                _remove(path)

    def _drop_old(self, position: int) -> None:
        """Keep two; those beyond `position` are damaged ones that this run has skipped."""
        reached = [path.stem for path in self._newest_first() if path.stem <= f"{position:08d}"]
        for path in self._own_files():
            if path.stem not in reached[:_NUM_KEPT]:
                _remove(path)


class CheckpointPolicy:
    """Checkpoint schedule: how much time lies between two saves.

    Args:
        store: Where the state is saved.
        seconds: Time between two checkpoints within an epoch. The end of an epoch gets one after a tenth of it.
            Checkpoints take at most 2 % of the time. 0 saves after every step, whatever it costs.
    """

    def __init__(self, store: CheckpointStore, seconds: float) -> None:
        self.store = store
        self._seconds = seconds
        self._saved_at = time.monotonic()
        self._step_seconds = seconds
        self._epoch_end_seconds = seconds * _FIRST_EPOCH_SHARE

    def is_due(self, *, is_epoch_end: bool) -> bool:
        """True if enough time has passed since the last save."""
        least_seconds = self._epoch_end_seconds if is_epoch_end else self._step_seconds
        return time.monotonic() - self._saved_at >= least_seconds

    def save(self, state: TrainingState, position: int) -> None:
        """Save now, and measure what it costs; all steps of `state` are done.

        Raises:
            FailedToWriteOutputsError: The checkpoint cannot be written.
        """
        started = time.monotonic()
        self.store.save(state, position)
        self._saved_at = time.monotonic()
        affordable = (self._saved_at - started) / _MAX_CHECKPOINT_SHARE if self._seconds else 0.0
        self._step_seconds = max(affordable, self._seconds)
        self._epoch_end_seconds = max(affordable, self._seconds * _LEAST_EPOCH_SHARE)


def _tensors(state: TrainingState) -> dict[str, Tensor]:
    tensors = {NETWORK + name: tensor for name, tensor in copy_weights(state.network).items()}
    for name, parameter in state.network.named_parameters():
        momentum = state.optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[MOMENTUM + name] = torch.empty(momentum.shape, dtype=momentum.dtype).copy_(momentum)
    tensors |= {INPUT_MEANS + name: mean for name, mean in state.input_means.items()}
    if state.best is not None:
        tensors |= {BEST + name: tensor for name, tensor in state.best.weights.items()}
        tensors[CONFUSION] = state.best.confusion
        if state.best.outcomes is not None:
            columns = vars(state.best.outcomes)
            tensors |= {OUTCOMES + name: torch.from_numpy(column) for name, column in columns.items()}
    return tensors | {
        f"{OTHERS}{rank}.{name}": tensor
        for rank, buffers in enumerate(state.buffers_of_others, 1)
        for name, tensor in buffers.items()
        if not torch.equal(tensor, tensors[NETWORK + name])
    }


def _position(state: TrainingState) -> dict[str, Any]:
    return {
        "history": [record.to_dict() for record in state.history],
        "step": state.step,
        "sums": state.sums.to_dict(),
        "seconds": state.seconds,
        "best_epoch": None if state.best is None else state.best.epoch,
        "tracked_run": None if state.tracked_run is None else state.tracked_run.to_dict(),
    }


def _restore(state: TrainingState, content: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    state.network.load_state_dict(_with_prefix(tensors, NETWORK))
    for name, parameter in state.network.named_parameters():
        if MOMENTUM + name in tensors:
            buffer = torch.empty_like(parameter, requires_grad=False).copy_(tensors[MOMENTUM + name])
            state.optimizer.state[parameter]["momentum_buffer"] = buffer
    state.input_means = _with_prefix(tensors, INPUT_MEANS)
    ranks = range(1, content.get("processes", 1))
    state.buffers_of_others = [_with_prefix(tensors, f"{OTHERS}{rank}.") for rank in ranks]
    state.history = [EpochRecord.from_dict(record) for record in content["history"]]
    state.step = content["step"]
    state.sums = MetricSums(**content["sums"])
    state.seconds = content["seconds"]
    state.tracked_run = RunReference.from_dict(content.get("tracked_run"))  # checkpoints of earlier releases have none
    if content["best_epoch"] is not None:
        columns = {name: tensor.numpy() for name, tensor in _with_prefix(tensors, OUTCOMES).items()}
        outcomes = Outcomes(**columns) if columns else None
        state.best = BestEpoch(content["best_epoch"], _with_prefix(tensors, BEST), tensors[CONFUSION], outcomes)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # instead of an OSError
        raise FailedToWriteOutputsError(f"The checkpoint could not be written: {error}.", where=path) from error
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _read_position(path: Path, max_bytes: int) -> dict[str, Any]:
    """The position of a checkpoint, unchecked but for its fingerprint; a ValueError says what is wrong with it."""
    try:
        content = json.loads(_read_file(path, max_bytes))
    except RecursionError as error:
        raise ValueError("its lists have too many levels") from error
    if not isinstance(content, dict) or not isinstance(content.get("fingerprint"), str):
        raise ValueError("it does not name a run")
    return content


def _read_file(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file, which is read instead of mapped: a mount that disappears would end the process."""
    if path.is_symlink():
        raise ValueError(f"{path.name} is a link")
    with os.fdopen(open_regular(path), "rb") as stream:
        num_bytes = os.fstat(stream.fileno()).st_size
        if num_bytes > max_bytes:
            raise ValueError(f"{path.name} has {num_bytes:,} bytes, more than a checkpoint of this run can have")
        return stream.read(max_bytes)


def _remove(path: Path) -> None:
    """Remove a file, or what somebody put in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _digest(content: dict[str, Any], tensors: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for block in tensors:
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with os.fdopen(open_regular(path), "rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
