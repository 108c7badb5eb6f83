"""Supervisor of the system calls of other processes (man 2 seccomp_unotify).

One thread answers for all processes of a job and for all that they start. Each is stopped in its call until it is
answered; a delayed answer does not hold up the others.
"""

from __future__ import annotations

import errno
import heapq
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.fault_injection.system_calls import (
    Call,
    filter_program,
    is_known_machine,
    seccomp_number,
    watched_calls,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAUNCHER = Path(__file__).with_name("launcher.py")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # ioctl numbers of SECCOMP_IOCTL_NOTIF_RECV and _SEND
_NOTICE = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif: id, pid, flags, number, architecture, address, arguments
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp: id, value, error, flags
_CONTINUE = 1
_WORKING_DIRECTORY = -100  # AT_FDCWD
_PATH_BYTES = 4096
_WORD_MASK = 0xFFFFFFFF
_PROBE_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """Decision on a system call.

    Attributes:
        delay_seconds: How long it waits first.
        error: The error number that it ends with, without having been executed; 0: it is executed.
        is_kept: It is never answered: the caller will be killed.
    """

    delay_seconds: float = 0.0
    error: int = 0
    is_kept: bool = False


GO_ON = Answer()


class Judge(Protocol):
    """Answers to calls, from the watching thread."""

    def on_read(self, path: str) -> Answer:
        """A file or folder is about to be opened for reading only."""

    def on_change(self, path: str) -> Answer:
        """A file or folder is about to be created, written, renamed or removed."""


def check_can_watch() -> None:
    """Raise if this machine does not let one process decide on another's system calls.

    Raises:
        UnsupportedLocallyError: It does not.
    """
    reason = _reason_against()
    if reason is not None:
        raise UnsupportedLocallyError(
            f"This machine cannot interrupt the file operations of a job: {reason}.",
            advice="Use Linux 5.5 or later on x86-64 or ARM64, in a container whose profile permits seccomp; root "
            "is not needed.",
        )


class SystemCallWatch:
    """Context manager that watches the processes whose arguments it wrapped."""

    def __init__(self, judge: Judge, *, changes: bool) -> None:
        self._judge = judge
        self._calls = watched_calls(changes=changes)
        self._program = filter_program(self._calls)
        self._poll = select.epoll()  # not poll: descriptors are added while the thread waits
        self._channels: dict[int, socket.socket] = {}
        self._child_ends: list[socket.socket] = []
        self._listeners: set[int] = set()
        self._delayed: list[tuple[float, int, int, Answer]] = []
        self._wake_reader, self._wake_writer = os.pipe()
        self._poll.register(self._wake_reader, select.EPOLLIN)
        self._thread = threading.Thread(target=self._answer_until_end, name="system-call-watch", daemon=True)

    def wrap(self, arguments: Sequence[str]) -> tuple[list[str], tuple[int, ...]]:
        """The arguments that start a watched program instead of `arguments`, and the descriptors to pass on."""
        ours, theirs = socket.socketpair()
        self._channels[ours.fileno()] = ours
        self._child_ends.append(theirs)
        self._poll.register(ours.fileno(), select.EPOLLIN)
        return _launch(theirs.fileno(), self._program, arguments), (theirs.fileno(),)

    def __enter__(self) -> SystemCallWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._wake_writer, b".")
        self._thread.join()
        for end in (*self._channels.values(), *self._child_ends):
            end.close()
        self._poll.close()
        for descriptor in (*self._listeners, self._wake_reader, self._wake_writer):
            os.close(descriptor)  # a process that were still there would fail in its next call, and not hang

    def _answer_until_end(self) -> None:
        while True:
            for descriptor, events in self._poll.poll(self._seconds_to_next()):
                if descriptor == self._wake_reader:
                    return
                if descriptor in self._channels:
                    self._adopt(descriptor)
                elif events & select.EPOLLIN:
                    self._decide(descriptor)
                else:  # all processes behind this filter are gone
                    self._poll.unregister(descriptor)
            self._send_due()

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._delayed[0][0] - monotonic()) if self._delayed else None

    def _send_due(self) -> None:
        while self._delayed and self._delayed[0][0] <= monotonic():
            _, number, listener, answer = heapq.heappop(self._delayed)
            _send(listener, number, answer)

    def _adopt(self, channel: int) -> None:
        self._poll.unregister(channel)
        _, descriptors, _, _ = socket.recv_fds(self._channels[channel], 1, 1)
        for descriptor in descriptors:
            self._listeners.add(descriptor)
            self._poll.register(descriptor, select.EPOLLIN)

    def _decide(self, listener: int) -> None:
        notice = _receive(listener)
        if notice is None:
            return
        number, pid, _, call_number, _, _, *arguments = notice
        answer = self._answer(pid, self._calls[call_number], arguments)
        if answer.is_kept:
            return
        if answer.delay_seconds > 0:
            heapq.heappush(self._delayed, (monotonic() + answer.delay_seconds, number, listener, answer))
        else:
            _send(listener, number, answer)

    def _answer(self, pid: int, call: Call, arguments: list[int]) -> Answer:
        try:
            path = _path(pid, call, arguments)
            if not call.is_open:
                return self._judge.on_change(path)
            flags = _flags(pid, call, arguments)
        except OSError:  # the process is gone, or its arguments are wrong: the kernel will tell it
            return GO_ON
        if flags & (os.O_CREAT | os.O_TRUNC):
            return self._judge.on_change(path)
        return GO_ON if flags & (os.O_WRONLY | os.O_RDWR) else self._judge.on_read(path)


def _launch(channel: int, program: bytes, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(channel), str(seccomp_number()), program.hex(), *arguments]


def _receive(listener: int) -> tuple[int, ...] | None:
    import fcntl  # not on Windows

    buffer = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.EINTR}:  # the caller was killed meanwhile
            return None
        raise
    return _NOTICE.unpack(buffer)


def _send(listener: int, number: int, answer: Answer) -> None:
    import fcntl

    flags = 0 if answer.error else _CONTINUE
    with suppress(FileNotFoundError):  # the caller was killed meanwhile
        fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(number, 0, -answer.error, flags)))


def _path(pid: int, call: Call, arguments: list[int]) -> str:
    if call.descriptor is not None:
        return _descriptor_path(pid, arguments[call.descriptor])
    assert call.path is not None  # every call in the table has one of the two
    path = os.fsdecode(_memory(pid, arguments[call.path], _PATH_BYTES).split(b"\0", 1)[0])
    if path.startswith("/"):
        return os.path.normpath(path)
    folder = _WORKING_DIRECTORY if call.folder is None else _signed(arguments[call.folder])
    base = _link(f"/proc/{pid}/cwd") if folder == _WORKING_DIRECTORY else _descriptor_path(pid, folder)
    return os.path.normpath(f"{base}/{path}")


def _flags(pid: int, call: Call, arguments: list[int]) -> int:
    if call.flags is not None:
        return arguments[call.flags]
    assert call.flags_address is not None
    return int.from_bytes(_memory(pid, arguments[call.flags_address], 8), sys.byteorder)


def _descriptor_path(pid: int, descriptor: int) -> str:
    return _link(f"/proc/{pid}/fd/{descriptor & _WORD_MASK}")


def _link(path: str) -> str:
    return os.readlink(path)  # noqa: PTH115 (its target is text; one more Path a call is not free)


def _memory(pid: int, address: int, num_bytes: int) -> bytes:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return os.pread(memory.fileno(), num_bytes, address)  # shorter where the mapping ends


def _signed(value: int) -> int:
    low = value & _WORD_MASK
    return low - (1 << 32) if low >> 31 else low


@cache
def _reason_against() -> str | None:
    if not sys.platform.startswith("linux"):
        return "that needs Linux"
    if not is_known_machine():
        return "its processor is not known"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = _launch(theirs.fileno(), filter_program(()), ["true"])
        probe = subprocess.run(
            command, pass_fds=(theirs.fileno(),), capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
        return None if probe.returncode == 0 else probe.stderr.strip() or "seccomp is refused"
