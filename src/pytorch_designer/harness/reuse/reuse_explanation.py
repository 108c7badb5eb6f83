"""Explanation of reuse: what has changed since a result was kept, part by part of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTHING_KEPT = "no result of this node is kept"
NOT_DETERMINISTIC = "its component says is_deterministic: false"
FORCED = "every node runs (force_rerun)"
UNREADABLE = "something that it needs cannot be read"
NOT_EMPTY = "its output folder holds something else"

_MAX_NAMES = 3
_MAX_VALUE = 40
_WHOLE = {
    "command": "the command",
    "environment": "the environment",
    "outputs": "the types or modes of the outputs",
    "distribution": "the distribution",
    "processes": "the number of processes or instances",
}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Differences of two records of key parts, one phrase per part; see `reuse_key.KeyParts.record`.

    Args:
        before: As it was kept; may be damaged.
        after: As it is now.
    """
    old, new = before.get("content"), after["content"]
    if not isinstance(old, dict):
        return ("it was kept by an older release, which did not say of what",)
    return (
        *_code(old, new, before.get("code_files") or {}, after["code_files"]),
        *_inputs(old.get("inputs") or {}, new["inputs"], {*after["data_inputs"], *(before.get("data_inputs") or ())}),
        *_variables(old.get("environment_variables") or {}, new["environment_variables"]),
        *(f"{words} changed" for part, words in _WHOLE.items() if old.get(part) != new[part]),
        *_machine(old.get("machine") or [], new["machine"]),
        *(("the form of the key changed",) if old.get("format") != new["format"] else ()),
    )


def _code(
    old: Mapping[str, Any], new: Mapping[str, Any], before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[str]:
    if old.get("code") == new["code"]:
        return
    names = [
        *(name for name in after if name in before and before[name] != after[name]),
        *(f"{name} (new)" for name in after if name not in before),
        *(f"{name} (removed)" for name in before if name not in after),
    ]
    yield f"code: {_listed(names)}" if names else "the code changed"


def _inputs(old: Mapping[str, Any], new: Mapping[str, Any], data: set[str]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        if name not in old:
            yield f"input {name} is given"
        elif name not in new:
            yield f"input {name} is no longer given"
        elif name in data:
            yield f"input {name}: other content"
        else:
            yield f"parameter {name}: {_value(old[name])} -> {_value(new[name])}"


def _variables(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    if names:
        yield f"environment variable: {_listed(names)}"


def _machine(old: list[str], new: list[str]) -> Iterator[str]:
    if old[:3] != new[:3]:
        yield "the Python or the machine changed"
    packages = sorted({*old[3:]} ^ {*new[3:]})
    if packages:
        shown = [f"{name.rpartition('.')[0]}{'' if name in new else ' (removed)'}" for name in packages]
        yield f"installed packages: {_listed(shown)}"


def _value(text: object) -> str:
    return shorten(str(text), _MAX_VALUE)


def _listed(names: list[str]) -> str:
    shown = ", ".join(shorten(name, 2 * _MAX_VALUE) for name in names[:_MAX_NAMES])
    return shown if len(names) <= _MAX_NAMES else f"{shown} and {len(names) - _MAX_NAMES} more"
