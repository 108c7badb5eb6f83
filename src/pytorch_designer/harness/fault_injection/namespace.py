"""Mounts and a network of their own for the processes of a job, without root where the kernel permits it.

A small process holds the namespaces, and those of the job enter them. So several processes share them, and what a
job wrote to a disk of limited size can still be fetched after it was killed.

    small /dev/shm     a tmpfs over it
    read-only output   the output's folder mounted on itself, read-only: writing fails with EROFS
    full output        a tmpfs over the output's folder with room for what is there and so many bytes more: writing
                       fails with ENOSPC, in any language and through memory maps (SIGBUS) too. The folder itself
                       gets the content when the job has ended. The kernel counts in pages of 4 KiB.
    no network         a network namespace with the loopback interface alone: connecting fails with ENETUNREACH,
                       looking up a name as without a resolver
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedLocallyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (the place that this is about)
_READY = "ready"
_PROBE_SECONDS = 20
_PAGE_BYTES = 4096
_LOOPBACK_UP = (
    "import fcntl, socket, struct\n"
    "with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:\n"
    "    fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 0x41))"  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING
)
_ENTER = 'cd "$1" && shift && exec "$@"'  # entering a mount namespace changes the working directory to its root


@dataclass(frozen=True)
class Surroundings:
    """Mounts and network of the processes.

    Attributes:
        shm_bytes: Size of /dev/shm, or None.
        read_only: Folders that cannot be written.
        full: Bytes that a folder has room for.
        has_network: False: only the loopback interface is there.
    """

    shm_bytes: int | None = None
    read_only: tuple[Path, ...] = ()
    full: Mapping[Path, int] = field(default_factory=dict)
    has_network: bool = True


def check_can_mount() -> None:
    """Raise if this machine does not let this user have mounts and a network of his own.

    Raises:
        UnsupportedLocallyError: It does not.
    """
    reason = _reason_against()
    if reason is not None:
        raise UnsupportedLocallyError(
            f"This machine cannot give a job mounts or a network of its own: {reason}.",
            advice="Use Linux with util-linux and user namespaces (on Ubuntu: sysctl "
            "kernel.apparmor_restrict_unprivileged_userns=0), or run as root in a privileged container.",
        )


class Namespace:
    """Context manager of `Surroundings`; processes whose arguments it wrapped live in them."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._kinds = [*_user_option(), "--mount", *([] if surroundings.has_network else ["--net"])]
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Namespace:
        script = "\n".join([*_script(self._surroundings), f"echo {_READY}", "read -r _ || true"])
        self._holder = subprocess.Popen(
            ["unshare", *self._kinds, "sh", "-e", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the job
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != _READY:
            _, complaint = self._holder.communicate()
            raise UnsupportedLocallyError(
                "The mounts or the network of the job could not be made.", examples=complaint.splitlines()
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._holder is not None
        try:
            for folder in self._surroundings.full:
                _fetch(Path(f"/proc/{self._holder.pid}/root{folder}"), folder)
        finally:
            self._holder.communicate()

    def wrap(self, arguments: Sequence[str], working_directory: Path) -> list[str]:
        """The arguments that start a program inside, instead of `arguments`."""
        assert self._holder is not None
        credentials = ["--preserve-credentials"] if "--user" in self._kinds else []
        kinds = [kind for kind in self._kinds if kind != "--map-root-user"]
        target = f"--target={self._holder.pid}"
        enter = ["nsenter", target, *kinds, *credentials]
        return [*enter, "sh", "-c", _ENTER, "sh", str(working_directory), *arguments]


def _script(surroundings: Surroundings) -> list[str]:
    lines = []
    if surroundings.shm_bytes is not None:
        lines.append(f"mount -t tmpfs -o size={surroundings.shm_bytes},mode=1777 tmpfs {_SHARED_MEMORY}")
    for folder in surroundings.read_only:
        place = shlex.quote(str(folder))
        lines += [f"mount --bind {place} {place}", f"mount -o remount,bind,ro {place}"]
    for folder, room in surroundings.full.items():
        place = shlex.quote(str(folder))
        size = room + _occupied_bytes(folder)
        lines += [  # the working directory stays below what is mounted over it
            f"cd {place}",
            f"mount -t tmpfs -o size={size},mode=0777 tmpfs {place}",
            f"cp -R -P -p . {place}/",
            "cd /",
        ]
    if not surroundings.has_network:
        lines.append(f"{shlex.quote(sys.executable)} -I -S -c {shlex.quote(_LOOPBACK_UP)}")
    return lines


def _occupied_bytes(folder: Path) -> int:
    """Disk space of the files of `folder`, in whole pages."""
    sizes = [path.lstat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // _PAGE_BYTES) * _PAGE_BYTES for size in sizes)


def _fetch(source: Path, folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)


def _user_option() -> list[str]:
    """Root needs no user namespace, in which the owners of files would be unknown."""
    return [] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["--user", "--map-root-user"]


@cache
def _reason_against() -> str | None:
    if not sys.platform.startswith("linux"):
        return "that needs Linux"
    missing = [program for program in ("unshare", "nsenter", "mount") if shutil.which(program) is None]
    if missing:
        return f"there is no program {', '.join(missing)}"
    lines = _script(Surroundings(shm_bytes=_PAGE_BYTES, has_network=False))
    probe = subprocess.run(
        ["unshare", *_user_option(), "--mount", "--net", "sh", "-e", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PROBE_SECONDS,
    )
    return None if probe.returncode == 0 else " ".join(probe.stderr.split()) or "it is refused"
