"""Process group of a job: started together, followed live, and ended together.

Each process leads a session and a process group of its own, so that Ctrl-C on the terminal reaches only the harness and
ending a process ends all that it has started. When it ends, so does what it left running in the background: on Azure ML
its container goes. Daemons in sessions of their own end with the job (`leftover_processes`), and so do containers.
Nothing outlives a harness that was killed either (`orphan_watch`).
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.harness.job.leftover_processes import LeftoverProcesses
from pytorch_designer.system.orphan_watch import OrphanWatch
from pytorch_designer.system.process_trees import can_measure_trees, descendants, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from io import RawIOBase
    from pathlib import Path

    from pytorch_designer.system.stop_requests import StopRequest

LineReceiver = Callable[[int, str], None]
"""Takes the rank of a process and one line of its output, without the line's end."""

KillReceiver = Callable[[Callable[[], None]], None]
"""Takes a function that kills all processes at once, without a grace period; it may be called until they have ended."""

MemoryReceiver = Callable[[int], None]
"""Takes the memory that all processes of a job use at the moment, in bytes, ten times a second (Linux)."""

_FIRST_POLL_SECONDS = 0.005
_POLL_SECONDS = 0.1
_READER_SECONDS = 1.0  # what could not be ended may hold the output open for ever
_GROUP_SECONDS = 0.02
_REMOVAL_SECONDS = 60.0
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has none
_SIGNAL_BASE = 128
_CHUNK_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 16
_KILOBYTE = 1024


@dataclass(frozen=True)
class Child:
    """Process to start.

    Attributes:
        log_file: Receives standard output and standard error, byte for byte.
        descriptors: Files that the process inherits beside those (not on Windows).
        is_in_foreground: Whether it reads from, and writes to, the terminal of the harness; the log is then empty.
        removal: Program that ends its container, if it has one. Its memory is then not known.
    """

    arguments: Sequence[str]
    working_directory: Path
    environment: Mapping[str, str]
    log_file: Path
    descriptors: tuple[int, ...] = ()
    is_in_foreground: bool = False
    removal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Outcome of the processes of a job.

    Attributes:
        exit_code: 0, or that of the process that failed first; 128 + n if signal n ended it.
        failed_rank: The process that failed first, or None.
        was_stopped: Whether they were ended by a stop request.
        was_timed_out: Whether they were ended because their time was over.
        peak_memory_bytes: Peak memory of all processes together, sampled every tenth of a second (Linux), or the peak
            of the largest process (macOS). None if the platform does not tell, or the job was too short.
    """

    exit_code: int
    failed_rank: int | None
    was_stopped: bool
    seconds: float
    peak_memory_bytes: int | None
    was_timed_out: bool = False


def run_children(
    children: Sequence[Child],
    on_line: LineReceiver,
    stop: StopRequest,
    grace_seconds: float,
    on_start: KillReceiver | None = None,
    *,
    on_memory: MemoryReceiver | None = None,
    timeout_seconds: float | None = None,
) -> Outcome:
    """Start all `children` and wait until all have ended.

    When one fails, `stop` is requested, or the time is over, the others get SIGTERM, and SIGKILL `grace_seconds`
    later. No process is left when this returns or raises.

    Args:
        children: By rank.
        on_line: Is called by one thread at a time while the processes run.
        stop: Ends the processes.
        grace_seconds: Time between SIGTERM and SIGKILL.
        on_start: Is called once, when all have been started.
        on_memory: Is called by the thread that calls this.
        timeout_seconds: How long they may run; None: without end.

    Raises:
        OSError: A process could not be started.
    """
    started = time.monotonic()
    running: list[_Running] = []
    endings: queue.SimpleQueue[_Running] = queue.SimpleQueue()
    receive = _one_at_a_time(on_line)
    leftovers = LeftoverProcesses()
    deadline = None if timeout_seconds is None else started + timeout_seconds
    removals = [child.removal for child in children if child.removal]
    on_memory = None if removals else on_memory
    orphans = OrphanWatch(leftovers.token, removals)
    watch = _Watch(running, endings, stop, leftovers, orphans, on_memory=on_memory, deadline=deadline)
    with orphans:
        try:
            for rank, child in enumerate(children):
                marked = replace(child, environment={**child.environment, **leftovers.variables()})
                running.append(_Running(rank, marked, receive, endings, orphans))
            if on_start is not None:
                on_start(partial(_kill_all, running))
            first_failure = watch.until_failure_or_end()
            has_running = watch.has_running()
            if has_running:
                for process in running:
                    process.ask_to_end()
                leftovers.ask_to_end({process.pid for process in running})
                watch.until_end(time.monotonic() + grace_seconds)
        finally:
            for process in running:
                process.end()
            for removal in removals:
                with suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run(removal, capture_output=True, check=False, timeout=_REMOVAL_SECONDS)
            leftovers.end(grace_seconds)
            for process in running:
                process.finish_reading()
    return Outcome(
        exit_code=0 if first_failure is None else first_failure.exit_code,
        failed_rank=None if first_failure is None else first_failure.rank,
        was_stopped=has_running and first_failure is None and not watch.is_timed_out,
        was_timed_out=has_running and first_failure is None and watch.is_timed_out,
        seconds=time.monotonic() - started,
        peak_memory_bytes=None if removals else watch.peak_memory_bytes(),
    )


class _Running:
    """One process, with a thread that reads its output and one that waits for its end."""

    def __init__(
        self,
        rank: int,
        child: Child,
        receive: LineReceiver,
        endings: queue.SimpleQueue[_Running],
        orphans: OrphanWatch,
    ) -> None:
        self.rank = rank
        self.exit_code = 0
        self.max_resident_bytes: int | None = None
        self._num_received = 0
        self._is_asked_to_end = False
        self._is_given_up = False
        self._endings = endings
        self._orphans = orphans
        log = child.log_file.open("wb", buffering=0)
        self._popen = subprocess.Popen(
            child.arguments,
            cwd=child.working_directory,
            env=dict(child.environment),
            stdin=None if child.is_in_foreground else subprocess.DEVNULL,
            stdout=None if child.is_in_foreground else subprocess.PIPE,
            stderr=None if child.is_in_foreground else subprocess.STDOUT,
            start_new_session=True,
            pass_fds=child.descriptors,
        )
        orphans.add(self._popen.pid)
        self._reader = threading.Thread(target=self._read, args=(log, receive), name="job-output", daemon=True)
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._reader.start()
        self._waiter.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ask_to_end(self) -> None:
        """SIGTERM to the process and all that it has started; nothing if it has ended."""
        self._is_asked_to_end = True
        if self._waiter.is_alive():
            self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the process and all that it has started; nothing if it has ended."""
        if self._waiter.is_alive():
            self._signal_group(_KILL)

    def end(self) -> None:
        """Kill what still runs."""
        self._is_given_up = True
        self.kill()
        self._waiter.join()

    def finish_reading(self) -> None:
        """Wait until the last of the output is in the log and was received, as long as there is more."""
        num_received = -1
        while self._reader.is_alive() and self._num_received > num_received:
            num_received = self._num_received
            self._reader.join(_READER_SECONDS)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, of a process that has just ended
            if hasattr(os, "killpg"):
                os.killpg(self._popen.pid, number)
            else:
                self._popen.terminate()

    def _wait(self) -> None:
        if hasattr(os, "waitid"):  # not macOS before Python 3.13
            # Not reaped before its group is killed, so that the group's number cannot belong to anybody else.
            os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
            if not self._is_asked_to_end:
                self._signal_group(_KILL)
        self._reap()
        # A shell dies of SIGTERM at once; the program that it runs has until the end of the grace period.
        while self._is_asked_to_end and not self._is_given_up and self._has_group():
            time.sleep(_GROUP_SECONDS)
        if not hasattr(os, "waitid"):
            self._signal_group(_KILL)
        self._orphans.remove(self._popen.pid)
        code = self._popen.returncode
        self.exit_code = code if code >= 0 else _SIGNAL_BASE - code
        self._endings.put(self)

    def _reap(self) -> None:
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(self._popen.pid, 0)
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            self.max_resident_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else _KILOBYTE)
        else:
            self._popen.wait()

    def _has_group(self) -> bool:
        if not hasattr(os, "killpg"):
            return False
        with suppress(ChildProcessError):  # what this process has adopted would count as running until it is released
            while os.waitpid(-self._popen.pid, os.WNOHANG)[0]:
                pass
        try:
            os.killpg(self._popen.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _read(self, log: RawIOBase, receive: LineReceiver) -> None:
        if self._popen.stdout is None:  # in the foreground
            log.close()
            return
        with self._popen.stdout as output:
            try:
                self._follow(output.fileno(), log, receive)
            finally:  # a full disk, or a receiver that fails, must not block the process on a full pipe
                while os.read(output.fileno(), _CHUNK_BYTES):
                    pass

    def _follow(self, descriptor: int, log: RawIOBase, receive: LineReceiver) -> None:
        lines = _Lines()
        with log:
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                log.write(chunk)
                for line in lines.feed(chunk):
                    receive(self.rank, line)
                    self._num_received += 1
        for line in lines.rest():
            receive(self.rank, line)


class _Lines:
    """Line splitter of a byte stream; a carriage return ends a line too, as progress bars write it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        *lines, self._rest = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            lines += self._rest.splitlines()
            self._rest = b""
        return [line.decode("utf-8", "replace") for line in lines]

    def rest(self) -> list[str]:
        return [self._rest.decode("utf-8", "replace")] if self._rest else []


class _Watch:
    """Wait loop: for exits, for a stop request, and for the next sample of memory."""

    def __init__(
        self,
        running: list[_Running],
        endings: queue.SimpleQueue[_Running],
        stop: StopRequest,
        leftovers: LeftoverProcesses,
        orphans: OrphanWatch,
        *,
        on_memory: MemoryReceiver | None,
        deadline: float | None,
    ) -> None:
        self.is_timed_out = False
        self._on_memory = on_memory
        self._deadline = deadline
        self._running = running
        self._endings = endings
        self._stop = stop
        self._leftovers = leftovers
        self._orphans = orphans
        self._ended: list[_Running] = []
        self._can_sample = can_measure_trees()
        self._peak: int | None = None
        self._poll_seconds = _FIRST_POLL_SECONDS

    def has_running(self) -> bool:
        return len(self._ended) < len(self._running)

    def until_failure_or_end(self) -> _Running | None:
        """The first process that fails; None when all have ended well, a stop was requested, or the time is over."""
        while self.has_running() and self._stop.signal_number is None:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self.is_timed_out = True
                return None
            ended = self._next_ending()
            if ended is not None and ended.exit_code != 0:
                return ended
        return None

    def until_end(self, deadline: float) -> None:
        while self.has_running() and time.monotonic() < deadline and not self._stop.is_urgent:
            self._next_ending()

    def peak_memory_bytes(self) -> int | None:
        if self._can_sample:
            return self._peak
        # Not on Linux, where this is never below the memory of the harness itself, out of which a process is born.
        known = [process.max_resident_bytes for process in self._running if process.max_resident_bytes is not None]
        return max(known, default=None)

    def _next_ending(self) -> _Running | None:
        try:
            ended = self._endings.get(timeout=self._poll_seconds)
        except queue.Empty:
            self._poll_seconds = min(2 * self._poll_seconds, _POLL_SECONDS)
            if self._can_sample:
                pids = descendants(process.pid for process in self._running if process not in self._ended)
                if self._leftovers.remember(pids):
                    self._orphans.set_seen(self._leftovers.seen())
                memory = memory_bytes(pids)
                self._peak = max(memory, self._peak or 0)
                if self._on_memory is not None:
                    self._on_memory(memory)
            return None
        self._ended.append(ended)
        return ended


def _kill_all(running: list[_Running]) -> None:
    for process in running:
        process.kill()


def _one_at_a_time(receive: LineReceiver) -> LineReceiver:
    lock = threading.Lock()

    def locked(rank: int, line: str) -> None:
        with lock:
            receive(rank, line)

    return locked
