"""Linter of Azure ML specifications: files, folders, texts and azure-ai-ml objects."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InvalidSpecError
from pytorch_designer.harness.lint.component_checks import check_command_component, check_reserved_names
from pytorch_designer.harness.lint.documents import Library, looks_like_azure_ml, named_components, yaml_files
from pytorch_designer.harness.lint.findings import Report
from pytorch_designer.harness.lint.keys import check_repeated_keys, check_type_of
from pytorch_designer.harness.lint.object_documents import object_document
from pytorch_designer.harness.lint.pipeline_checks import check_command_job, check_pipeline, check_sweep_job
from pytorch_designer.harness.lint.rules import RULES, InRun, Severity
from pytorch_designer.harness.node_kinds.disabled_nodes import without_disabled_nodes
from pytorch_designer.harness.schema.component_file import Kind, kind_of
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecPlace
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, parse_yaml
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from pytorch_designer.harness.schema.spec_faults import SpecFault


@dataclass(frozen=True)
class LintResult:
    """Result of a check.

    Attributes:
        findings: All findings, by file and line; their kinds are keys of `RULES`.
        num_files: Number of components and jobs that were checked.
    """

    findings: tuple[SpecFault, ...]
    num_files: int

    @property
    def num_errors(self) -> int:
        """Number of findings that are errors."""
        return sum(RULES[finding.kind].severity is Severity.ERROR for finding in self.findings)


def lint(paths: Iterable[Path], *, ignored_rules: Collection[str] = ()) -> LintResult:
    """Check the files of components and jobs, and the component files that pipelines name.

    Args:
        paths: Files, each of which must be a component or job, and folders, in which every YAML file that is one is
            checked. They must exist.
        ignored_rules: Ids of rules that are switched off.

    Raises:
        OSError: A folder, or a file in it, cannot be read.
    """
    library = Library()
    reports: dict[Path, Report] = {}
    folders = []
    for path in paths:
        folders += [path] if path.is_dir() else []
        for file in yaml_files(path) if path.is_dir() else [path]:
            _lint_file(file, library, reports, is_named=not path.is_dir())
    if not reports and folders:
        return _result([_nothing_checked(folder) for folder in folders], ignored_rules, num_files=0)
    return _result(reports.values(), ignored_rules)


@dataclass(frozen=True)
class FindingsForRun:
    """Findings on a file before `run` starts it.

    Attributes:
        place: The file.
        faults: Why it is refused.
        warnings: What is said, and does not keep it from running.
    """

    place: SpecPlace
    faults: tuple[SpecFault, ...] = ()
    warnings: tuple[SpecFault, ...] = ()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Read and plan the file inside; what is wrong is raised with the linter's faults, all at once.

        Raises:
            DesignerError: The file cannot be run.
        """
        faults = FaultCollector()
        for fault in self.faults:
            faults.add(fault.message, fault.place, fault.advice)
        known = {(fault.place.file, fault.place.line) for fault in self.faults}
        try:
            yield
        except DesignerError as error:
            if not known:
                raise
            others = [fault for fault in error.faults if (fault.place.file, fault.place.line) not in known]
            for fault in others:
                with faults.collecting():
                    raise fault.error() from error
            if not error.faults and error.where not in {file for file, _ in known}:
                with faults.collecting():
                    raise
        faults.raise_any(self.place)


def findings_for_run(document: YamlDocument) -> FindingsForRun:
    """Findings on a component or job that is to run on this machine; those on disabled nodes do not count."""
    place = SpecPlace(str(document.path))
    if kind_of(document.root) is None:
        return FindingsForRun(place)
    reports: dict[Path, Report] = {}
    running, _ = without_disabled_nodes(document)
    _lint_file(document.path, Library(running), reports, is_named=True)
    found: dict[InRun, list[SpecFault]] = {word: [] for word in InRun}
    for finding in _result(reports.values(), ()).findings:
        found[RULES[finding.kind].in_run].append(finding)
    return FindingsForRun(place, tuple(found[InRun.REFUSES]), tuple(found[InRun.WARNS]))


def lint_document(document: YamlDocument, library: Library) -> tuple[SpecFault, ...]:
    """Faults of a component or job and of the component files that it names.

    Args:
        document: The document, whose text need not be that of its file.
        library: Component files.
    """
    reports: dict[Path, Report] = {}
    _lint_file(document.path, library.with_document(document), reports, is_named=True)
    return _result(reports.values(), ()).findings


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


def _lint_file(path: Path, library: Library, reports: dict[Path, Report], *, is_named: bool) -> None:
    """Add the report on a file, unless there is nothing to check and it was not named; likewise of those it names."""
    key = resolved(path)
    if key in reports:
        return
    report = Report(str(path))
    try:
        document = library.open(path)
    except InvalidSpecError as error:
        if is_named or looks_like_azure_ml(path):
            _report_syntax(report, error)
            reports[key] = report
        return
    if not is_named and kind_of(document.root) is None:
        return
    reports[key] = report
    _check(report, document, library)
    if any(finding.kind == "nested-pipelines" for finding in report.findings()):
        return  # what it names may be named without end
    for component in dict.fromkeys(named_components(document.root, path.parent)):
        _lint_file(component, library, reports, is_named=False)


def _check(report: Report, document: YamlDocument, library: Library) -> None:
    root = document.root
    kind = kind_of(root)
    if kind is None:
        report.add(
            "not-a-spec",
            root.source.place(1, 1),
            "This is not a command component, command job, pipeline component, pipeline job or sweep job.",
            "Its $schema or type says what a file is.",
        )
        return
    check_repeated_keys(report, document)
    check_type_of(report, root, kind)
    if kind is Kind.COMMAND_COMPONENT:
        check_command_component(report, root)
        check_reserved_names(report, root)
    elif kind is Kind.SWEEP_JOB:
        check_sweep_job(report, root)
    elif kind is Kind.COMMAND_JOB:
        check_command_job(report, root, library)
    else:
        check_pipeline(report, root, kind, library)


def _nothing_checked(folder: Path) -> Report:
    report = Report(str(folder))
    message = "No YAML file in this folder is a component or job of Azure ML; nothing was checked."
    report.add(
        "nothing-checked", SpecPlace(str(folder)), message, "Name the file: its $schema or type says what it is."
    )
    return report


def _report_syntax(report: Report, error: InvalidSpecError) -> None:
    for fault in error.faults:
        place = replace(fault.place, line=max(fault.place.line, 1), column=max(fault.place.column, 1))
        report.add("yaml-syntax", place, fault.message, fault.advice)


def _result(reports: Collection[Report], ignored_rules: Collection[str], *, num_files: int | None = None) -> LintResult:
    findings = sorted(finding for report in reports for finding in report.findings())
    kept = tuple(finding for finding in findings if finding.kind not in ignored_rules)
    return LintResult(kept, num_files=len(reports) if num_files is None else num_files)
