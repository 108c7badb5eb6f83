"""Structure of the source: sizes of folders and modules, depth, and unique names."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "pytorch_designer"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _shared(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: files for name, files in places.items() if len(files) > 1}


def test_no_folder_has_more_than_15_modules() -> None:
    folders: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        folders[_name(path.parent)].append(path.name)
    assert {folder: len(files) for folder, files in folders.items() if len(files) > 15} == {}


def test_no_module_has_more_than_400_lines() -> None:
    lines = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {module: count for module, count in lines.items() if count > 400} == {}


def test_no_two_modules_share_a_name() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        modules[path.stem].append(_name(path))
    assert _shared(modules) == {}


@pytest.mark.slow
def test_no_two_public_classes_share_a_name() -> None:
    classes: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(_name(path))
    assert _shared(classes) == {}


def test_no_file_lies_deeper_than_a_room() -> None:
    assert [_name(path) for path in SOURCE.rglob("*.py") if len(path.relative_to(SOURCE).parts) > 3] == []


@pytest.mark.slow
def test_paths_are_resolved_by_the_function_that_takes_links_in_circles() -> None:
    resolving = [
        f"{_name(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "resolve"
        if not node.args
    ]
    assert resolving == []
