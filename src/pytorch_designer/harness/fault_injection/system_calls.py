"""The system calls with which a Linux program opens and changes files, and the filter that stops it there.

Where each call has its path: as a path argument, relative to a folder's descriptor or to the working directory, or as a
descriptor. Numbers are those of the kernel's tables arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h; the filter is classic BPF on `struct seccomp_data` (man 2 seccomp).

Not seen are changes through a memory map and through io_uring; the opening of such a file is.
"""

from __future__ import annotations

import platform
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MACHINES = ("x86_64", "aarch64")
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}


@dataclass(frozen=True)
class Call:
    """Argument positions of one system call, counted from 0; None: it has no such argument.

    Attributes:
        numbers: Its number on each of `_MACHINES`; None: it does not exist there.
        path: Address of a path.
        folder: Descriptor of the folder that the path is relative to.
        descriptor: Descriptor of the file that is changed.
        flags: Flags of an open.
        flags_address: Address of a structure that begins with the flags of an open.
    """

    numbers: tuple[int | None, int | None]
    path: int | None = None
    folder: int | None = None
    descriptor: int | None = None
    flags: int | None = None
    flags_address: int | None = None

    @property
    def is_open(self) -> bool:
        """True if it opens a file, for reading too."""
        return self.flags is not None or self.flags_address is not None


_OPENS = (
    Call((2, None), path=0, flags=1),  # open
    Call((257, 56), folder=0, path=1, flags=2),  # openat
    Call((437, 437), folder=0, path=1, flags_address=2),  # openat2
)
_CHANGES = (
    Call((85, None), path=0),  # creat
    Call((1, 64), descriptor=0),  # write
    Call((18, 68), descriptor=0),  # pwrite64
    Call((20, 66), descriptor=0),  # writev
    Call((296, 70), descriptor=0),  # pwritev
    Call((328, 287), descriptor=0),  # pwritev2
    Call((77, 46), descriptor=0),  # ftruncate
    Call((285, 47), descriptor=0),  # fallocate
    Call((40, 71), descriptor=0),  # sendfile
    Call((326, 285), descriptor=2),  # copy_file_range
    Call((76, 45), path=0),  # truncate
    Call((82, None), path=1),  # rename
    Call((264, 38), folder=2, path=3),  # renameat
    Call((316, 276), folder=2, path=3),  # renameat2
    Call((86, None), path=1),  # link
    Call((265, 37), folder=2, path=3),  # linkat
    Call((88, None), path=1),  # symlink
    Call((266, 36), folder=1, path=2),  # symlinkat
    Call((83, None), path=0),  # mkdir
    Call((258, 34), folder=0, path=1),  # mkdirat
    Call((87, None), path=0),  # unlink
    Call((263, 35), folder=0, path=1),  # unlinkat
    Call((84, None), path=0),  # rmdir
)

_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET = 0, 4
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000


def is_known_machine() -> bool:
    """True if the numbers of this machine's system calls are known."""
    return platform.machine() in _MACHINES


def seccomp_number() -> int:
    """The number of `seccomp` itself."""
    return _SECCOMP[platform.machine()]


def watched_calls(*, changes: bool) -> dict[int, Call]:
    """The calls of this machine by their number: opens, and all that changes files where `changes` says so."""
    machine = _MACHINES.index(platform.machine())
    calls = (*_OPENS, *_CHANGES) if changes else _OPENS
    return {number: call for call in calls if (number := call.numbers[machine]) is not None}


def filter_program(calls: Iterable[int]) -> bytes:
    """A program that stops at the calls of these numbers and lets all else pass."""
    lines = [
        _line(_LOAD_WORD, _ARCHITECTURE_OFFSET),
        _line(_JUMP_IF_EQUAL, _AUDIT_ARCH[platform.machine()], if_true=1),
        _line(_RETURN, _ALLOW),
    ]
    lines.append(_line(_LOAD_WORD, _NUMBER_OFFSET))
    for number in calls:
        lines += [_line(_JUMP_IF_EQUAL, number, if_false=1), _line(_RETURN, _NOTIFY)]
    return b"".join([*lines, _line(_RETURN, _ALLOW)])


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
