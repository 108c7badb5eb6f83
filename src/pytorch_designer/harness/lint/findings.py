"""What the linter reports."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytorch_designer.harness.lint.rules import RULES, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable


class Position(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake.

    Attributes:
        path: The file, as it was given or found.
        line: Line, from 1.
        column: Column, from 1.
        rule_id: A key of `RULES`.
        message: One sentence: what is wrong.
        hint: What to do, or empty.
    """

    path: str
    line: int
    column: int
    rule_id: str
    message: str
    hint: str = ""

    @property
    def severity(self) -> Severity:
        """The severity of its rule."""
        return RULES[self.rule_id].severity


class Report:
    """Collects the findings of one file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._findings: dict[Finding, None] = {}

    def add(self, rule_id: str, at: Position, message: str, hint: str = "") -> None:
        """Report a finding; the same one twice counts once.

        Raises:
            KeyError: There is no such rule.
        """
        rule = RULES[rule_id]
        self._findings[Finding(self.path, at.line, at.column, rule.rule_id, message, hint)] = None

    def findings(self) -> list[Finding]:
        """All findings, by line."""
        return sorted(self._findings)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a misspelling of."""
    folded = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.8)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the closest known name, else with all of them if they are few."""
    names = sorted(known)
    match = closest(name, names)
    if match is not None:
        return f"Did you mean {match}?"
    return f"There are: {', '.join(names)}." if 0 < len(names) <= 12 else ""
