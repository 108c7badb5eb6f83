"""The page that is served: small, alone, and what its sources say."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
SOURCES = TOP / "page"
BUILT = TOP / "src" / "pytorch_designer" / "designer" / "static"
MAX_BYTES, MAX_COMPRESSED_BYTES = 800_000, 260_000
_BUILD_SECONDS = 300


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_page_is_small() -> None:
    files = _files(BUILT)
    assert sum(map(len, files.values())) <= MAX_BYTES
    assert sum(len(gzip.compress(content)) for content in files.values()) <= MAX_COMPRESSED_BYTES


def test_the_page_names_no_file_of_another_place() -> None:
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="([^"]*)"', page) != []
    for address in re.findall(r'(?:src|href)="([^"]*)"', page):
        assert (BUILT / address).is_file(), address
    assert "url(http" not in (BUILT / "assets" / "style.css").read_text(encoding="utf-8")


@pytest.mark.slow
def test_sources_are_right_and_build_to_the_bytes_that_are_committed(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node.js on this machine")
    page = tmp_path / "page"
    shutil.copytree(SOURCES, page, ignore=shutil.ignore_patterns("node_modules"))
    if (SOURCES / "node_modules").is_dir():
        (page / "node_modules").symlink_to(SOURCES / "node_modules")
    elif _run(page, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts").returncode != 0:
        pytest.skip("the packages of page/package-lock.json cannot be installed here")
    for command in (["npm", "test"], ["npm", "run", "build"]):
        done = _run(page, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    assert _files(tmp_path / "src" / "pytorch_designer" / "designer" / "static") == _files(BUILT)


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
