"""The expressions by which the parts of a pipeline refer to each other.

    ${{parent.inputs.NAME}}             an input of the pipeline; NAME may be `group.name`
    ${{parent.jobs.NODE.outputs.NAME}}  an output of another node
    ${{parent.jobs.NODE.inputs.NAME}}   what another node was given
    ${{parent.outputs.NAME}}            only as the target of a node's output

Spaces inside the braces are allowed, and text around them: `${{parent.inputs.folder}}/part`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytorch_designer.errors import InvalidSpecError

_BINDING = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_NAME = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_INPUT = re.compile(rf"parent\.inputs\.({_NAME})")
_OF_NODE = re.compile(rf"parent\.jobs\.(\w+)\.(inputs|outputs)\.({_NAME})")
_OUTPUT = re.compile(rf"\$\{{\{{\s*parent\.outputs\.({_NAME})\s*\}}\}}")
_FORMS = "Use ${{parent.inputs.NAME}} or ${{parent.jobs.NODE.outputs.NAME}}."


@dataclass(frozen=True)
class ParentInput:
    """`${{parent.inputs.NAME}}`."""

    name: str


@dataclass(frozen=True)
class NodePort:
    """`${{parent.jobs.NODE.inputs.NAME}}` or `${{parent.jobs.NODE.outputs.NAME}}`."""

    node: str
    name: str
    is_output: bool


Part = str | ParentInput | NodePort


def has_binding(text: str) -> bool:
    """Whether there is an expression in `text`."""
    return "${{" in text


def is_binding(text: str) -> bool:
    """Whether `text` begins with an expression, as the target of a node's output does.

    The path of a place in storage may hold macros of the service, `${{name}}` for instance, and is none.
    """
    return text.lstrip().startswith("${{")


def parse_text(text: str, where: str) -> tuple[Part, ...]:
    """Cut `text` into plain parts and references; plain parts are not empty.

    Raises:
        InvalidSpecError: An expression means nothing in a pipeline, or is not closed.
    """
    parts: list[Part] = []
    end = 0
    for match in _BINDING.finditer(text):
        parts += [text[end : match.start()], _reference(match.group(1), match.group(0), where)]
        end = match.end()
    rest = text[end:]
    if has_binding(rest):
        raise InvalidSpecError(f"{text} has a binding without its closing braces.", where=where, advice=_FORMS)
    return tuple(part for part in (*parts, rest) if part != "")


def parse_output(text: str, where: str) -> str:
    """The name of the pipeline's output in `${{parent.outputs.NAME}}`.

    Raises:
        InvalidSpecError: It is something else.
    """
    match = _OUTPUT.fullmatch(text.strip())
    if match is None:
        raise InvalidSpecError(
            f"{text} is no output of the pipeline.", where=where, advice="Use ${{parent.outputs.NAME}}."
        )
    return match.group(1)


def _reference(content: str, written: str, where: str) -> Part:
    match = _INPUT.fullmatch(content)
    if match is not None:
        return ParentInput(match.group(1))
    match = _OF_NODE.fullmatch(content)
    if match is not None:
        return NodePort(match.group(1), match.group(3), is_output=match.group(2) == "outputs")
    raise InvalidSpecError(f"{written} means nothing in a pipeline.", where=where, advice=_FORMS)
