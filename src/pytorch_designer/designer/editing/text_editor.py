"""Editor of a YAML text: values put, entries removed and renamed, in the lines that they stand in.

Each step is made twice, in the text and in the plain data. In the end the text must be read as the data: an edit that
YAML's rarer forms would turn into something else is refused, and the text stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.designer.editing.plain_data import (
    put_in,
    read_plain,
    remove_from,
    rename_in,
    same_data,
    value_at,
    with_texts,
)
from pytorch_designer.designer.editing.shared_parts import detached
from pytorch_designer.designer.editing.yaml_spans import SpanNode, SpanText, parse_spans
from pytorch_designer.designer.editing.yaml_writing import entry_lines, flow_text, scalar_text
from pytorch_designer.errors import InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytorch_designer.designer.editing.shared_parts import Change
    from pytorch_designer.designer.editing.yaml_spans import Path

ORDER = [
    *("$schema", "type", "name", "version", "display_name", "description", "experiment_name", "comment", "tags"),
    *("component", "trial", "code", "command", "environment", "inputs", "outputs", "compute", "resources"),
    *("distribution", "environment_variables", "limits", "properties", "settings", "jobs"),
]
_VANISHING = {
    "inputs",
    "outputs",
    "properties",
    "resources",
    "distribution",
    "environment_variables",
    "settings",
    "tags",
}
_COMMENT_LINE = re.compile(r"[ \t]*#")


class TextEditor:
    """Editor of one text.

    Args:
        text: YAML, one document whose content is a mapping; with any line ends.

    Raises:
        yaml.YAMLError: It is not.
    """

    def __init__(self, text: str) -> None:
        self._spans = parse_spans(text)
        if self._spans.root is None or self._spans.root.kind != "mapping":
            raise yaml.YAMLError("the text is not a mapping")
        self.data: dict[str, Any] = read_plain(text)

    @property
    def text(self) -> str:
        """The text as it is now."""
        return self._spans.text

    @property
    def spans(self) -> SpanText:
        """The text as it is now, with the places of its nodes."""
        return self._spans

    @property
    def indent(self) -> int:
        """The number of blanks that one level is indented by, as in the first level that there is."""
        for node in [] if self._spans.root is None else self._spans.root.walk():
            for key, value in node.entries:
                if value.kind == "mapping" and not value.is_flow and not node.is_flow and value.entries:
                    return max(1, value.column - key.column)
        return 2

    def put(self, path: Path, value: object) -> None:
        """Put a value at a path; mappings on the way are made where there are none."""
        self.put_all([(path, value)])

    def put_all(self, values: Iterable[tuple[Path, object]]) -> None:
        """Put several values whose paths are apart."""
        changes: list[Change] = []
        parents: set[Path] = set()
        sections: set[Path] = set()  # that are not in the text yet
        for path, value in values:
            if value_at(self.data, path, missing := object()) is not missing and same_data(
                value_at(self.data, path), value
            ):
                continue
            owner, rest = self._owner_of(path)
            is_second = owner in parents or any(owner[: len(made)] == made for made in sections)
            if is_second or self._needs_detaching(path):  # a second change of one mapping sees the first
                self._splice(changes)
                changes = []
                parents.clear()
                sections.clear()
                self._detach(path)
                owner, rest = self._owner_of(path)
            parents.add(owner)
            sections |= {(*owner, rest[0])} if len(rest) > 1 else set()
            nested: object = value
            for key in reversed(rest[1:]):
                nested = {key: nested}
            changes.append(self._put_change(owner, rest[0], nested))
            put_in(self.data, path, value)
        self._splice(changes)

    def remove(self, path: Path) -> None:
        """Remove the entry at a path, if there is one; a section that becomes empty is removed with it."""
        if value_at(self.data, path, missing := object()) is missing:
            return
        self._detach(path, is_removed=True)
        parent = self._node(path[:-1])
        if len(parent.entries) > 1:
            self._splice([self._removal(parent, path[-1])])
            remove_from(self.data, path)
        elif self._vanishes(path[:-1]):
            self.remove(path[:-1])
        else:
            self._splice([self._empty_change(path[:-1], parent)])
            remove_from(self.data, path)

    def remove_all(self, paths: Iterable[Path]) -> None:
        """Remove several entries, whose paths are apart; in one step where the text allows it."""
        pending = [path for path in paths if value_at(self.data, path, self) is not self]
        if len(pending) > 1 and not any(self._needs_detaching(path, is_removed=True) for path in pending):
            groups: dict[Path, list[str]] = {}
            for path in pending:
                groups.setdefault(path[:-1], []).append(path[-1])
            alone = [owner for owner, keys in groups.items() if self._is_alone(owner, len(keys))]
            changes = [
                self._removal(self._node(owner), key)
                for owner, keys in groups.items()
                if owner not in alone
                for key in keys
            ]
            self._splice(changes)
            for path in pending:
                if path[:-1] not in alone:
                    remove_from(self.data, path)
            pending = [path for path in pending if path[:-1] in alone]
        for path in pending:
            self.remove(path)

    def rename(self, path: Path, key: str) -> None:
        """Give the entry at a path another key."""
        self._detach(path[:-1])
        if self._node(path[:-1]).entry(path[-1]) is None:
            self._detach(path, is_removed=True)
        entry = self._node(path[:-1]).entry(path[-1])
        assert entry is not None
        name = entry[0]
        written = scalar_text(key, style=name.style, column=None if self._node(path[:-1]).is_flow else 0)
        self._splice([(name.start, name.end, written)])
        rename_in(self.data, path, key)

    def replace_texts(self, within: Sequence[Path], change: Callable[[str], str], skipping: Iterable[str] = ()) -> None:
        """Change every text below some paths, as `change` says, in the lines where it is written.

        Args:
            within: The paths.
            change: What becomes of a text. It must not depend on quotes.
            skipping: Keys of what is at the paths, below which nothing is changed.
        """
        skipped = frozenset(skipping)
        changes: dict[int, Change] = {}
        anchors = self._spans.anchors()
        for path in within:
            found = value_at(self.data, path)
            if not isinstance(found, dict):
                continue
            pending = [part for entry in self._node(path).entries if entry[0].value not in skipped for part in entry]
            while pending:
                node = pending.pop()
                if node.kind == "alias":
                    pending.append(anchors[node.value])
                elif node.kind == "scalar":
                    written = self.text[node.start : node.end]
                    if (changed := change(written)) != written:
                        changes[node.start] = (node.start, node.end, changed)
                pending += [part for entry in node.entries for part in entry] + node.items
            put_in(self.data, path, {k: v if k in skipped else with_texts(v, change) for k, v in found.items()})
        self._splice(list(changes.values()))

    def insert_lines(self, path: Path, entries: Sequence[tuple[str, Sequence[str], object]]) -> None:
        """Insert entries as lines that are written already, at the end of a block mapping that has entries.

        Args:
            path: The mapping.
            entries: Key, lines as they are indented there, and what they are read as.
        """
        self._detach(path)
        parent = self._node(path)
        at, _, _ = self._insertion(parent, parent.entries[-1], [])
        self._splice(
            [(at, at, "".join(self._insertion(parent, parent.entries[-1], [*lines])[2] for _, lines, _ in entries))]
        )
        for key, _, value in entries:
            put_in(self.data, (*path, key), value)

    def is_block(self, path: Path) -> bool:
        """True if there is a mapping with entries at a path, written as a block."""
        node = None if value_at(self.data, path) is None else self._node(path)
        return node is not None and node.kind == "mapping" and not node.is_flow and bool(node.entries)

    def checked(self) -> str:
        """The text, which is read as the data.

        Raises:
            InvalidSpecError: It is not.
        """
        if not self._is_right() and not self.text.endswith("\n"):
            end = len(self.text)
            self._splice([(end, end, "\n")])  # a block of text at the end of a file reads its last line end
        if not self._is_right():
            raise InvalidSpecError(
                "This edit cannot be made in the way in which the file is written; nothing was changed.",
                where="text",
                advice="Make it in the text. Anchors, merge keys and braces over several lines are the usual causes.",
                reason="not_editable",
            )
        return self.text

    def _is_right(self) -> bool:
        try:
            return same_data(read_plain(self.text), self.data)
        except (yaml.YAMLError, ValueError):
            return False

    def _node(self, path: Path) -> SpanNode:
        node = self._spans.root
        assert node is not None
        for key in path:
            entry = self._spans.resolved(node).entry(key)
            if entry is None:
                raise InvalidSpecError(
                    f"{'.'.join(path)} is not written where it can be edited.",
                    where=".".join(path),
                    advice="Make this edit in the text.",
                    reason="not_editable",
                )
            node = entry[1]
        return self._spans.resolved(node)

    def _owner_of(self, path: Path) -> tuple[Path, Path]:
        """The deepest mapping on a path, and the rest of it; its last key is always of the rest."""
        for length in range(len(path) - 1, 0, -1):
            if isinstance(value_at(self.data, path[:length]), Mapping):
                return path[:length], path[length:]
        return (), path

    def _needs_detaching(self, path: Path, *, is_removed: bool = False) -> bool:
        return detached(self._spans, path, self.data, self.indent, is_removed=is_removed) is not None

    def _vanishes(self, path: Path) -> bool:
        """True if a section that becomes empty is removed; not if there are comments in it."""
        return len(path) > 0 and path[-1] in _VANISHING and not self._has_comment_lines(path)

    def _is_alone(self, path: Path, num_removed: int) -> bool:
        """True if entries of a mapping must be removed one by one: all of them, or several in braces."""
        node = self._node(path)
        return num_removed == len(node.entries) or node.is_flow

    def _detach(self, path: Path, *, is_removed: bool = False) -> None:
        while (change := detached(self._spans, path, self.data, self.indent, is_removed=is_removed)) is not None:
            self._splice(change)

    def _splice(self, changes: list[Change]) -> None:
        if not changes:
            return
        text, before = self.text, len(self.text)
        for start, end, new in sorted(changes, reverse=True):
            text = text[:start] + new + text[min(end, before) :]
            before = start
        try:
            self._spans = parse_spans(text)
        except yaml.YAMLError as error:
            raise InvalidSpecError(
                "This edit cannot be made in the way in which the file is written; nothing was changed.",
                where="text",
                advice="Make it in the text.",
                reason="not_editable",
            ) from error

    def _put_change(self, owner: Path, key: str, value: object) -> Change:
        parent = self._node(owner)
        entry = parent.entry(key)
        if entry is not None:
            return self._replacement(parent, entry, value)
        if parent.is_flow and not parent.entries and owner and not self._node(owner[:-1]).is_flow:
            grand = self._node(owner[:-1])
            outer = grand.entry(owner[-1])
            assert outer is not None
            return self._replacement(grand, outer, {key: value})
        if parent.is_flow or (not parent.entries and parent.kind == "mapping"):
            written = f"{scalar_text(key)}: {flow_text(value)}"
            at = parent.entries[-1][1].end if parent.entries else parent.start + 1
            return at, at, f", {written}" if parent.entries else written
        before = [name for name in ORDER[: ORDER.index(key)] if parent.entry(name)] if key in ORDER else []
        after = parent.entry(before[-1]) if before else None
        if key in ORDER and after is None:
            return self._insertion_at_start(parent, key, value)
        lines = entry_lines(key, value, parent.column, self.indent)
        return self._insertion(parent, after or parent.entries[-1], [" " * parent.column + lines[0], *lines[1:]])

    def _replacement(self, parent: SpanNode, entry: tuple[SpanNode, SpanNode], value: object) -> Change:
        key, old = entry
        anchor = f"&{old.anchor} " if old.anchor else ""
        start = old.outer_start
        if parent.is_flow:
            blank = "" if self.text[start - 1] in " \t\n" else " "
            return start, old.end, blank + anchor + flow_text(value)
        if isinstance(value, Mapping) and value:
            colon = self.text.index(":", key.end) + 1
            lines = entry_lines("k", value, key.column, self.indent)[1:]
            is_one_line = self._spans.line_end(colon) >= old.end
            end = self._spans.line_end(old.end) if is_one_line else old.end
            rest = self.text[old.end : end].rstrip() if is_one_line else ""
            head = f" {anchor}".rstrip() + rest
            return colon, end, self._spans.newline.join([head, *lines])
        column = key.column + self.indent
        written = flow_text(value) if isinstance(value, (Mapping, list, tuple)) else ""
        written = written or scalar_text(value, style=old.style if old.kind == "scalar" else None, column=column)
        written = anchor + written.replace("\n", self._spans.newline)
        if old.kind in {"mapping", "sequence"} or (old.kind == "scalar" and old.style in {"|", ">"}):
            start = self.text.index(":", key.end) + 1
            return start, old.end, f" {written}"
        return start, old.end, written if self.text[start - 1] in " \t" else f" {written}"

    def _insertion(self, parent: SpanNode, after: tuple[SpanNode, SpanNode], lines: list[str]) -> Change:
        newline = self._spans.newline
        end = self._spans.line_end(max(after[0].end, after[1].end))
        gap = [""] if self._spans.has_gaps(parent) and len(lines) > 1 else []
        return end, end, "".join(newline + line for line in [*gap, *lines])

    def _insertion_at_start(self, parent: SpanNode, key: str, value: object) -> Change:
        lines = entry_lines(key, value, parent.column, self.indent)
        newline = self._spans.newline
        at = parent.entries[0][0].outer_start
        return at, at, newline.join(lines) + newline + " " * parent.column

    def _removal(self, parent: SpanNode, name: str) -> Change:
        entry = parent.entry(name)
        assert entry is not None
        index = next(i for i, other in enumerate(parent.entries) if other is entry)
        start, end = entry[0].outer_start, max(entry[0].end, entry[1].end)
        if parent.is_flow:
            if index + 1 < len(parent.entries):
                return start, parent.entries[index + 1][0].outer_start, ""
            return parent.entries[index - 1][1].end, end, ""
        spans = self._spans
        first, last = spans.line_start(start), spans.next_line(end)
        while last < len(self.text):  # comments that are indented more than the key belong to it
            line = self.text[last : spans.line_end(last)]
            if not _COMMENT_LINE.match(line) or len(line) - len(line.lstrip()) <= entry[0].column:
                break
            last = spans.next_line(last)
        if self.text[first:start].strip():  # the first key of a list's member
            return start, parent.entries[index + 1][0].outer_start if index + 1 < len(parent.entries) else end, ""
        before = self._spans.end_of_line_before(first)
        following = self.text[last : spans.line_end(last)]
        preceding = self.text[spans.line_start(before) : before] if first else "x"
        if last < len(self.text) and not following.strip() and not preceding.strip():
            last = spans.next_line(last)
        if last >= len(self.text) and not self.text.endswith(("\n", "\r")) and first:  # no line end at the end stays so
            return before, last, ""
        return first, last, ""

    def _empty_change(self, path: Path, parent: SpanNode) -> Change:
        if parent.is_flow or not path:
            return parent.start, parent.end, "{}"
        grand = self._node(path[:-1])
        entry = grand.entry(path[-1])
        assert entry is not None
        colon = self.text.index(":", entry[0].end) + 1
        return colon, parent.end, " {}"

    def _has_comment_lines(self, path: Path) -> bool:
        node = self._node(path)
        if node.is_flow or not path:
            return False
        entry = self._node(path[:-1]).entry(path[-1])
        assert entry is not None
        lines = self.text[entry[0].end : node.end].splitlines()
        return any(_COMMENT_LINE.match(line) for line in lines[1:])
