"""Checks files and folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from pytorch_designer.harness.lint.component_checks import check_command_component, check_reserved_names
from pytorch_designer.harness.lint.documents import Document, Kind, Library, looks_like_azure_ml, yaml_files
from pytorch_designer.harness.lint.findings import Finding, Position, Report
from pytorch_designer.harness.lint.keys import check_repeated_keys
from pytorch_designer.harness.lint.pipeline_checks import check_pipeline
from pytorch_designer.harness.lint.rules import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

_START = Position(1, 1)


@dataclass(frozen=True)
class LintResult:
    """What was checked and found.

    Attributes:
        findings: All findings, by file and line.
        num_files: How many components and pipelines were checked.
    """

    findings: tuple[Finding, ...]
    num_files: int

    @property
    def num_errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)


def lint(paths: Iterable[Path], *, ignored_rules: Collection[str] = ()) -> LintResult:
    """Check components and pipeline jobs.

    Args:
        paths: Files, each of which must be a component or pipeline job, and folders, in which every YAML file that
            is one is checked. They must exist.
        ignored_rules: Ids of rules that are switched off.

    Raises:
        OSError: A file or folder cannot be read.
    """
    library = Library()
    reports: dict[Path, Report] = {}
    for path in paths:
        for file in yaml_files(path) if path.is_dir() else [path]:
            report = None if file in reports else _lint_file(file, library, is_named=not path.is_dir())
            if report is not None:
                reports[file] = report
    findings = sorted(finding for report in reports.values() for finding in report.findings())
    kept = tuple(finding for finding in findings if finding.rule_id not in ignored_rules)
    return LintResult(kept, num_files=len(reports))


def _lint_file(path: Path, library: Library, *, is_named: bool) -> Report | None:
    """The report on a file, or None if it is nothing to check and was not named."""
    report = Report(str(path))
    try:
        document = library.open(path)
    except yaml.YAMLError as error:
        if not is_named and not looks_like_azure_ml(path.read_text(encoding="utf-8", errors="replace")):
            return None
        _report_syntax(report, error)
        return report
    if document is not None and document.kind is not None:
        _check(report, document, document.kind, library)
        return report
    if not is_named:
        return None
    report.add(
        "not-a-spec",
        _START,
        "This file is no command component, pipeline component or pipeline job.",
        "Its $schema or type says what a file is.",
    )
    return report


def _check(report: Report, document: Document, kind: Kind, library: Library) -> None:
    check_repeated_keys(report, document)
    if kind is Kind.COMMAND_COMPONENT:
        check_command_component(report, document.root, document.folder)
        check_reserved_names(report, document.root)
    else:
        check_pipeline(report, document, kind, library)


def _report_syntax(report: Report, error: yaml.YAMLError) -> None:
    mark = getattr(error, "problem_mark", None)
    position = _START if mark is None else Position(mark.line + 1, mark.column + 1)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    report.add("yaml-syntax", position, f"This is no valid YAML: {problem}.", "Check indentation, colons and quotes.")
