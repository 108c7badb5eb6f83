"""YAML text with the span of each node: where a key, a value or an alias is written.

PyYAML's events tell aliases from what they stand for, which its node graph does not. Spans are indices in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str, ...]

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BLANKS = " \t\r\n\x85\u2028\u2029"  # of YAML; other ones, as no-break spaces, belong to the text
_MAX_PARSED = 2
MERGE_KEY = "<<"


@dataclass
class SpanNode:
    """Node of a YAML text.

    Attributes:
        kind: `mapping`, `sequence`, `scalar` or `alias`.
        start: Index of its first character, after anchor and tag.
        end: Index after its last character; that of a block is the end of its last member.
        outer_start: Index of its first character with anchor and tag.
        column: Column of `start`, from 0.
        is_flow: Whether it is written in braces or brackets.
        style: Of a scalar: None or empty for plain, or one of `'`, `"`, `|` and `>`.
        value: The text of a scalar, or the name of the anchor that an alias stands for.
        anchor: Its own anchor.
        tag: Its tag, if it is written.
        entries: Keys and values of a mapping, as written.
        items: Members of a sequence.
    """

    kind: str
    start: int
    end: int
    outer_start: int
    column: int
    is_flow: bool = False
    style: str | None = None
    value: str = ""
    anchor: str | None = None
    tag: str | None = None
    entries: list[tuple[SpanNode, SpanNode]] = field(default_factory=list)
    items: list[SpanNode] = field(default_factory=list)

    def entry(self, key: str) -> tuple[SpanNode, SpanNode] | None:
        """The key and value of the last entry with a key, which is the one that counts; None if there is none."""
        found = [entry for entry in self.entries if entry[0].kind == "scalar" and entry[0].value == key]
        return found[-1] if found else None

    def walk(self) -> Iterator[SpanNode]:
        """This node and all below it, keys and aliases among them, in the order of the text."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            members = [part for entry in node.entries for part in entry] + node.items
            pending += reversed(members)


@dataclass(frozen=True)
class SpanText:
    """YAML text and its tree.

    Attributes:
        text: The text, without a byte order mark, with the line ends that it has.
        root: Its content, or None if it is empty.
    """

    text: str
    root: SpanNode | None

    def line_start(self, index: int) -> int:
        """The index of the first character of the line of `index`."""
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def line_end(self, index: int) -> int:
        """The index after the last character of the line of `index`, before its line end."""
        match = re.compile("[\r\n]").search(self.text, index)
        return len(self.text) if match is None else match.start()

    def end_of_line_before(self, line_start: int) -> int:
        """The index after the last character of the line before the one that starts at an index."""
        ends = [end for end in ("\r\n", "\n", "\r") if self.text.endswith(end, 0, line_start)]
        return line_start - len(ends[0]) if ends else 0

    def next_line(self, index: int) -> int:
        """The index of the first character of the line after that of `index`; the end of the text if it is the last."""
        match = re.compile("\r\n|[\r\n]").search(self.text, index)
        return len(self.text) if match is None else match.end()

    @property
    def newline(self) -> str:
        """The line end of the text: that of its first line."""
        match = re.search("\r\n|[\r\n]", self.text)
        return "\n" if match is None else match.group(0)

    def has_gaps(self, parent: SpanNode) -> bool:
        """True if an empty line parts two entries of a block."""
        for (_, before), (key, _) in zip(parent.entries, parent.entries[1:], strict=False):
            if re.search(r"\n[ \t]*\r?\n", self.text[before.end : self.line_start(key.start)]):
                return True
        return False

    def anchors(self) -> dict[str, SpanNode]:
        """Anchored nodes by the name of the anchor; the last if a name is used twice."""
        return {} if self.root is None else {node.anchor: node for node in self.root.walk() if node.anchor}

    def resolved(self, node: SpanNode) -> SpanNode:
        """Anchored node of an alias; other nodes as they are."""
        return self.anchors()[node.value] if node.kind == "alias" else node


@lru_cache(_MAX_PARSED)
def parse_spans(text: str) -> SpanText:
    """Parse the text of one YAML document; the last ones are kept, since the next edit starts from one.

    Raises:
        yaml.YAMLError: It is not valid YAML, or not one document.
    """
    starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
    return SpanText(text, _Composer(text, starts).compose())


def _index(mark: Any, starts: list[int], length: int) -> int:
    return min(starts[mark.line] + mark.column, length) if mark.line < len(starts) else length


class _Composer:
    """Composer of the tree from PyYAML's events."""

    def __init__(self, text: str, starts: list[int]) -> None:
        self._text = text
        self._starts = starts
        self._events = yaml.parse(text, Loader=_Loader)

    def compose(self) -> SpanNode | None:
        root = None
        num_documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                num_documents += 1
                if num_documents > 1:
                    raise yaml.YAMLError("the text holds more than one document")
                root = self._node(next(self._events))
        return root

    def _node(self, event: Any) -> SpanNode:
        outer = _index(event.start_mark, self._starts, len(self._text))
        end = _index(event.end_mark, self._starts, len(self._text))
        column = event.start_mark.column
        if isinstance(event, yaml.AliasEvent):
            return SpanNode("alias", outer, end, outer, column, value=str(event.anchor))
        start = self._after_properties(outer, event)
        facts: dict[str, Any] = {"anchor": event.anchor, "tag": event.tag if start != outer else None}
        if isinstance(event, yaml.ScalarEvent):
            end = max(start, self._scalar_end(start, end, event.style))
            return SpanNode("scalar", start, end, outer, column, style=event.style, value=event.value, **facts)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        kind, is_flow = ("mapping" if is_mapping else "sequence"), bool(event.flow_style)
        node = SpanNode(kind, start, end, outer, column, is_flow, **facts)
        last_end = end
        while True:
            member = next(self._events)
            if isinstance(member, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                break
            first = self._node(member)
            if is_mapping:
                value = self._node(next(self._events))
                node.entries.append((first, value))
                last_end = max(first.end, value.end)
            else:
                node.items.append(first)
                last_end = first.end
        node.end = _index(member.end_mark, self._starts, len(self._text)) if is_flow else last_end
        if not is_flow and node.entries:
            node.start = node.entries[0][0].outer_start
            node.column = node.start - self._line_start(node.start)
        return node

    def _line_start(self, index: int) -> int:
        return max(self._text.rfind("\n", 0, index), self._text.rfind("\r", 0, index)) + 1

    def _after_properties(self, index: int, event: Any) -> int:
        """The index after the anchor and the tag of a node."""
        for _ in range(2):
            match = re.compile(r"[&!][^\s,\[\]{}]*[ \t]*").match(self._text, index)
            if match is None or (event.anchor is None and event.tag is None):
                break
            index = match.end()
        return index

    def _scalar_end(self, start: int, end: int, style: str | None) -> int:
        """Block scalars and plain ones end where the next token starts; here, after their last character."""
        if style in {"'", '"'}:
            return end
        return start + len(self._text[start:end].rstrip(_BLANKS))
