"""Faults of Azure ML specifications: what is wrong, where it is, and what to do about it.

The findings of the linter and the named errors of the harness are made from the same faults.
"""

from __future__ import annotations

import difflib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InvalidSpecError, UnsupportedLocallyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


_EACH = "Each line says what to do about it; then run again."
TOO_LARGE = "too_large"  # the reason of the one fault after which no other is looked for


@dataclass(frozen=True, order=True)
class SpecPlace:
    """Place in a specification.

    Attributes:
        file: The YAML file, or the base folder of an azure-ai-ml object.
        line: Line, from 1; 0 if unknown, as in objects.
        column: Column, from 1; 0 if unknown.
        keys: The keys that lead there, such as `jobs`, `train`, `inputs`, `epochs`.
    """

    file: str
    line: int = 0
    column: int = 0
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`file:line`, which editors and CI understand; without a line, the keys and the file."""
        if self.line:
            return f"{self.file}:{self.line}"
        return f"{'.'.join(self.keys)} of {self.file}" if self.keys else self.file

    @property
    def node(self) -> str | None:
        """The name of the pipeline node, if the place is inside one."""
        return self.keys[1] if self.keys[:1] == ("jobs",) and len(self.keys) > 1 else None

    @property
    def port(self) -> str | None:
        """The name of the input or output, if the place is inside one."""
        inside = self.keys if self.node is None else self.keys[2:]
        if inside[:1] in {("component",), ("trial",)}:
            inside = inside[1:]
        return inside[1] if inside[:1] in {("inputs",), ("outputs",)} and len(inside) > 1 else None

    @property
    def key(self) -> str:
        """All keys, joined by dots."""
        return ".".join(self.keys)

    def below(self, *keys: str) -> SpecPlace:
        """The place of a descendant whose own line is not known."""
        return SpecPlace(self.file, self.line, self.column, (*self.keys, *keys))

    def error(self, message: str, advice: str = "", *, reason: str | None = None) -> DesignerError:
        """An `InvalidSpecError` at this place, to be raised."""
        error = SpecFault(self, InvalidSpecError.__name__, message, advice).error()
        error.reason = reason
        return error

    def unsupported(self, message: str, advice: str = "") -> DesignerError:
        """An `UnsupportedLocallyError` at this place, to be raised."""
        return SpecFault(self, UnsupportedLocallyError.__name__, message, advice).error()


@dataclass(frozen=True, order=True)
class SpecFault:
    """One fault of a specification.

    Attributes:
        place: Where it is.
        kind: A rule of the linter, or the class of the named error.
        message: One sentence: what is wrong.
        advice: What to do about it, or empty.
    """

    place: SpecPlace
    kind: str
    message: str
    advice: str = ""

    def __str__(self) -> str:
        """Place, message and advice on one line."""
        return f"{self.place}: {self.message} {self.advice}".rstrip()

    def shown_in(self, file: str) -> str:
        """The same, with the name alone of the file that is named in full beside it: long paths would hide the end."""
        place = replace(self.place, file=Path(file).name) if self.place.file == file and self.place.line else self.place
        return f"{place}: {self.message} {self.advice}".rstrip()

    def to_dict(self) -> dict[str, Any]:
        """The fault as plain data."""
        place = self.place
        return {
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "keys": list(place.keys),
            "node": place.node,
            "port": place.port,
            "class": self.kind,
            "message": self.message,
            "advice": self.advice,
        }

    def error(self) -> DesignerError:
        """The named error for this fault: what cannot run here, or what is invalid."""
        is_unsupported = self.kind == UnsupportedLocallyError.__name__
        error_class = UnsupportedLocallyError if is_unsupported else InvalidSpecError
        error = error_class(self.message, where=str(self.place), advice=self.advice or None)
        error.faults = (self,)
        return error


class FaultCollector:
    """Collector of the faults of a pipeline, so that a user sees all of them at once.

    Attributes:
        faults: The faults found so far.
        warnings: What Azure ML passes although it is suspicious; their kinds are rules of the linter.
    """

    def __init__(self) -> None:
        self.faults: list[SpecFault] = []
        self.warnings: list[SpecFault] = []
        self._errors: list[DesignerError] = []

    def add(self, message: str, place: SpecPlace, advice: str = "") -> None:
        """Add a fault."""
        with self.collecting():
            raise place.error(message, advice)

    def warn(self, rule_id: str, place: SpecPlace, message: str, advice: str = "") -> None:
        """Add a warning."""
        self.warnings.append(SpecFault(place, rule_id, message, advice))

    @contextmanager
    def collecting(self, place: SpecPlace | None = None) -> Iterator[None]:
        """Collect a named error instead of raising it; `place` replaces the error's own.

        Raises:
            InvalidSpecError: The pipeline is too large to go on.
        """
        try:
            yield
        except DesignerError as error:
            if error.reason == TOO_LARGE:
                raise
            if place is not None:
                error.where = str(place)
                error.faults = (_fault_at(place, error),)
            self._errors.append(error)
            self.faults += error.faults or (_fault_at(SpecPlace(error.where or ""), error),)

    def raise_any(self, place: SpecPlace) -> None:
        """Raise the faults, if there are any; `place` is that of the whole pipeline.

        Raises:
            DesignerError: There is one fault; as it was raised.
            UnsupportedLocallyError: There are several, all of them features that cannot run here.
            InvalidSpecError: There are several.
        """
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        error: DesignerError
        shown = [fault.shown_in(place.file) for fault in self.faults]
        if all(isinstance(error, UnsupportedLocallyError) for error in self._errors):
            what = f"{len(self.faults)} parts of the pipeline cannot run on this machine."
            error = UnsupportedLocallyError(what, where=str(place), examples=shown, advice=_EACH)
        else:
            what = f"The pipeline has {len(self.faults)} faults."
            error = InvalidSpecError(what, where=str(place), examples=shown, advice=_EACH)
        error.faults = tuple(self.faults)
        raise error


def distinct_faults(faults: Iterable[SpecFault]) -> tuple[SpecFault, ...]:
    """Faults by place; one that the linter and the plan have both found is there once."""
    return tuple({(at.place.file, at.place.line, at.place.key, at.kind): at for at in sorted(faults)}.values())


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a misspelling of."""
    folded = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.8)
    return folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Advice with the closest known name; if there is none, with all of them if they are few."""
    names = sorted(known)
    match = closest(name, names)
    if match is not None:
        return f"Did you mean {match}?"
    return f"There are: {', '.join(names)}." if 0 < len(names) <= 12 else ""


def _fault_at(place: SpecPlace, error: DesignerError) -> SpecFault:
    return SpecFault(place, error.name, error.what, "" if error.advice == error.default_advice else error.advice)
