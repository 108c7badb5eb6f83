"""Home folder, user name, temporary folder and working directory of a process; containers may lack the first three.

Libraries look these up while they are imported, some of them after hours of training, and fail where there is none: a
process under a user id without an entry in the list of users has no home folder, unless HOME names one.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_HOME = "/nonexistent"
_USER_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def complete_environment() -> None:
    """Give this process, and those that inherit its environment, a home folder and a user name where there is none.

    The home folder is then one for this user in the folder for temporary files, so that what libraries cache is found
    again. Where that is not possible it is a folder that does not exist.
    """
    if os.name != "posix":
        return
    if os.environ.get("HOME") == "":  # which Python and libraries take for the root folder
        del os.environ["HOME"]
    if not Path(os.path.expanduser("~")).is_absolute():  # noqa: PTH111 - Path.expanduser raises where there is none
        os.environ["HOME"] = str(_temporary_home() or _NO_HOME)
    if not any(os.environ.get(name) for name in _USER_VARIABLES) and not _has_entry():
        os.environ["USER"] = f"uid{os.geteuid()}"


def check_temporary_folder() -> None:
    """Make sure that there is a folder for temporary files, without which torchvision and matplotlib do not start.

    Raises:
        UnsupportedEnvironmentError: None can be written.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UnsupportedEnvironmentError(
            "There is no folder for temporary files that can be written.",
            where=os.environ.get("TMPDIR") or "TMPDIR",
            advice="Set TMPDIR to a folder that can be written.",
            reason="no_temporary_folder",
        ) from error


@contextmanager
def working_directory(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Another working directory for a while; where the system can, the old one is found again after a renaming."""
    before = os.open(".", os.O_RDONLY) if os.chdir in os.supports_fd else Path.cwd()
    try:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
    finally:
        if isinstance(before, int):
            os.close(before)


def _temporary_home() -> Path | None:
    """A folder that belongs to this user alone, in the folder for temporary files."""
    try:
        folder = Path(tempfile.gettempdir(), f"pytorch-designer-{os.geteuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_private = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return folder if stat.S_ISDIR(found.st_mode) and is_private else None  # somebody else may have put a link there


def _has_entry() -> bool:
    import pwd

    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True
