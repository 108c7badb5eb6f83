"""Folder of a project: which files the page may ask for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.addresses import is_address
from pytorch_designer.errors import UnknownNameError, describe_value
from pytorch_designer.harness.job.run_folder import RUNS_FOLDER
from pytorch_designer.storage.paths import is_at_or_below, path_fault, resolve_inside
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH_OUTSIDE = "path_outside"
NO_SUCH_FILE = "no_such_file"
DATA_ELSEWHERE = "data_elsewhere"


class ProjectFolder:
    """Folder of a project.

    Args:
        folder: The folder, which exists.

    Attributes:
        folder: The same, absolute and without links.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = resolved(folder)

    @property
    def runs(self) -> Path:
        """Folder of the run folders."""
        return self.folder / RUNS_FOLDER

    def file(self, relative: str) -> Path:
        """The path of a file of the project, which need not exist.

        Raises:
            UnknownNameError: It is not below the project, also by a link.
        """
        return resolve_inside(self.folder, relative, UnknownNameError)

    def run_folder(self, name: str) -> Path:
        """The folder of a run of the project, which exists.

        Raises:
            UnknownNameError: There is none of this name.
        """
        path = self.runs / name
        if path_fault(name) is not None or len(Path(name).parts) != 1 or not path.is_dir():
            raise UnknownNameError(
                f"There is no run {describe_value(name)}.",
                where=self.runs,
                advice="The history lists the runs that there are.",
                reason="no_run",
            )
        return path

    def data(self, text: str, document: Mapping[str, Any] | None = None) -> Path:
        """The path of data in the project, or outside where the document names it.

        Args:
            text: The path, relative to the document's folder, or to the project without one.
            document: The document, as plain data.

        Raises:
            UnknownNameError: It is neither, or it does not exist; reason `DATA_ELSEWHERE` for the address of data that
                the document names.
        """
        folder = self.folder if document is None else (self.folder / str(document["path"])).parent
        named = () if document is None else _named_paths(document)
        if is_address(text) and text in named:
            raise UnknownNameError(
                "These data are not on this machine.",
                where=text,
                advice="Runs here need a local path for them, or an assets file.",
                reason=DATA_ELSEWHERE,
            )
        path = _joined(folder, text)
        roots = [self.folder, *(root for root in (_joined(folder, name) for name in named) if root is not None)]
        if path is None or not is_below(path, roots):
            raise UnknownNameError(
                f"The path {describe_value(text)} is neither in this project nor named by the document.",
                where=text.replace("\0", ""),
                advice="Only data of the project, and what the document names, can be looked at.",
                reason=PATH_OUTSIDE,
            )
        if not path.exists():
            raise UnknownNameError(
                "There is no such file or folder.", where=path, advice="Check the path.", reason=NO_SUCH_FILE
            )
        return path


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """True if a path is one of the roots or below one, with links followed."""
    real = os.path.realpath(path)
    tops = [os.path.realpath(root) for root in roots]
    return any(is_at_or_below(real, top) for top in tops)


def _joined(folder: Path, text: str) -> Path | None:
    """The path that a text names; None where it cannot be one."""
    if not text or "\0" in text or is_address(text):
        return None
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return None
    return Path(os.path.normpath(folder / text))


def _named_paths(document: Mapping[str, Any]) -> list[str]:
    """The paths of data that a document names: of its inputs, its outputs and its nodes' inputs."""
    found = [port["path"] for port in (*document["inputs"], *document["outputs"])]
    bindings = [
        binding for node in document["nodes"] for binding in (*node["inputs"].values(), *node["outputs"].values())
    ]
    found += [binding.get("path") for binding in bindings if binding.get("kind") == "data"]
    return [path for path in found if isinstance(path, str)]
