"""Checks of the keys and simple values of a mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.spec_faults import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.schema.component_file import Kind
    from pytorch_designer.harness.schema.yaml_tree import Value, YamlDocument


def check_repeated_keys(report: Report, document: YamlDocument) -> None:
    """Report every key that occurs twice in its mapping."""
    for value in document.repeated:
        report.add(
            "duplicate-key", value.key_place, "This key occurs earlier in the same mapping.", "Remove one of them."
        )


def check_keys(report: Report, mapping: Value, known: Iterable[str], *, owner: str, are_refused: bool = False) -> None:
    """Report keys that the schema does not have.

    Args:
        report: Where to report.
        mapping: The mapping.
        known: The keys that it may have.
        owner: What the mapping is, for the message: `an input`.
        are_refused: Whether azure-ai-ml refuses unknown keys here; else it accepts them silently.
    """
    known = frozenset(known)
    for key, value in mapping.children.items():
        if key in known:
            continue
        if are_refused:
            rule_id = "refused-key"
        else:
            rule_id = "unknown-key" if closest(key, known - mapping.children.keys()) is None else "misspelled-key"
        advice = did_you_mean(key, known) if rule_id != "unknown-key" else _MOVED.get(key, "Remove it.")
        report.add(rule_id, value.key_place, f"There is no key {key} in {owner}.", advice)


def check_required_keys(report: Report, mapping: Value, required: Iterable[str], *, owner: str) -> None:
    """Report required keys that are absent."""
    for key in required:
        if key not in mapping.children:
            report.add("missing-key", mapping.place, f"{owner.capitalize()} needs the key {key}.")


def check_texts(report: Report, mapping: Value, names: Iterable[str]) -> None:
    """Report values that must be text and are not."""
    for name in names:
        value = mapping.get(name)
        if value is not None and value.text is None:
            report.add("wrong-value", value.place, f"{name} must be text.", "Put it in quotes.")


def check_type_of(report: Report, root: Value, kind: Kind) -> None:
    """Report a `type` that is not quite that of the document's kind, such as `comand`."""
    value, wanted = root.get("type"), kind.value.split()[0]
    if value is not None and str(value.plain).lower() != wanted:
        message = f"{value.shown_text} is not the type of a {kind.value}."
        report.add("unknown-type", value.place, message, f"Write {wanted}.")


def check_tags(report: Report, mapping: Value) -> None:
    """Report tags that are not text."""
    tags = mapping.get("tags")
    if tags is None:
        return
    if not tags.is_mapping:
        report.add("wrong-value", tags.place, "tags must be a mapping.")
    for name, value in tags.children.items():
        if value.text is None:
            report.add("wrong-value", value.place, f"The tag {name} must be text.", "Put it in quotes.")


def mapping_at(report: Report, owner: Value, name: str) -> Value | None:
    """The mapping under a key, or None; a value that is not a mapping is reported."""
    value = owner.get(name)
    if value is None or value.is_mapping:
        return value
    report.add("wrong-value", value.place, f"{name} must be a mapping.", "Leave the key out if it would be empty.")
    return None


_ON_THE_NODE = "Set it on the node of a pipeline; on a component it is ignored."
_MOVED = {
    "compute": _ON_THE_NODE,
    "limits": _ON_THE_NODE,
    "identity": _ON_THE_NODE,
    "services": _ON_THE_NODE,
    "experiment_name": "It belongs to a job; here it is ignored.",
}
