"""Formats of findings: text, JSON, and annotations of GitHub Actions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.rules import RULE_GROUPS, RULES
from pytorch_designer.shown_text import on_one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_designer.harness.lint.linter import LintResult
    from pytorch_designer.harness.schema.spec_faults import SpecFault


_RULES_HEAD = ("| rule | severity | what is found | what Azure ML does | `run` |", "|---|---|---|---|---|")


def as_text(result: LintResult) -> str:
    """`file:line:column: severity rule message`, with the hint below, and a summary."""
    lines = []
    for finding in result.findings:
        place = f"{finding.place}:{finding.place.column}" if finding.place.line else str(finding.place)
        line = f"{place}: {RULES[finding.kind].severity.value} [{finding.kind}] {finding.message}"
        lines += [line, f"    {finding.advice}"] if finding.advice else [line]
    num_warnings = len(result.findings) - result.num_errors
    counts = f"{_counted(result.num_errors, 'error')}, {_counted(num_warnings, 'warning')}"
    return "\n".join([*map(on_one_line, lines), f"{_counted(result.num_files, 'file')} checked: {counts}."])


def as_json(result: LintResult) -> str:
    """An object with `findings`, `num_files`, `num_errors` and `num_warnings`."""
    content = {
        "findings": [_as_dict(finding) for finding in result.findings],
        "num_files": result.num_files,
        "num_errors": result.num_errors,
        "num_warnings": len(result.findings) - result.num_errors,
    }
    return json.dumps(content, indent=2)


def as_github(result: LintResult) -> str:
    """Workflow commands, which GitHub Actions shows beside the lines of a pull request."""
    return "\n".join(_annotation(finding) for finding in result.findings)


FORMATS: dict[str, Callable[[LintResult], str]] = {"text": as_text, "json": as_json, "github": as_github}


def rules_page() -> str:
    """Markdown with every rule, for docs/reference/lint_rules.md."""
    sections = [
        "<!-- Generated from src/pytorch_designer/harness/lint/rules.py by `make generate`. -->",
        "# Rules of `pytorch-designer lint`",
        "Checked against azure-ai-ml 1.35. An *error* is refused by Azure ML, or does something else than the file "
        "says; a *warning* is suspicious, or has no effect. The exit code is 1 if there is an error, else 0; "
        "`--ignore RULE` switches a rule off.",
        "`pytorch-designer run` says the same of a file before it starts: it refuses what Azure ML refuses, and warns "
        "of the rest. What depends on the values that are given to it, it checks itself.",
    ]
    for title, rules in RULE_GROUPS.items():
        rows = [
            f"| `{rule.rule_id}` | {rule.severity.value} | {_cell(rule.meaning)} | {_cell(rule.consequence)} "
            f"| {rule.in_run.value} |"
            for rule in rules
        ]
        sections.append(f"## {title}")
        sections.append("\n".join([*_RULES_HEAD, *rows]))
    return "\n\n".join(sections) + "\n"


def _as_dict(finding: SpecFault) -> dict[str, object]:
    return {
        "path": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "rule": finding.kind,
        "severity": RULES[finding.kind].severity.value,
        "message": finding.message,
        "hint": finding.advice,
    }


def _annotation(finding: SpecFault) -> str:
    place = f"file={_property(finding.place.file)},line={finding.place.line},col={finding.place.column}"
    text = " ".join(part for part in (finding.message, finding.advice) if part)
    return f"::{RULES[finding.kind].severity.value} {place},title={finding.kind}::{_data(text)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
