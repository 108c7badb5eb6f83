"""Report of the linter's findings on one file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.rules import RULES
from pytorch_designer.harness.schema.spec_faults import SpecFault

if TYPE_CHECKING:
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
