"""Checks of how a job runs: code, environment, resources, distribution."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.keys import check_keys, mapping_at
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.vocabulary import BUILD_KEYS, DISTRIBUTION_KEYS, ENVIRONMENT_KEYS, RESOURCES_KEYS

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.schema.yaml_tree import Value

_SHARED_MEMORY = re.compile(r"^\d+[bkmg]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<[^<>\n]+>|\{\{[^{}\n]*\}\}")  # also that of a template
_UNVERSIONED = re.compile(r"^azureml:[^/:@]+$")


def check_job_settings(report: Report, owner_value: Value, *, owner: str) -> None:
    """Check the settings of a component or node that say how its job runs; `owner` says which, for the message."""
    _check_code(report, owner_value)
    _check_environment(report, owner_value.get("environment"))
    resources = mapping_at(report, owner_value, "resources")
    if resources is not None:
        check_keys(report, resources, RESOURCES_KEYS, owner="resources", are_refused=owner != "a component")
        _check_resources(report, resources)
    _check_distribution(report, owner_value)


def check_local_path(report: Report, value: Value | None, *, what: str, rule_id: str = "missing-path") -> Path | None:
    """The local path that a value names, if it exists; a missing one is reported."""
    if value is None or value.text is None:
        return None
    text = value.text.strip()
    if is_reference(text) or "${{" in text or text.startswith(("~", "file:")) or is_placeholder(text):
        return None
    path = value.folder / text
    if path.exists():
        return path
    advice = "Write it with forward slashes." if "\\" in text else "Paths start from the folder of this file."
    report.add(rule_id, value.place, f"The {what} {text} does not exist.", advice)
    return None


def is_placeholder(text: str) -> bool:
    """True if a text stands for one that its reader is to fill in, such as `<path to the data>`."""
    return _PLACEHOLDER.search(text) is not None


def _check_code(report: Report, owner: Value) -> None:
    code = owner.get("code")
    if code is not None and (code.text or "").startswith("git+"):
        report.add("wrong-value", code.place, "Code from git is not supported.", "Give a local folder.")
    check_local_path(report, code, what="code folder")
    includes = owner.get("additional_includes")
    for entry in includes.entries if includes is not None else ():
        if entry.text is not None and not (entry.folder / entry.text).exists():
            # A name with .zip stands for the folder of that name, which is packed before the upload.
            if entry.text.endswith(".zip") and (entry.folder / entry.text.removesuffix(".zip")).is_dir():
                continue
            check_local_path(report, entry, what="additional include")


def _check_environment(report: Report, environment: Value | None) -> None:
    if environment is None:
        return
    text = environment.text
    if text is not None:
        if text.startswith("file:"):
            if not (environment.folder / text.removeprefix("file:")).exists():
                report.add("missing-path", environment.place, f"The environment file {text[5:]} does not exist.")
        elif not text.startswith("azureml:") and "${{" not in text and not is_placeholder(text):
            report.add("wrong-value", environment.place, f"{text} is not an environment.", "Write azureml:name:1.")
        elif _UNVERSIONED.match(text):
            advice = f"Write {text}@latest or {text}:1."
            report.add("wrong-value", environment.place, f"{text} has no version and no label.", advice)
        return
    if not environment.is_mapping:
        report.add("wrong-value", environment.place, "environment must be a mapping or a reference.")
        return
    check_keys(report, environment, ENVIRONMENT_KEYS, owner="an environment", are_refused=True)
    check_local_path(report, environment.get("conda_file"), what="conda file")
    build = mapping_at(report, environment, "build")
    if build is not None:
        check_keys(report, build, BUILD_KEYS, owner="a build context", are_refused=True)
        _check_build(report, build)


def _check_build(report: Report, build: Value) -> None:
    context = check_local_path(report, build.get("path"), what="build context")
    path = build.get("path")
    if context is None or path is None:
        return
    dockerfile = build.get("dockerfile_path")
    name = "Dockerfile" if dockerfile is None else str(dockerfile.plain)
    if not (context / name).exists():
        at = path if dockerfile is None else dockerfile
        report.add("missing-path", at.place, f"The build context has no {name}.", "It is read from the context.")


def _check_resources(report: Report, resources: Value) -> None:
    for name in ("instance_count", "max_instance_count"):
        value = resources.get(name)
        if value is None or "${{" in str(value.plain):
            continue
        if isinstance(value.plain, bool) or not str(value.plain).isdecimal() or int(value.plain) < 1:
            report.add("wrong-value", value.place, f"{name} must be a whole number of at least 1.")
    shm_size = resources.get("shm_size")
    if shm_size is not None and not _SHARED_MEMORY.match(str(shm_size.plain)) and "${{" not in str(shm_size.plain):
        report.add(
            "wrong-value",
            shm_size.place,
            f"{shm_size.shown_text} is not a size of shared memory.",
            "Write it like 8g or 512m.",
        )


def _check_distribution(report: Report, owner: Value) -> None:
    distribution = mapping_at(report, owner, "distribution")
    if distribution is None:
        return
    type_value = distribution.get("type")
    if type_value is None:
        report.add("missing-key", distribution.place, "A distribution needs a type.", "For example pytorch.")
        return
    keys = DISTRIBUTION_KEYS.get(str(type_value.plain).lower().replace("_", ""))
    if keys is None:
        advice = f"There are: {', '.join(sorted(DISTRIBUTION_KEYS))}."
        report.add("wrong-value", type_value.place, f"{type_value.shown_text} is not a distribution.", advice)
        return
    check_keys(report, distribution, keys, owner="this distribution")
