"""Generator of all files that are derived from definitions: `make generate`.

component.yaml, components/*.yaml and environment/, and docs/reference/ (a page per component, the settings, the errors,
the lint rules).
"""

from __future__ import annotations

import sys
from pathlib import Path

from pytorch_designer.cli.reference import error_page, settings_page
from pytorch_designer.components.azure_files import component_texts, environment_texts
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.harness.lint.formats import rules_page
from pytorch_designer.spec.reference_page import reference_page


def generated_files() -> dict[str, str]:
    """The text of every generated file, by its path relative to the repository."""
    pages = {
        "docs/reference/settings.md": settings_page(),
        "docs/reference/errors.md": error_page(),
        "docs/reference/lint_rules.md": rules_page(),
    }
    pages |= {f"docs/reference/{component.name}.md": reference_page(component) for component in COMPONENTS.values()}
    return component_texts() | environment_texts() | pages


def main() -> int:
    """Write the generated files below the working directory, which must be the top of the repository."""
    top = Path.cwd()
    if not (top / "pyproject.toml").is_file():
        print("Run this from the top of the repository.", file=sys.stderr)
        return 2
    for name, text in generated_files().items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
