"""Checkpoints: the training state on disk, from which a killed run continues (docs/decisions/0011-resume.md).

    OUTPUT/.checkpoint/00000042.safetensors   network.*, momentum.*, best.*, confusion
    OUTPUT/.checkpoint/00000042.json          position, history, fingerprint, MLflow's run, SHA-256 of all this;
                                              written last
    OUTPUT/.checkpoint/*.partial              a file that a kill left half written; the next save removes it

The number is the position in the run: it grows with every step and with the end of every epoch. The JSON file is
renamed into place after the tensors are on disk: a checkpoint without it does not exist. The two newest are kept;
one that does not match its hash is skipped for the one before. Nothing in these files is executed: safetensors and
JSON only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.storage.output import CHECKPOINT_FOLDER, sync_folder, write_atomically, writing_errors
from pytorch_designer.tracking.destination import RunReference
from pytorch_designer.training.history import EpochRecord, MetricSums
from pytorch_designer.training.state import BestEpoch, TrainingState, copy_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

_log = logging.getLogger(__name__)

_NUM_KEPT = 2
_PARTIAL = ".partial"
_BLOCK_BYTES = 1 << 20
_NETWORK, _MOMENTUM, _BEST, _CONFUSION = "network.", "momentum.", "best.", "confusion"

_MAX_CHECKPOINT_SHARE = 0.02  # of the time of a run: on a slow disk, checkpoints become rarer
_LEAST_EPOCH_SHARE = 0.1  # of the time between checkpoints: shorter epochs do not each end with one
_FIRST_EPOCH_SHARE = 0.5  # likewise, as long as the cost of a checkpoint is unknown


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run below its output folder.

    Attributes:
        output: The output folder of the run.
        fingerprint: Hash of everything that determines the result; a checkpoint of another run is not used.
    """

    output: Path
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
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
                content = _position(state) | {"fingerprint": self.fingerprint}
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
        """
        for path in self._newest_first():
            found = _read(path)
            if found is None:
                _log.warning("The checkpoint %s is damaged; using the one before it, if there is one.", path)
                continue
            content, tensors = found
            if content["fingerprint"] != self.fingerprint:
                _log.warning(
                    "The output holds a checkpoint of a run with other data, parameters, model or versions. "
                    "It is not used: training starts from the beginning."
                )
                self.clear()
                return False
            _restore(state, content, tensors)
            return True
        return False

    def clear(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"), reverse=True) if self.folder.is_dir() else []

    def _drop_partial(self) -> None:
        for path in self.folder.glob(f"*{_PARTIAL}"):
            path.unlink(missing_ok=True)

    def _drop_old(self, position: int) -> None:
        """Keep two; those beyond `position` are damaged ones that this run has skipped."""
        reached = [path.stem for path in self._newest_first() if path.stem <= f"{position:08d}"]
        for path in sorted(self.folder.iterdir()):
            if path.stem not in reached[:_NUM_KEPT]:
                path.unlink(missing_ok=True)


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
        """Whether enough time has passed since the last save."""
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
    tensors = {_NETWORK + name: tensor for name, tensor in copy_weights(state.network).items()}
    for name, parameter in state.network.named_parameters():
        momentum = state.optimizer.state.get(parameter, {}).get("momentum_buffer")
        if momentum is not None:
            tensors[_MOMENTUM + name] = torch.empty(momentum.shape, dtype=momentum.dtype).copy_(momentum)
    if state.best is not None:
        tensors |= {_BEST + name: tensor for name, tensor in state.best.weights.items()}
        tensors[_CONFUSION] = state.best.confusion
    return tensors


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
    state.network.load_state_dict(_with_prefix(tensors, _NETWORK))
    for name, parameter in state.network.named_parameters():
        if _MOMENTUM + name in tensors:
            buffer = torch.empty_like(parameter, requires_grad=False).copy_(tensors[_MOMENTUM + name])
            state.optimizer.state[parameter]["momentum_buffer"] = buffer
    state.history = [EpochRecord.from_dict(record) for record in content["history"]]
    state.step = content["step"]
    state.sums = MetricSums(**content["sums"])
    state.seconds = content["seconds"]
    state.tracked_run = RunReference.from_dict(content.get("tracked_run"))  # checkpoints of earlier releases have none
    if content["best_epoch"] is not None:
        state.best = BestEpoch(content["best_epoch"], _with_prefix(tensors, _BEST), tensors[_CONFUSION])


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # instead of an OSError
        raise FailedToWriteOutputsError(f"The checkpoint could not be written: {error}.", where=path) from error
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Position and tensors of a checkpoint, None if it is damaged.

    The tensors are read instead of mapped: a mapped file on a mount that disappears ends the process.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        tensors = path.with_suffix(".safetensors").read_bytes()
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.pop("sha256", None) != _digest(content, [tensors]):
        return None
    return content, load(tensors)


def _digest(content: dict[str, Any], tensors: Iterable[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for block in tensors:
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            yield block
