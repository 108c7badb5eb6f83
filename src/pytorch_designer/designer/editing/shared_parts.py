"""Parts of a YAML text that are written once and used several times: anchors, aliases and merge keys.

An edit of one place must not change the others. An alias becomes a copy of what it stands for; an anchor moves to the
first of the other places; a merge key becomes the keys that it brings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.editing.plain_data import value_at
from pytorch_designer.designer.editing.yaml_spans import MERGE_KEY, SpanNode
from pytorch_designer.designer.editing.yaml_writing import entry_lines, flow_text

if TYPE_CHECKING:
    from pytorch_designer.designer.editing.yaml_spans import Path, SpanText

Change = tuple[int, int, str]
"""The start and the end of a part of a text, and what replaces it."""
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+([ \t]+(?=[^\s#]|\Z))?")


def detached(spans: SpanText, path: Path, data: Any, indent: int, *, is_removed: bool = False) -> list[Change] | None:
    """The next change of the text after which what is at a path belongs to that path alone; None if it does.

    Args:
        spans: The text.
        path: Where something is to be changed; it need not exist.
        data: What the text is read as.
        indent: Number of blanks per level.
        is_removed: Whether the entry at the path is to be removed or renamed; else its value is replaced.
    """
    node = spans.root
    assert node is not None
    for depth, key in enumerate(path):
        entry = node.entry(key)
        if entry is None:
            is_merged = value_at(data, path[: depth + 1], missing := object()) is not missing
            is_in_the_way = is_removed or depth + 1 < len(path)  # an entry of its own takes precedence
            return _unmerged(spans, node, path[:depth], data, indent) if is_merged and is_in_the_way else None
        name, value = entry
        if value.kind == "alias":
            if depth + 1 == len(path):  # replaced or removed as a whole
                return None
            return [_copy(spans, value, name.column + indent, is_flow=node.is_flow)]
        for inner in value.walk() if depth + 1 == len(path) else [value]:
            moved = _moved_anchor(spans, inner, value, indent)
            if moved is not None:
                return moved
        node = value
    return None


def without_anchors(text: str, start: int, end: int, *nodes: SpanNode) -> str:
    """A part of the text without the anchors of the nodes in it."""
    anchored = [part for node in nodes for part in node.walk() if part.anchor and part.outer_start >= start]
    written = text[start:end]
    for part in sorted(anchored, key=lambda part: part.outer_start, reverse=True):
        first, last = part.outer_start - start, part.start - start
        written = written[:first] + _ANCHOR.sub("", written[first:last], count=1) + written[last:]
    return written


def shifted(written: str, columns: int) -> str:
    """The lines after the first of a text, indented by more or fewer blanks."""
    lines = re.split("(\r\n|[\r\n])", written)
    for index in range(2, len(lines), 2):
        line = lines[index]
        blanks = len(line) - len(line.lstrip(" "))
        if line.strip():
            lines[index] = " " * max(0, blanks + columns) + line[blanks:]
    return "".join(lines)


def _copy(spans: SpanText, alias: SpanNode, column: int, *, is_flow: bool, anchor: str = "") -> Change:
    """Change that replaces an alias by the text of its anchored node."""
    target = spans.resolved(alias)
    head = f"&{anchor} " if anchor else ""
    is_block = target.kind in {"mapping", "sequence"} and not target.is_flow
    if is_block and is_flow:
        return alias.outer_start, alias.end, head + flow_text(_plain(spans, target))
    written = without_anchors(spans.text, target.start, target.end, target)
    if not is_block:
        return alias.outer_start, alias.end, head + written
    start = alias.outer_start if anchor else len(spans.text[: alias.outer_start].rstrip(" \t"))
    lines = spans.newline + " " * column + shifted(written, column - target.column)
    return start, alias.end, head.rstrip() + lines


def _moved_anchor(spans: SpanText, node: SpanNode, around: SpanNode, indent: int) -> list[Change] | None:
    """Changes that give an anchor to the first alias after and outside of `around`; None if there is none."""
    if node.anchor is None or spans.root is None:
        return None
    for parent in spans.root.walk():
        members = [(key.column + indent, value) for key, value in parent.entries]
        members += [(item.column, item) for item in parent.items]
        for column, member in members:
            if member.kind == "alias" and member.value == node.anchor and member.start >= around.end:
                own = spans.text[node.outer_start : node.start]
                return [
                    (node.outer_start, node.start, _ANCHOR.sub("", own, count=1)),
                    _copy(spans, member, column, is_flow=parent.is_flow, anchor=node.anchor),
                ]
    return None


def _unmerged(spans: SpanText, node: SpanNode, path: Path, data: Any, indent: int) -> list[Change] | None:
    """The change that writes out the keys that the merge keys of a mapping bring."""
    own = {key.value for key, _ in node.entries}
    brought = {key: value for key, value in value_at(data, path, {}).items() if str(key) not in own}
    merges = [entry for entry in node.entries if entry[0].value == MERGE_KEY]
    if not merges:
        return None
    key, value = merges[0]
    if node.is_flow:
        written = flow_text(brought)[1:-1]
    else:
        lines: list[str] = []
        for name, member in brought.items():
            first, *others = entry_lines(str(name), member, node.column, indent)
            lines += [(" " * node.column if lines else "") + first, *others]
        written = spans.newline.join(lines)
    return [(key.outer_start, value.end, written)]


def _plain(spans: SpanText, node: SpanNode) -> Any:
    import yaml

    if node.kind == "alias":
        return _plain(spans, spans.resolved(node))
    if node.kind == "mapping":
        return {_plain(spans, key): _plain(spans, value) for key, value in node.entries}
    if node.kind == "sequence":
        return [_plain(spans, item) for item in node.items]
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, node.value, (not node.style, bool(node.style)))
    return loader.construct_object(yaml.ScalarNode(tag, node.value))
