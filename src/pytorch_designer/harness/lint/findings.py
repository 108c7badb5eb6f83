"""Report of the linter's findings on one file."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.rules import RULES
from pytorch_designer.harness.schema.spec_faults import SpecFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.harness.schema.spec_faults import SpecPlace


class Report:
    """Report on one file; `path` is the file as the user named it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._findings: dict[SpecFault, None] = {}

    def add(self, rule_id: str, at: SpecPlace, message: str, advice: str = "") -> None:
        """Add a finding; the same one twice counts once.

        Raises:
            KeyError: There is no such rule.
        """
        place = replace(at, file=self.path)
        self._findings[SpecFault(place, RULES[rule_id].rule_id, message, advice)] = None

    def findings(self) -> list[SpecFault]:
        """All findings, by line. Their kinds are keys of `RULES`."""
        return sorted(self._findings)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a misspelling of."""
    folded = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.8)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Advice with the closest known name; if there is none, with all of them if they are few."""
    names = sorted(known)
    match = closest(name, names)
    if match is not None:
        return f"Did you mean {match}?"
    return f"There are: {', '.join(names)}." if 0 < len(names) <= 12 else ""
