"""Code that travels with a trained model: the modules of this package that serving it imports.

    DIRECTORY/code/pytorch_designer/...    as they are here; MLflow puts DIRECTORY/code first on Python's path

No package index has this project, and a deployment can use no other place: a model that named it as a requirement
could not be deployed. What travels is read from the import statements of the loader module and of those that it
imports, in turn, without importing anything. Imports for type checkers do not count. Nor do imports inside functions
of an `__init__` module, which offer what the whole package has.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytorch_designer
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.storage.paths import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE_FOLDER = "code"
_PACKAGE = "pytorch_designer"
_INIT = "__init__.py"
_VERSION = re.compile(rb'^__version__ = "([^"]+)"', re.MULTILINE)
_MAX_INIT_BYTES = 1 << 20


def write_traveling_code(folder: Path, loader_module: str) -> None:
    """Copy the modules that `loader_module` needs into the folder `code` of a model.

    Raises:
        OSError: A file cannot be read or written.
    """
    for source in traveling_files(loader_module):
        target = folder / CODE_FOLDER / source.relative_to(_root().parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())


@lru_cache(maxsize=1)
def traveling_files(loader_module: str) -> tuple[Path, ...]:
    """The files of the modules that `loader_module` imports, sorted, its own and those of packages included."""
    found: dict[str, Path] = {}
    waiting = [loader_module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name in found or file is None:  # or it names what is in a module
            continue
        found[name] = file
        waiting += [name.rpartition(".")[0]]
        waiting += [imported for imported in _imported(file) if f"{imported}.".startswith(f"{_PACKAGE}.")]
    return tuple(sorted(found.values()))


def check_traveling_version(model: Path) -> None:
    """Refuse a model whose code has another version than the package that this process has imported.

    Python keeps what it has imported: the model would be served by code that it was not made with.

    Raises:
        UnsupportedEnvironmentError: It has.
    """
    init = model / CODE_FOLDER / _PACKAGE / _INIT
    if not init.is_file():  # a model of a release whose code did not travel
        return
    found = _VERSION.search(read_bounded(init, _MAX_INIT_BYTES, UnsupportedEnvironmentError))
    version = found[1].decode(errors="replace") if found else "unknown"
    if version != pytorch_designer.__version__:
        raise UnsupportedEnvironmentError(
            f"The code of the model has version {version} of pytorch-designer, and this process has imported version "
            f"{pytorch_designer.__version__} from {_root()}.",
            where=model,
            advice="Load the model in a process that has not imported pytorch_designer, or with "
            "pytorch_designer.load_model, which reads the models of earlier versions.",
            reason="other_version",
        )


def _imported(file: Path) -> Iterator[str]:
    """Names in the import statements of a module: modules, and what is taken from them, which may be modules too."""
    for node in _statements(ast.parse(file.read_bytes()), enters_functions=file.name != _INIT):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST, *, enters_functions: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.expr) or (isinstance(child, ast.FunctionDef) and not enters_functions):
            continue
        yield child
        yield from _statements(child, enters_functions=enters_functions)


def _file(module: str) -> Path | None:
    path = _root().parent.joinpath(*module.split("."))
    if not module:
        return None
    return next((file for file in (path / _INIT, path.with_suffix(".py")) if file.is_file()), None)


def _root() -> Path:
    return Path(pytorch_designer.__file__).parent
