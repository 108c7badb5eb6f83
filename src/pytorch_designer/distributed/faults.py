"""Faults of the processes of a run, as they tell each other."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InterruptedRunError, LostProcessError, OtherProcessError
from pytorch_designer.system.stop_requests import SignalInterrupt

if TYPE_CHECKING:
    from pytorch_designer.distributed.world import Membership

# What gloo and NCCL say when the other side is gone; torch has classes for some of it only.
_BROKEN = ("connection closed by peer", "connection reset by peer", "broken pipe", "gloo", "nccl", "monitoredbarrier")


@dataclass(frozen=True)
class Fault:
    """Error that ended a process of a run.

    Attributes:
        rank: The process.
        process: The process and what it did, in words.
        error: The error; see `DesignerError.to_dict`.
        signal_number: The signal that stopped it, if that is what ended it.
    """

    rank: int
    process: str
    error: dict[str, Any]
    signal_number: int | None = None

    @classmethod
    def of(cls, error: BaseException, rank: int, process: str) -> Fault:
        """The fault that an error of the process `rank` is."""
        number = None
        if isinstance(error, InterruptedRunError):
            number = error.signal_number
        elif isinstance(error, KeyboardInterrupt):
            number = error.signal_number if isinstance(error, SignalInterrupt) else int(signal.SIGINT)
        if isinstance(error, DesignerError):
            process = error.process = error.process or process
            content = error.to_dict()
        elif number is not None:
            content = InterruptedRunError("The run was stopped.", signal_number=number, where=process).to_dict()
        else:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            content = {"name": type(error).__name__, "code": None, "what": what, "process": process}
        return cls(rank, process, content, number)

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """The fault that `to_text` wrote."""
        return cls(**json.loads(text))

    def to_text(self) -> str:
        """The fault for the store."""
        return json.dumps(asdict(self))

    def describe(self) -> str:
        """One sentence for a log: `rank 3 of 4 (node 1), training, ended: ModuleOutOfMemoryError (0138): ...`."""
        name, code, what = (self.error.get(key) for key in ("name", "code", "what"))
        shown = f"{name} ({code}): {what}" if code else str(what)
        return f"{self.process}, ended: {shown}"

    def is_of_same_cause(self, error: BaseException) -> bool:
        """True if an error of this process is the same verdict, which all reach together."""
        if self.signal_number is not None and isinstance(error, InterruptedRunError):
            return True
        if not isinstance(error, DesignerError):
            return False
        return (error.name, error.what) == (self.error.get("name"), self.error.get("what"))

    def as_error(self, process: str) -> DesignerError:
        """The error that ends the other processes.

        Args:
            process: The process that it ends, and what it did.
        """
        found: DesignerError
        if self.signal_number is not None:
            what = f"The run was stopped by {signal.Signals(self.signal_number).name} to one of its processes."
            found = InterruptedRunError(what, signal_number=self.signal_number, where=self.process)
        else:
            where, advice = self.error.get("where"), self.error.get("advice")
            found = OtherProcessError(self.describe(), where=where, advice=advice)
            found.cause = self.error
        found.process = process
        return found


def process_name(membership: Membership, phase: str, step: int | None = None) -> str:
    """A process and what it does: `rank 3 of 4 (node 1), training, epoch 2, step 17`."""
    did = phase if step is None else f"{phase}, step {step}"
    node = f" (node {membership.node})" if membership.num_nodes > 1 else ""
    return f"rank {membership.rank} of {membership.size}{node}, {did}"


def is_broken_exchange(error: BaseException) -> bool:
    """True if an exchange failed because the other side, or the store, is gone: the cause is elsewhere."""
    import torch.distributed as dist

    if isinstance(error, (dist.DistError, ConnectionError, LostProcessError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _BROKEN)
