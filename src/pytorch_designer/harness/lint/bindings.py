"""The expressions of Azure ML: `${{ ... }}` is replaced by a value, `$[[ ... ]]` vanishes with its optional input."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BINDING = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_BLOCK = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
_HALF_BINDINGS = (
    (re.compile(r"(?<![$\w{])\{\{\s*(?:parent\.)?(?:inputs|outputs|jobs)\.[^{}]*\}\}"), "The dollar sign is missing."),
    (re.compile(r"\$\{\s*(?:parent\.)?(?:inputs|outputs|jobs)\.[^{}]*\}"), "A binding has two braces on each side."),
    (re.compile(r"\$\{\{(?![^}]*\}\})[^}\s]*\}?"), "The closing braces are missing."),
    (re.compile(r"\$\[\[(?!.*?\]\])", re.DOTALL), "The closing brackets are missing."),
)


@dataclass(frozen=True)
class Binding:
    """One `${{ ... }}`.

    Attributes:
        written: As it stands in the text.
        parts: What is between the braces, split at dots; empty if it is no dotted name.
        start: Index in the text.
    """

    written: str
    parts: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class OptionalBlock:
    """One `$[[ ... ]]`; `start` and `end` are indices in the text."""

    written: str
    start: int
    end: int


def bindings_in(text: str) -> list[Binding]:
    """All bindings, those included that mean nothing."""
    found = []
    for match in _BINDING.finditer(text):
        content = match.group(1).strip()
        parts = tuple(content.split(".")) if _PATH.fullmatch(content) else ()
        found.append(Binding(match.group(0), parts, match.start()))
    return found


def optional_blocks_in(text: str) -> list[OptionalBlock]:
    """All `$[[ ... ]]`."""
    return [OptionalBlock(match.group(0), match.start(), match.end()) for match in _BLOCK.finditer(text)]


def half_bindings_in(text: str) -> list[tuple[str, str]]:
    """What was meant as a binding or block but is not complete, with what is wrong with it."""
    return [(match.group(0), hint) for pattern, hint in _HALF_BINDINGS for match in pattern.finditer(text)]
