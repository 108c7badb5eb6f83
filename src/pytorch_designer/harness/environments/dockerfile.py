"""Python packages of a Dockerfile: requirements of pip, or a conda file; nothing else of it is read."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.schema.spec_faults import SpecPlace

_PYTHON_IMAGE = re.compile(r"(?:.*/)?python:(\d+\.\d+)")
_PYTHON_OF_CONDA = re.compile(r"python={1,2}(\d+\.\d+)")
_COMMANDS = re.compile(r"&&|\|\||;|\n")
_PIP = re.compile(r"pip(?:3(?:\.\d+)?)?")
_CONDA = frozenset({"conda", "mamba", "micromamba"})
_KEPT = frozenset(("-i", "--index-url", "--extra-index-url", "-f", "--find-links"))
_WITH_VALUE = _KEPT | {"--trusted-host", "-t", "--target", "--prefix", "--timeout", "--retries"}


@dataclass(frozen=True)
class DockerfilePackages:
    """Python packages of a Dockerfile.

    Attributes:
        python_version: That of its image, or that it asks conda for, or None.
        requirements: Lines of a requirements file; files are named by their absolute path.
        conda_file: The conda file that it makes an environment of, or None.
    """

    python_version: str | None
    requirements: tuple[str, ...]
    conda_file: Path | None


def read_dockerfile(path: Path, context: Path, place: SpecPlace) -> DockerfilePackages:
    """Read a Dockerfile.

    Args:
        path: The Dockerfile.
        context: The folder that its `COPY` starts from.
        place: Where it is named, for errors.

    Raises:
        InvalidSpecError: It cannot be read.
    """
    try:
        text = read_regular(path).decode("utf-8", "replace")
    except OSError as error:
        raise place.error(f"The Dockerfile {path} cannot be read: {error.strerror}.") from error
    version: str | None = None
    requirements: list[str] = []
    conda_file: Path | None = None
    copies: list[tuple[str, str]] = []
    for word, rest in _instructions(text):
        if word == "FROM" and (image := _PYTHON_IMAGE.match(rest)):
            version = image[1]
        elif word in {"COPY", "ADD"}:
            copies += _copied(rest)
        elif word == "RUN":
            for command in _COMMANDS.split(rest):
                words = _words(command)
                if (asked := _PYTHON_OF_CONDA.search(command)) and words and words[0] in _CONDA:
                    version = asked[1]
                if (named := _conda_file(words)) is not None:
                    conda_file = _in_context(named, context, copies)
                requirements += _pip_lines(words, context, copies)
    return DockerfilePackages(version, tuple(requirements), conda_file)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        yield word.upper(), rest.strip()


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:  # quotes that span what was split
        return command.split()


def _copied(rest: str) -> list[tuple[str, str]]:
    """Source and destination of each file of a `COPY`."""
    words = [word.strip('[],"') for word in _words(rest) if not word.startswith("--")]
    if len(words) < 2 or "--from=" in rest:
        return []
    *sources, destination = words
    return [(source, destination) for source in sources]


def _in_context(name: str, context: Path, copies: list[tuple[str, str]]) -> Path:
    """The file of the context that is `name` in the image."""
    base = PurePosixPath(name).name
    for source, destination in reversed(copies):
        target = destination if PurePosixPath(destination).name == base else f"{destination.rstrip('/')}/{base}"
        found = context / source.lstrip("/")
        found = found / base if found.is_dir() else found
        if found.is_file() and (target == name or found.name == base or PurePosixPath(target).name == base):
            return found
    return context / name.lstrip("/") if (context / name.lstrip("/")).is_file() else context / base


def _conda_file(words: list[str]) -> str | None:
    if len(words) < 3 or words[0] not in _CONDA or not {"create", "update", "install"} & set(words[1:3]):
        return None
    for position, word in enumerate(words[:-1]):
        if word in {"-f", "--file"}:
            return words[position + 1]
        if word.startswith("--file="):
            return word.partition("=")[2]
    last = words[-1]
    return last.partition("=")[2] if last.startswith("--file=") else None


def _pip_lines(words: list[str], context: Path, copies: list[tuple[str, str]]) -> Iterator[str]:
    """The requirements of one command, if it is a `pip install`."""
    start = next((place for place, word in enumerate(words) if _PIP.fullmatch(PurePosixPath(word).name)), None)
    if start is None or "install" not in words[start + 1 :]:
        return
    rest = iter(words[words.index("install", start) + 1 :])
    for word in rest:
        option, has_value, value = word.partition("=")
        if option in {"-r", "--requirement", "-c", "--constraint"}:
            file = _in_context(value if has_value else next(rest, ""), context, copies)
            yield f"{'-r' if 'r' in option.lstrip('-')[:1] else '-c'} {file.absolute()}"
        elif option in _WITH_VALUE:
            value = value if has_value else next(rest, "")
            if option in _KEPT:
                yield f"{option} {value}"
        elif not word.startswith("-"):
            yield word
