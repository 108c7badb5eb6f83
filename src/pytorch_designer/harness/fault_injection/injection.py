"""Injection of the faults of one job while its processes run."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytorch_designer.harness.fault_injection.namespace import Namespace, Surroundings, check_can_mount
from pytorch_designer.harness.fault_injection.system_call_watch import GO_ON, Answer, SystemCallWatch, check_can_watch
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytorch_designer.harness.fault_injection.injected_faults import InjectedFaults

_HASH_RANGE = 1 << 32


def check_possible(faults: InjectedFaults) -> None:
    """Raise if this machine cannot inject `faults`.

    Raises:
        UnsupportedLocallyError: It cannot; the message says what is missing.
    """
    if faults.watches_system_calls:
        check_can_watch()
    if faults.needs_namespace:
        check_can_mount()


class Injection:
    """The faults of one job, from `with` to its end.

    Args:
        faults: What is to go wrong.
        inputs: Files and folders below which opens are slow or fail.
        outputs: The folder of each output, by name; it exists.
    """

    def __init__(self, faults: InjectedFaults, inputs: Iterable[Path], outputs: Mapping[str, Path]) -> None:
        self._faults = faults
        self._judge = _Judge(faults, inputs, outputs.values(), self._kill)
        self._surroundings = Surroundings(
            shm_bytes=faults.shm_bytes,
            read_only=tuple(outputs[name] for name in faults.read_only_outputs),
            full={outputs[name]: size for name, size in faults.full_outputs.items()},
            has_network=faults.has_network,
        )
        self._stack = ExitStack()
        self._watch: SystemCallWatch | None = None
        self._namespace: Namespace | None = None
        self._timer: threading.Timer | None = None
        self._kill_all: Callable[[], None] | None = None
        self._has_processes = threading.Event()
        self._was_killed = False

    def __enter__(self) -> Injection:
        with ExitStack() as stack:
            if self._faults.needs_namespace:
                self._namespace = stack.enter_context(Namespace(self._surroundings))
            if self._faults.watches_system_calls:
                changes = self._faults.kill_at_write is not None
                self._watch = stack.enter_context(SystemCallWatch(self._judge, changes=changes))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._has_processes.set()  # nobody will come any more
        self._stack.close()

    def wrap(self, arguments: Sequence[str], working_directory: Path) -> tuple[Sequence[str], tuple[int, ...]]:
        """The arguments of a process that is to have the faults, and the descriptors that it must inherit."""
        descriptors: tuple[int, ...] = ()
        if self._watch is not None:
            arguments, descriptors = self._watch.wrap(arguments)
        if self._namespace is not None:
            arguments = self._namespace.wrap(arguments, working_directory)
        return arguments, descriptors

    def on_start(self, kill_all: Callable[[], None]) -> None:
        """Start the faults that depend on time. `kill_all` ends the processes of the job."""
        self._kill_all = kill_all
        self._has_processes.set()
        if self._faults.kill_after_seconds is not None:
            self._timer = threading.Timer(self._faults.kill_after_seconds, self._kill)
            self._timer.daemon = True
            self._timer.start()

    @property
    def notes(self) -> tuple[str, ...]:
        """Effects of the faults, a sentence each, for those whose effect can be counted."""
        faults, judge = self._faults, self._judge
        notes = []
        if faults.kill_after_seconds is not None and not self._was_killed:
            notes.append("kill-after did not act: the job ended before.")
        if faults.kill_at_write is not None:
            acted = "killed the job" if self._was_killed else "did not act"
            verb = "was" if judge.num_changes == 1 else "were"
            notes.append(f"kill-at-write {acted}: {count(judge.num_changes, 'write')} {verb} begun.")
        if faults.watches_opens:
            slow = f"{count(judge.num_reads, 'open')} below inputs took {faults.open_delay_seconds * 1000:g} ms longer"
            failed = f"{judge.num_failures} of {count(judge.num_reads, 'open')} below inputs failed"
            notes += [f"slow-open: {slow}."] if faults.open_delay_seconds else []
            notes += [f"flaky-open: {failed}."] if faults.open_failure_rate else []
        return tuple(notes)

    def _kill(self) -> None:
        self._has_processes.wait()  # the first process may write before the last one is started
        if self._kill_all is not None:
            self._was_killed = True
            self._kill_all()


class _Judge:
    """Decision on each open and change, by the path alone."""

    def __init__(
        self, faults: InjectedFaults, inputs: Iterable[Path], outputs: Iterable[Path], kill: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._inputs = _prefixes(inputs)
        self._outputs = _prefixes(outputs)
        self._kill = kill
        self._opens: Counter[str] = Counter()
        self.num_changes = 0
        self.num_reads = 0
        self.num_failures = 0

    def on_read(self, path: str) -> Answer:
        if not (self._faults.watches_opens and _is_below(path, self._inputs)):
            return GO_ON
        self.num_reads += 1
        self._opens[path] += 1
        error = self._failure(path, self._opens[path])
        self.num_failures += bool(error)
        return Answer(delay_seconds=self._faults.open_delay_seconds, error=error)

    def on_change(self, path: str) -> Answer:
        if not _is_below(path, self._outputs):
            return GO_ON
        self.num_changes += 1
        if self.num_changes != self._faults.kill_at_write:
            return GO_ON
        self._kill()
        return Answer(is_kept=True)

    def _failure(self, path: str, attempt: int) -> int:
        """Depends on the path and on how often it was opened, so that the order of threads does not matter."""
        below = next(path[len(prefix) :] for prefix in self._inputs if path.startswith(prefix))
        key = f"{self._faults.open_failure_seed}|{below}|{attempt}"
        digest = hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=4).digest()
        if int.from_bytes(digest, "big") / _HASH_RANGE >= self._faults.open_failure_rate:
            return 0
        return errno.EIO if attempt % 2 else errno.ENOTCONN


def _prefixes(paths: Iterable[Path]) -> tuple[str, ...]:
    """Paths as given, and as the kernel reports them where a parent folder is a link."""
    return tuple({prefix for path in paths for prefix in (os.path.normpath(path), os.path.realpath(path))})


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}{os.sep}") for prefix in prefixes)
