"""Collects what is wrong with a pipeline, so that one run of the command shows all of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, InvalidSpecError, UnsupportedLocallyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Faults:
    """The faults found so far."""

    def __init__(self) -> None:
        self._errors: list[DesignerError] = []

    def add(self, what: str, where: Path | str) -> None:
        """Note a fault of the pipeline."""
        self._errors.append(InvalidSpecError(what, where=where))

    @contextmanager
    def collecting(self, where: Path | str | None = None) -> Iterator[None]:
        """Note a named error instead of letting it pass; `where` says more than the error's own place."""
        try:
            yield
        except DesignerError as error:
            if where is not None:
                error.where = str(where)
            self._errors.append(error)

    def raise_any(self, source: Path) -> None:
        """Raise what was found.

        Raises:
            DesignerError: The one fault, as it was raised.
            UnsupportedLocallyError: There are several, all of them things that cannot run here.
            InvalidSpecError: There are several.
        """
        if not self._errors:
            return
        if len(self._errors) == 1:
            raise self._errors[0]
        listed = [f"{error.where}: {error.what}" for error in self._errors]
        if all(isinstance(error, UnsupportedLocallyError) for error in self._errors):
            raise UnsupportedLocallyError(
                f"{len(listed)} parts of the pipeline cannot run on this machine.", where=source, examples=listed
            )
        raise InvalidSpecError(f"The pipeline has {len(listed)} faults.", where=source, examples=listed)
