"""Watch over the processes of a run: an error, a death or a silence of one reaches all within seconds.

Each process has a thread that tells the store once a second what the process does, and reads what the others say:

    beat/RANK     counter, phase and step of a process
    fault         the first error of all
    done/RANK     the process has nothing left to do
    left/RANK     the process needs the store no longer

The thread works while the process reads slowly or computes, so that neither counts as silence. On the same machine the
death of a process shows at once. Whoever finds that another process has died or is silent reports it in its place. A
silent process on the same machine is killed: it may be stopped, and would be left over.

A fault of another process breaks the exchanges that wait for it, and `judge` turns what this process meets then into
the first cause. Where it still hangs after five seconds, the watch reports the cause itself and ends the process.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from pytorch_designer.distributed.faults import Fault, is_broken_exchange, process_name
from pytorch_designer.distributed.meeting import connect, first_fault, part_of_store, report_fault
from pytorch_designer.distributed.world import Membership
from pytorch_designer.errors import DesignerError, LostProcessError
from pytorch_designer.shown_text import printable, redacted
from pytorch_designer.system.error_info import report_error
from pytorch_designer.system.process_trees import start_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.distributed import Store  # type: ignore[attr-defined]  # not in the stubs

    from pytorch_designer.distributed.meeting import Meeting

BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0
BROKEN_SILENT_SECONDS = 6.0  # once a connection has broken, which nobody who lives does
END_SECONDS = 5.0
SILENT = "silent"
_FAREWELL_SECONDS = 3.0
_FINISH_POLL_SECONDS = 0.05
_GUARD_SECONDS = 0.2
_LAUNCHER = -1
_SIGNAL_BASE = 128
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none


class Watch:
    """Watch of one process over the others; a context manager.

    Args:
        meeting: The processes.
        number: Number of the run among those of this process.
    """

    def __init__(self, meeting: Meeting, number: int) -> None:
        self._meeting = meeting
        self._membership = meeting.membership
        self._activity: Callable[[], tuple[str, int | None]] = lambda: ("joining", None)
        self._abort: Callable[[], None] = lambda: None
        self._store: Store = part_of_store(connect(meeting.variables), f"run{number}")
        self._others = [rank for rank in range(self._membership.size) if rank != self._membership.rank]
        self._neighbors = {item.rank: item for item in meeting.neighbors() if item.started is not None}
        self._silent_polls = dict.fromkeys(self._others, 0)
        self._beats: dict[int, bytes] = {}
        self._num_beats = 0
        self._silent_seconds = SILENT_SECONDS
        self._last_poll = time.monotonic()
        self._parent = os.getppid()
        self._fault: Fault | None = None
        self._has_fault = threading.Event()
        self._deadline = float("inf")
        self._has_ended = threading.Event()
        self._polling, self._setting = threading.Lock(), threading.Lock()
        self._judged: BaseException | None = None
        self._threads = [
            threading.Thread(target=target, name="watch", daemon=True) for target in (self._talk, self._guard)
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the run. The process that serves the store stays until the others have left, for some seconds."""
        with suppress(RuntimeError):
            self._say("left", "1")
            if self._serves_store():
                self._wait_for_leave()
        self._has_ended.set()
        for thread in self._threads:  # one that drops the process groups last, while Python ends, aborts the process
            thread.join(_FAREWELL_SECONDS)

    def follow(self, activity: Callable[[], tuple[str, int | None]], abort: Callable[[], None]) -> None:
        """Watch over these exchanges from now on.

        Args:
            activity: What this process does at the moment, and its step.
            abort: Ends exchanges that wait; is called by another thread.
        """
        self._activity, self._abort = activity, abort

    def finish(self) -> None:
        """Wait until all processes have nothing left to do.

        Raises:
            DesignerError: One of them has ended with an error.
        """
        self._say("done", "1")
        keys = [f"done/{rank}" for rank in self._others]
        while not self._store.check(keys):
            if self._has_fault.wait(_FINISH_POLL_SECONDS):
                raise self._error_of_other()

    def judge(self, error: BaseException) -> BaseException:
        """The error to end this process with: its own, where that is the first cause, or the first cause.

        Args:
            error: What ends this process.
        """
        if error is self._judged:
            return error
        self._judged = self._judge(error)
        self._deadline = min(self._deadline, time.monotonic()) + _FAREWELL_SECONDS + END_SECONDS
        return self._judged

    def _judge(self, error: BaseException) -> BaseException:
        if is_broken_exchange(error):
            self._silent_seconds = BROKEN_SILENT_SECONDS
            self._has_fault.wait(BROKEN_SILENT_SECONDS + END_SECONDS)
        else:
            self._poll_quietly()
        own = Fault.of(error, self._membership.rank, self._own_name())
        if not self._has_fault.is_set():
            self._set_fault(self._report(own))
        fault = self._first_fault()
        if fault == own:
            return error
        if not fault.is_of_same_cause(error):
            return self._error_of_other()
        if isinstance(error, DesignerError):
            error.process = fault.process
        return error

    def _first_fault(self) -> Fault:
        assert self._fault is not None
        return self._fault

    def _error_of_other(self) -> DesignerError:
        return self._first_fault().as_error(self._own_name())

    def _talk(self) -> None:
        while not self._has_ended.is_set():
            self._poll_quietly()
            self._has_ended.wait(BEAT_SECONDS)

    def _guard(self) -> None:
        """End what hangs: a store that does not answer, and after a fault this process itself."""
        while not self._has_ended.wait(_GUARD_SECONDS):
            if time.monotonic() > self._deadline:
                self._end_process()
            if self._has_fault.is_set():
                continue
            if time.monotonic() - self._last_poll > SILENT_SECONDS:
                self._set_fault(self._lost_store(f"has not answered for {SILENT_SECONDS:g} s", SILENT))
            elif self._meeting.variables.is_by_torchrun and os.getppid() != self._parent:
                self._set_fault(self._lost_store("died", "died"))

    def _poll_quietly(self) -> None:
        try:
            with self._polling:
                if not self._has_fault.is_set():
                    self._poll()
        except RuntimeError:
            if not self._has_ended.is_set():
                self._set_fault(self._lost_store("died without a message", "died"))

    def _poll(self) -> None:
        self._say("beat", self._own_beat())
        fault = first_fault(self._store) or self._find_death() or self._find_silence()
        self._last_poll = time.monotonic()
        if fault is not None:
            self._set_fault(self._report(fault))

    def _find_death(self) -> Fault | None:
        for rank, arrival in self._neighbors.items():
            if start_time(arrival.pid) != arrival.started and not self._store.check([f"left/{rank}"]):
                # It may have reported an error in its last moment.
                return first_fault(self._store) or self._lost(rank, "died without a message", "died")
        return None

    def _find_silence(self) -> Fault | None:
        for rank in self._others:
            key = f"beat/{rank}"
            beat = self._store.get(key) if self._store.check([key]) else b""
            if beat != self._beats.get(rank) or self._store.check([f"left/{rank}"]):
                self._beats[rank], self._silent_polls[rank] = beat, 0
                continue
            self._silent_polls[rank] += 1
            seconds = self._silent_polls[rank] * BEAT_SECONDS  # by its own polls: it may have been stopped itself
            if seconds >= self._silent_seconds:
                return self._lost(rank, f"has not answered for {seconds:g} s", SILENT)
        return None

    def _set_fault(self, fault: Fault) -> None:
        with self._setting:
            if self._has_fault.is_set():
                return
            self._fault = fault
            self._deadline = time.monotonic() + END_SECONDS
            self._has_fault.set()
        if fault.rank != self._membership.rank:
            threading.Thread(target=self._end_exchanges, name="watch", daemon=True).start()
            self._kill_silent(fault)

    def _end_exchanges(self) -> None:
        with suppress(RuntimeError, ValueError):  # the process groups have been destroyed meanwhile
            self._abort()

    def _kill_silent(self, fault: Fault) -> None:
        """Kill a process on this machine that does not answer: SIGTERM does not reach one that is stopped."""
        arrival = self._neighbors.get(fault.rank)
        if arrival is not None and fault.error.get("reason") == SILENT and start_time(arrival.pid) == arrival.started:
            with suppress(OSError):
                os.kill(arrival.pid, _KILL)

    def _lost(self, rank: int, how: str, reason: str) -> Fault:
        arrival = self._meeting.arrivals[rank]
        beat: dict[str, Any] = json.loads(self._beats.get(rank) or "{}")
        place = Membership(
            rank=rank,
            size=self._membership.size,
            node=self._meeting.node_of(arrival),
            num_nodes=self._membership.num_nodes,
        )
        error = LostProcessError(f"The process {how}.", where=f"rank {rank}", reason=reason)
        return Fault.of(error, rank, process_name(place, beat.get("phase", "joining"), beat.get("step")))

    def _lost_store(self, how: str, reason: str) -> Fault:
        if not self._meeting.variables.is_store_served:
            return self._lost(0, how, reason)
        name = "the process that started the others"
        return Fault.of(LostProcessError(f"It {how}.", where=name, reason=reason), _LAUNCHER, name)

    def _report(self, fault: Fault) -> Fault:
        """Report a fault; the first one of all, or this one where the store is gone."""
        try:
            return report_fault(self._store, fault)
        except RuntimeError:
            return fault

    def _say(self, what: str, text: str) -> None:
        self._store.set(f"{what}/{self._membership.rank}", text)

    def _own_beat(self) -> str:
        self._num_beats += 1
        phase, step = self._activity()
        return json.dumps({"count": self._num_beats, "phase": phase, "step": step})

    def _own_name(self) -> str:
        return process_name(self._membership, *self._activity())

    def _serves_store(self) -> bool:
        return self._membership.rank == 0 and not self._meeting.variables.is_store_served

    def _wait_for_leave(self) -> None:
        lost = None if self._fault is None else self._fault.rank
        keys = [f"left/{rank}" for rank in self._others if rank != lost]
        end = time.monotonic() + _FAREWELL_SECONDS
        while not self._store.check(keys) and time.monotonic() < end:
            time.sleep(_FINISH_POLL_SECONDS)

    def _end_process(self) -> NoReturn:
        """End this process, whose main thread hangs, as the boundary of the command would."""
        error = self._error_of_other()
        report_error(error, printable(redacted(str(error))))
        number = self._first_fault().signal_number
        os._exit(1 if number is None else _SIGNAL_BASE + number)
