"""Expressions in commands and pipelines.

    ${{inputs.NAME}}, ${{outputs.NAME}}  in a command: the value of a port
    $[[ ... ]]                           in a command: left out with the optional input in it
    ${{parent.inputs.NAME}}              in a pipeline: one of its inputs; NAME may be `group.name`
    ${{parent.jobs.NODE.outputs.NAME}}   an output of another node
    ${{parent.jobs.NODE.inputs.NAME}}    what another node was given
    ${{parent.outputs.NAME}}             only as the target of a node's output

Spaces inside the braces are allowed, and text around them: `${{parent.inputs.folder}}/part`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_designer.harness.schema.spec_faults import SpecPlace

_BINDING = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_BLOCK = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)*")
_HALF_BINDINGS = (
    (re.compile(r"(?<![$\w{])\{\{\s*(?:parent\.)?(?:inputs|outputs|jobs)\.[^{}]*\}\}"), "The dollar sign is missing."),
    (re.compile(r"\$\{\s*(?:parent\.)?(?:inputs|outputs|jobs)\.[^{}]*\}"), "A binding has two braces on each side."),
    (re.compile(r"\$\{\{(?![^}]*\}\})[^}\s]*\}?"), "The closing braces are missing."),
    (re.compile(r"\$\[\[(?!.*?\]\])", re.DOTALL), "The closing brackets are missing."),
)
_EXPRESSION = "mldesigner execute --source expression_component.py --name expression_func "
_EVALUATION = """\
python - <<'END_OF_PROGRAM'
import os, sys, types
sys.modules["mldesigner"] = types.SimpleNamespace(
    command_component=lambda **settings: lambda function: function, Output=lambda **settings: None
)
from expression_component import expression_func
kinds = {name: kind for name, kind in expression_func.__annotations__.items() if name != "return"}
texts = {name: os.environ["AZUREML_PARAMETER_" + name] for name in kinds}
values = {name: texts[name] == "True" if kind is bool else kind(texts[name]) for name, kind in kinds.items()}
result = expression_func(**values)
print(", ".join(f"{name} = {value!r}" for name, value in values.items()), "->", repr(result))
with open(os.environ["AZURE_ML_OUTPUT_output"], "w") as stream:
    stream.write(str(result))
END_OF_PROGRAM
"""
PIPELINE_FORMS = "Use ${{parent.inputs.NAME}} or ${{parent.jobs.NODE.outputs.NAME}}."


@dataclass(frozen=True)
class ParentInput:
    """`${{parent.inputs.NAME}}`."""

    name: str


@dataclass(frozen=True)
class ParentOutput:
    """`${{parent.outputs.NAME}}`."""

    name: str


@dataclass(frozen=True)
class NodePort:
    """`${{parent.jobs.NODE.inputs.NAME}}` or `${{parent.jobs.NODE.outputs.NAME}}`."""

    node: str
    name: str
    is_output: bool


Part = str | ParentInput | NodePort


@dataclass(frozen=True)
class Binding:
    """One `${{ ... }}`.

    Attributes:
        written: As written in the text.
        parts: The dotted name between the braces, split at dots; empty if it is not a dotted name.
        start: Index of its first character in the text.
        end: Index after its last character.
    """

    written: str
    parts: tuple[str, ...]
    start: int
    end: int

    @property
    def reference(self) -> ParentInput | ParentOutput | NodePort | None:
        """The part of a pipeline that it refers to, or None if there is none."""
        match self.parts:
            case ("parent", "inputs", *name) if name:
                return ParentInput(".".join(name))
            case ("parent", "outputs", *name) if name:
                return ParentOutput(".".join(name))
            case ("parent", "jobs", node, "inputs" | "outputs" as section, *name) if name:
                return NodePort(node, ".".join(name), is_output=section == "outputs")
        return None


@dataclass(frozen=True)
class OptionalBlock:
    """One `$[[ ... ]]`; `start` and `end` are indices in the text."""

    written: str
    content: str
    start: int
    end: int


def bindings_in(text: str) -> list[Binding]:
    """All bindings, including those that mean nothing."""
    return [_binding(match) for match in _BINDING.finditer(text)]


def lone_binding(text: str) -> Binding | None:
    """The binding that is the whole of `text`, apart from spaces."""
    match = _BINDING.fullmatch(text.strip())
    return None if match is None or "}}" in match.group(1) else _binding(match)


def optional_blocks_in(text: str) -> list[OptionalBlock]:
    """All optional blocks."""
    return [_block(match) for match in _BLOCK.finditer(text)]


def half_bindings_in(text: str) -> list[tuple[str, str]]:
    """Incomplete bindings and blocks, each with what is wrong with it."""
    return [(match.group(0), advice) for pattern, advice in _HALF_BINDINGS for match in pattern.finditer(text)]


def replace_bindings(text: str, value: Callable[[Binding], str]) -> str:
    """`text` with the value of each binding."""
    return _BINDING.sub(lambda match: value(_binding(match)), text)


def replace_blocks(text: str, value: Callable[[OptionalBlock], str]) -> str:
    """`text` with the value of each optional block."""
    return _BLOCK.sub(lambda match: value(_block(match)), text)


def local_command(command: str) -> str:
    """`command` as it can run here: that of an expression (`epochs * 2` in a pipeline function) without mldesigner.

    azure-ai-ml turns an expression of parameters and values into a node whose code is one Python function.
    """
    return _EVALUATION if command.startswith(_EXPRESSION) else command


def is_binding(text: str) -> bool:
    """True if `text` begins with a binding, as the target of a node's output does.

    The path of a place in storage may contain macros of the service, such as `${{name}}`; it is not a binding.
    """
    return text.lstrip().startswith("${{")


def is_bound(text: str) -> bool:
    """True if a text has a binding to the pipeline around it."""
    return any(binding.parts[:1] == ("parent",) for binding in bindings_in(text))


def parse_text(text: str, place: SpecPlace) -> tuple[Part, ...]:
    """Plain parts and references of a text in a pipeline; plain parts are not empty.

    Raises:
        InvalidSpecError: A binding means nothing in a pipeline, or is not closed.
    """
    parts: list[Part] = []
    end = 0
    for binding in bindings_in(text):
        reference = binding.reference
        if reference is None or isinstance(reference, ParentOutput):
            raise place.error(f"{binding.written} means nothing in a pipeline.", PIPELINE_FORMS)
        parts += [text[end : binding.start], reference]
        end = binding.end
    if "${{" in text[end:]:
        raise place.error(f"{text} has a binding without its closing braces.", PIPELINE_FORMS)
    return tuple(part for part in (*parts, text[end:]) if part != "")


def parse_output(text: str, place: SpecPlace) -> str:
    """The name of the pipeline output in `${{parent.outputs.NAME}}`.

    Raises:
        InvalidSpecError: It is something else.
    """
    binding = lone_binding(text)
    if binding is None or not isinstance(binding.reference, ParentOutput):
        raise place.error(f"{text} is not an output of the pipeline.", "Use ${{parent.outputs.NAME}}.")
    return binding.reference.name


def _binding(match: re.Match[str]) -> Binding:
    content = match.group(1).strip()
    parts = tuple(content.split(".")) if _PATH.fullmatch(content) else ()
    return Binding(match.group(0), parts, match.start(), match.end())


def _block(match: re.Match[str]) -> OptionalBlock:
    return OptionalBlock(match.group(0), match.group(1), match.start(), match.end())
