"""Watchdog that ends the processes of a job if the harness is killed.

A shell waits at the end of a pipe whose other end the harness alone holds. Each line names the process groups that run
at the moment, and the processes that were seen in the job. However the harness goes, the pipe ends with it. The shell
then kills what the last line names, and whatever has the job's token in its environment, unless the last line says that
the job has ended. Containers are no descendants of the harness: it removes them by name. (Linux can send a process a
signal when its parent dies, but only from code between fork and exec, which is not safe in a program with threads;
macOS cannot.)
"""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

_ENDED = b"ended\n"
_SHELL = "/bin/sh"
_SCRIPT = """
trap '' HUP INT TERM
while read -r line; do last=$line; done
exec 2>/dev/null
[ "$last" = ended ] && exit
start_time() { stat=$(cat "/proc/$1/stat"); set -- ${stat##*) }; echo "${20}"; }
for name in $last; do
    case $name in
        *:*) [ "$(start_time "${name%:*}")" = "${name#*:}" ] && kill -s KILL "${name%:*}";;
        *) kill -s KILL -- "-$name";;
    esac
done
for round in 1 2; do
    eval "$2"
    for place in $(grep -l -s -F -- "$1" /proc/[0-9]*/environ); do
        pid=${place#/proc/}
        kill -s KILL "${pid%/environ}"
    done
done
"""


class OrphanWatch:
    """Watchdog of the process groups of one job: a thread-safe context manager. It does nothing on Windows.

    Args:
        token: Is in the environment of the job's processes.
        removals: Programs that end what is no descendant of the harness.
    """

    def __init__(self, token: str, removals: Iterable[Sequence[str]] = ()) -> None:
        self._token = token
        self._removals = "\n".join(shlex.join(removal) for removal in removals)
        self._groups: set[int] = set()
        self._seen: Mapping[int, str] = {}
        self._lock = threading.Lock()
        self._shell: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> OrphanWatch:
        if os.name == "posix":
            self._shell = subprocess.Popen(
                [_SHELL, "-c", _SCRIPT, "sh", self._token, self._removals],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            with suppress(BrokenPipeError):
                if not self._groups:
                    os.write(self._shell.stdin.fileno(), _ENDED)
                self._shell.stdin.close()
            self._shell.wait()

    def add(self, group: int) -> None:
        """From now on `group`, the number of a process group, does not outlive the harness."""
        with self._lock:
            self._groups.add(group)
            self._tell()

    def remove(self, group: int) -> None:
        """The group is gone, and its number may become another's."""
        with self._lock:
            self._groups.discard(group)
            self._tell()

    def set_seen(self, start_times: Mapping[int, str]) -> None:
        """From now on these processes, by number, do not outlive the harness, and those that were told before may.

        They may have left their group and cleared their environment. Others with their numbers have other start times.
        """
        with self._lock:
            self._seen = dict(start_times)
            self._tell()

    def _tell(self) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            seen = [f"{pid}:{started}" for pid, started in self._seen.items()]
            line = " ".join([*map(str, sorted(self._groups)), *seen])
            with suppress(BrokenPipeError):  # somebody has ended the shell: the job need not suffer for it
                os.write(self._shell.stdin.fileno(), f"{line}\n".encode())
