"""Draft of a pipeline while the edits of one gesture are made on it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.editing.text_editor import TextEditor
from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.lint.pipeline_model import Pipeline, read_pipeline
from pytorch_designer.harness.schema.component_file import Kind, kind_of
from pytorch_designer.harness.schema.spec_faults import did_you_mean

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable

    from pytorch_designer.harness.lint.documents import Library
    from pytorch_designer.harness.schema.specification import InputSpec

POSITION = "designer.position"
CONTROL_KINDS = {"if_else", "do_while"}
INPUT_CARD = "input:"
"""Prefix of the card of a pipeline input, before the name of the input."""
WITHOUT_PROPERTIES = CONTROL_KINDS | {"parallel_for"}


@dataclass(frozen=True)
class AddedComponent:
    """Component that a node is added for.

    Attributes:
        written: What the node writes as its `component`.
        kind: The type of the node.
        name: The component's name, which the node gets.
    """

    written: str
    kind: str
    name: str


class Draft:
    """Draft of a pipeline: its text, and what is known of its components.

    Args:
        text: The text.
        path: Its file, which the paths in it are next to.
        library: Component files, which are read once.
        find_component: The component that the page names by a reference.

    Raises:
        yaml.YAMLError: It is not a YAML mapping.
    """

    def __init__(
        self, text: str, path: pathlib.Path, library: Library, find_component: Callable[[str], AddedComponent]
    ) -> None:
        self.editor = TextEditor(text)
        self.path = path
        self.library = library
        self.find_component = find_component
        self._pipeline: tuple[str, Pipeline] | None = None

    @property
    def jobs(self) -> dict[str, Any]:
        """The nodes as plain data."""
        jobs = self.editor.data.get("jobs")
        return jobs if isinstance(jobs, dict) else {}

    @property
    def is_job(self) -> bool:
        """True if it is a pipeline job, whose inputs have values; else it is a pipeline component."""
        return kind_of(self.pipeline.root) is not Kind.PIPELINE_COMPONENT

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline as the linter sees it, with the ports of its components."""
        text = self.editor.text
        if self._pipeline is None or self._pipeline[0] != text:
            root = self.library.parse(text, self.path).root
            is_job = kind_of(root) is not Kind.PIPELINE_COMPONENT
            self._pipeline = text, read_pipeline(root, self.library, is_job=is_job)
        return self._pipeline[1]

    def node(self, name: str) -> dict[str, Any]:
        """A node as plain data.

        Raises:
            UnknownNameError: There is no such node.
        """
        node = self.jobs.get(name)
        if not isinstance(node, dict):
            raise unknown("no_node", f"The pipeline has no node {name}.", name, self.jobs)
        return node

    def input_port(self, node: str, port: str) -> InputSpec | None:
        """An input of the component of a node; None where the component is not known.

        Raises:
            UnknownNameError: The node has no such input.
        """
        self.node(node)
        known = self.pipeline.nodes[node]
        if known.interface is None or known.is_inline:
            return None
        if port not in known.interface.inputs:
            raise unknown("no_port", f"The node {node} has no input {port}.", port, known.interface.inputs)
        return known.interface.inputs[port]

    def place(self, card: str) -> tuple[str, ...]:
        """The path of the place of a card: in its node, or in the pipeline for what can have no properties.

        Raises:
            UnknownNameError: There is no such node or input.
        """
        if not card.startswith(INPUT_CARD):
            kind = str(self.node(card).get("type", "")).lower()
            own = ("jobs", card, "properties", POSITION)
            return own if kind not in WITHOUT_PROPERTIES else self.shared_place("jobs", card)
        name, inputs = card.removeprefix(INPUT_CARD), self.editor.data.get("inputs") or {}
        if name not in inputs:
            raise unknown("no_input", f"The pipeline has no input {name}.", name, inputs)
        return self.shared_place("inputs", name)

    def shared_place(self, section: str, name: str) -> tuple[str, ...]:
        """The path of a place that the pipeline keeps, for a node of `jobs` or one of the `inputs`."""
        return (_places_key(is_job=self.is_job), f"{POSITION}.{section}.{name}")

    def rename_place(self, section: str, name: str, to: str) -> None:
        """Let a place that the pipeline keeps follow its node or input."""
        path = self.shared_place(section, name)
        places = self.editor.data.get(path[0])
        if isinstance(places, dict) and path[1] in places:
            self.editor.rename(path, self.shared_place(section, to)[1])

    def new_name(self, wanted: str) -> str:
        """A name for a new node: the wanted one, with a number where it is taken."""
        names = (wanted if number == 1 else f"{wanted}_{number}" for number in itertools.count(1))
        return next(name for name in names if name not in self.jobs)


def unknown(reason: str, message: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error of a name that does not exist, to be raised."""
    advice = did_you_mean(name, known) or "The page shows an older state: reload it."
    return UnknownNameError(message, where=name, advice=advice, reason=reason)


def position_text(position: tuple[int, int]) -> str:
    """A position as the file has it."""
    return f"{position[0]} {position[1]}"


def read_position(node: Any) -> tuple[int, int] | None:
    """The position of a node as plain data, or None."""
    return _position(node, "properties", POSITION)


def read_shared_position(root: Any, section: str, name: str, *, is_job: bool) -> tuple[int, int] | None:
    """The position that a pipeline keeps for a node of `jobs` or one of its `inputs`, or None."""
    return _position(root, _places_key(is_job=is_job), f"{POSITION}.{section}.{name}")


def _places_key(*, is_job: bool) -> str:
    return "properties" if is_job else "tags"  # components have no properties


def _position(owner: Any, section: str, key: str) -> tuple[int, int] | None:
    places = owner.get(section) if isinstance(owner, dict) else None
    written = places.get(key) if isinstance(places, dict) else None
    try:
        x, y = (int(part) for part in str(written).split(" "))
    except ValueError:
        return None
    return x, y
