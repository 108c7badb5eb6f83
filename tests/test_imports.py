"""Imports with the garbage collector paused, in separate processes because the collector is global."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BEFORE = "import gc\nfrom pytorch_designer.imports import quick_import\n"


def run(program: str, cwd: Path) -> str:
    (cwd / "library.py").write_text("import gc\nhas_collector = gc.isenabled()\nparts = [[] for _ in range(1000)]\n")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEFORE + program],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_nothing_is_collected_during_the_import_and_the_collector_works_afterwards(tmp_path: Path) -> None:
    program = "with quick_import('library'):\n  import library\nprint(library.has_collector, gc.isenabled())"
    assert run(program, tmp_path) == "False True"


def test_imported_objects_are_excluded_from_later_collections(tmp_path: Path) -> None:
    program = "with quick_import('library'):\n  import library\nprint(gc.get_freeze_count() > 1000)"
    assert run(program, tmp_path) == "True"


def test_a_failed_import_leaves_the_collector_working(tmp_path: Path) -> None:
    program = (
        "try:\n  with quick_import('library'):\n    import library_of_nobody\n"
        "except ImportError:\n  print(gc.isenabled())"
    )
    assert run(program, tmp_path) == "True"


def test_nothing_is_frozen_if_the_library_is_imported_already(tmp_path: Path) -> None:
    program = "import library\nwith quick_import('library'):\n  import library\nprint(gc.get_freeze_count())"
    assert run(program, tmp_path) == "0"


def test_a_collector_that_was_off_stays_off(tmp_path: Path) -> None:
    program = (
        "gc.disable()\nwith quick_import('library'):\n  import library\nprint(gc.isenabled(), gc.get_freeze_count())"
    )
    assert run(program, tmp_path) == "False 0"


def test_everything_can_be_collected_when_the_process_ends(tmp_path: Path) -> None:
    program = (
        "import atexit\natexit.register(lambda: print(gc.get_freeze_count()))\n"  # called last: the last one is first
        "with quick_import('library'):\n  import library"
    )
    assert run(program, tmp_path) == "0"
