"""Launcher of a program whose system calls another process decides on: `launcher.py SOCKET SECCOMP FILTER PROGRAM ...`.

Runs as a script of its own, with the standard library alone. SOCKET is the descriptor over which the filter's listener
is sent, SECCOMP the number of that system call, FILTER the filter in hexadecimal digits. Children inherit the filter.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys

_NO_NEW_PRIVILEGES = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_INSTRUCTION_BYTES = 8


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def main() -> None:
    """Install the filter, send its listener, and become the program."""
    channel, seccomp_number, instructions = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
    listener = _install(seccomp_number, instructions)
    with socket.socket(fileno=channel) as connection:
        socket.send_fds(connection, [b"."], [listener])
    os.close(listener)
    os.execvp(sys.argv[4], sys.argv[4:])


def _install(seccomp_number: int, instructions: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // _INSTRUCTION_BYTES, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    listener: int = libc.syscall(seccomp_number, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    return listener


if __name__ == "__main__":
    main()
