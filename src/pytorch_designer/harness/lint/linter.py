"""Linter of Azure ML specifications: files, folders, texts and azure-ai-ml objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.component_checks import check_command_component, check_reserved_names
from pytorch_designer.harness.lint.documents import Kind, Library, kind_of, looks_like_azure_ml, yaml_files
from pytorch_designer.harness.lint.findings import Report
from pytorch_designer.harness.lint.keys import check_repeated_keys
from pytorch_designer.harness.lint.pipeline_checks import check_pipeline
from pytorch_designer.harness.lint.rules import RULES, Severity
from pytorch_designer.harness.schema.azure_objects import object_document
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from pytorch_designer.harness.schema.spec_faults import SpecFault


@dataclass(frozen=True)
class LintResult:
    """Result of a check.

    Attributes:
        findings: All findings, by file and line; their kinds are keys of `RULES`.
        num_files: Number of components and pipelines that were checked.
    """

    findings: tuple[SpecFault, ...]
    num_files: int

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(RULES[finding.kind].severity is Severity.ERROR for finding in self.findings)


def lint(paths: Iterable[Path], *, ignored_rules: Collection[str] = ()) -> LintResult:
    """Check the files of components and pipeline jobs.

    Args:
        paths: Files, each of which must be a component or pipeline job, and folders, in which every YAML file that
            is one is checked. They must exist.
        ignored_rules: Ids of rules that are switched off.

    Raises:
        OSError: A folder, or a file in it, cannot be read.
    """
    library = Library()
    reports: dict[Path, Report] = {}
    for path in paths:
        for file in yaml_files(path) if path.is_dir() else [path]:
            report = None if file in reports else _lint_file(file, library, is_named=not path.is_dir())
            if report is not None:
                reports[file] = report
    return _result(reports.values(), ignored_rules)


def lint_text(text: str, *, folder: Path, name: str = "text.yaml", ignored_rules: Collection[str] = ()) -> LintResult:
    """Check the text of a component or pipeline job.

    Args:
        text: YAML.
        folder: The folder that relative paths in it start from.
        name: The name of the text in findings.
        ignored_rules: Ids of rules that are switched off.
    """
    report = Report(name)
    try:
        document = parse_yaml(text, folder / name)
    except InvalidSpecError as error:
        _report_syntax(report, error)
    else:
        _check(report, document, Library())
    return _result([report], ignored_rules)


def lint_object(job_or_component: Any, *, ignored_rules: Collection[str] = ()) -> LintResult:
    """Check an azure-ai-ml object, such as those of `load_component`, `load_job` and `@dsl.pipeline` functions.

    What is checked is the YAML that the SDK would write. Findings have no lines; `place.keys` leads to the fault.

    Args:
        job_or_component: A command component, pipeline component or pipeline job.
        ignored_rules: Ids of rules that are switched off.
    """
    document = object_document(job_or_component)
    report = Report(str(document.path))
    _check(report, document, Library())
    return _result([report], ignored_rules)


def _lint_file(path: Path, library: Library, *, is_named: bool) -> Report | None:
    """The report on a file, or None if there is nothing to check and it was not named."""
    report = Report(str(path))
    try:
        document = library.open(path)
    except InvalidSpecError as error:
        if not is_named and not looks_like_azure_ml(path):
            return None
        _report_syntax(report, error)
        return report
    if not is_named and kind_of(document.root) is None:
        return None
    _check(report, document, library)
    return report


def _check(report: Report, document: YamlDocument, library: Library) -> None:
    kind = kind_of(document.root)
    if kind is None:
        report.add(
            "not-a-spec",
            document.root.source.place(1, 1),
            "This is not a command component, pipeline component or pipeline job.",
            "Its $schema or type says what a file is.",
        )
        return
    check_repeated_keys(report, document)
    if kind is Kind.COMMAND_COMPONENT:
        check_command_component(report, document.root)
        check_reserved_names(report, document.root)
    else:
        check_pipeline(report, document.root, kind, library)


def _report_syntax(report: Report, error: InvalidSpecError) -> None:
    for fault in error.faults:
        place = replace(fault.place, line=max(fault.place.line, 1), column=max(fault.place.column, 1))
        report.add("yaml-syntax", place, fault.message, fault.advice)


def _result(reports: Collection[Report], ignored_rules: Collection[str]) -> LintResult:
    findings = sorted(finding for report in reports for finding in report.findings())
    kept = tuple(finding for finding in findings if finding.kind not in ignored_rules)
    return LintResult(kept, num_files=len(reports))
