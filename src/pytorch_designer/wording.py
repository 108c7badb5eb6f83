"""Wording of messages: counts with their nouns, bounds in words, and the name that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SMALLEST_POSITIVE = 5e-324  # the smallest double: the inclusive bound that Azure ML needs to say "greater than zero"
_SIMILAR = 0.6


def count(value: int, noun: str = "", plural: str | None = None) -> str:
    """A count with thousands separators, and its noun in the right number."""
    word = noun if value == 1 else (plural or f"{noun}s")
    return f"{value:,} {word}" if noun else f"{value:,}"


def bounds_in_words(minimum: float | None, maximum: float | None) -> str:
    """Inclusive bounds as words: "at least 1", "from 0 to 1", "greater than zero"; "" without bounds."""
    if minimum is not None and 0 < minimum <= _SMALLEST_POSITIVE:
        return "greater than zero" + (f" and at most {maximum}" if maximum is not None else "")
    if minimum is not None and maximum is not None:
        return f"from {minimum} to {maximum}"
    if minimum is not None:
        return f"at least {minimum}"
    return "" if maximum is None else f"at most {maximum}"


def within_bounds(kind: str, minimum: float | None, maximum: float | None) -> str:
    """A kind of value with its bounds: "a whole number of at least 1", "a number from 0 to 1"."""
    bounds = bounds_in_words(minimum, maximum)
    return " of ".join((kind, bounds)) if bounds.startswith("at ") else f"{kind} {bounds}".rstrip()


def nearest_name(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that was probably meant by `name`, whatever its case, dashes and underscores; else None."""
    by_plain = {_plain(candidate): candidate for candidate in names}
    near = get_close_matches(_plain(name), by_plain, n=1, cutoff=_SIMILAR)
    return by_plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").strip("-")
