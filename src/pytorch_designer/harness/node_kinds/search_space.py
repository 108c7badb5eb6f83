"""Search space of a sweep: the hyperparameters, and how each turns a coordinate into a value.

Azure ML's distributions, each a function of a coordinate: of an index for `choice` and `randint`, else of a number
from 0 to 1.

    choice                  one of `values`
    randint                 a whole number from 0 to upper - 1
    uniform                 min_value to max_value
    normal                  with mean mu and standard deviation sigma
    loguniform, lognormal   the same of the logarithm: min_value, max_value, mu and sigma are those of the exponent
    quniform ...            the same, rounded to a multiple of q

https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-sweep
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.vocabulary import PORT_NAME
from pytorch_designer.harness.schema.yaml_fields import Fields

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.spec_faults import FaultCollector
    from pytorch_designer.harness.schema.specification import Scalar
    from pytorch_designer.harness.schema.yaml_tree import Value

_RANGE = ("min_value", "max_value")
_BELL = ("mu", "sigma")
_NUMBERS = {
    "uniform": _RANGE,
    "loguniform": _RANGE,
    "quniform": (*_RANGE, "q"),
    "qloguniform": (*_RANGE, "q"),
    "normal": _BELL,
    "lognormal": _BELL,
    "qnormal": (*_BELL, "q"),
    "qlognormal": (*_BELL, "q"),
}
DISTRIBUTIONS = ("choice", "randint", *_NUMBERS)
_TINY = 1e-12  # the normal distribution has no value at 0 and 1


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a sweep.

    Attributes:
        name: The input of the trial that it is given to.
        type: One of `DISTRIBUTIONS`.
        choices: The values of a choice, or of a randint.
        first: min_value or mu.
        second: max_value or sigma.
        q: The step of rounding, or None.
        base: The base of the logarithm.
    """

    name: str
    type: str
    choices: tuple[Scalar, ...] | range = ()
    first: float = 0.0
    second: float = 1.0
    q: int | float | None = None
    base: float = math.e

    @property
    def is_discrete(self) -> bool:
        """True if its coordinate is an index of `choices`."""
        return self.type in {"choice", "randint"}

    def value(self, coordinate: float) -> Scalar:
        """The value at a coordinate: an index of `choices`, or a number from 0 to 1."""
        if self.is_discrete:
            return self.choices[int(coordinate)]
        number = self._of_exponent(coordinate)
        if "log" in self.type:
            number = self.base**number
        return number if self.q is None else round(number / self.q) * self.q

    def _of_exponent(self, coordinate: float) -> float:
        if "normal" not in self.type:
            return self.first + coordinate * (self.second - self.first)
        inside = min(max(coordinate, _TINY), 1 - _TINY)
        return NormalDist(self.first, self.second).inv_cdf(inside)


def read_search_space(owner: Fields, faults: FaultCollector, *, base: float = math.e) -> tuple[Hyperparameter, ...]:
    """The hyperparameters in the `search_space` of a sweep; faults of single ones are collected.

    Args:
        owner: The sweep.
        faults: Gets what is wrong.
        base: The base of logarithms.
    """
    found = []
    entries = {}
    with faults.collecting():
        entries = owner.entries("search_space")
        if not entries:
            place = owner.mapping.get("search_space") or owner.mapping
            raise place.key_place.error("The sweep has no search space.", "Name a hyperparameter at `search_space`.")
    for name, value in entries.items():
        with faults.collecting():
            found.append(_hyperparameter(name, value, base))
    return tuple(found)


def _hyperparameter(name: str, value: Value, base: float) -> Hyperparameter:
    if not PORT_NAME.fullmatch(name):
        raise value.key_place.error(f"{name!r} is not a name for an input; use letters, digits and _.")
    if not value.is_mapping:
        raise value.key_place.error(f"{name} must be a mapping with a type.", _ADVICE)
    fields = Fields(value)
    kind = fields.required_text("type").lower()
    if kind not in DISTRIBUTIONS:
        place = value.children["type"].place
        raise place.error(f"{kind} is not a distribution; there are {', '.join(DISTRIBUTIONS)}.")
    for key, entry in value.children.items():
        if key not in ("type", *known_keys(kind)):
            raise entry.key_place.error(
                f"A hyperparameter of type {kind} has no {key}.", f"It has {', '.join(known_keys(kind))}."
            )
    if kind == "choice":
        return Hyperparameter(name, kind, choices=_choices(name, fields))
    if kind == "randint":
        return Hyperparameter(name, kind, choices=range(_whole(fields, "upper")))
    return _continuous(name, kind, fields, base)


def known_keys(kind: str) -> tuple[str, ...]:
    """The keys of a distribution beside `type`."""
    return {"choice": ("values",), "randint": ("upper",)}.get(kind) or _NUMBERS[kind]


_ADVICE = "For instance {type: uniform, min_value: 0.1, max_value: 1}."


def _choices(name: str, fields: Fields) -> tuple[Scalar, ...]:
    entries = fields.items("values")
    if not entries:
        raise fields.mapping.key_place.error(f"The choice {name} has no values.", "List them at `values`.")
    for entry in entries:
        if entry.is_mapping:
            raise entry.place.unsupported(
                f"The choice {name} has a search space of its own among its values, which cannot be sampled here.",
                "Make its hyperparameters hyperparameters of the sweep.",
            )
    return fields.scalars("values")


def _continuous(name: str, kind: str, fields: Fields, base: float) -> Hyperparameter:
    numbers = []
    for key in known_keys(kind):
        number = fields.number(key)
        if number is None:
            raise fields.mapping.key_place.error(f"{name} has no {key}.", _ADVICE if "normal" not in kind else "")
        if not math.isfinite(number):
            raise fields.mapping.children[key].place.error(f"{key} of {name} is not finite.")
        numbers.append(number)
    first, second = numbers[:2]
    q = numbers[2] if len(numbers) > 2 else None
    if "uniform" in kind and first >= second:
        raise fields.mapping.children["max_value"].place.error(
            f"max_value of {name} is {second:g}, which is not above min_value, {first:g}."
        )
    if "normal" in kind and second <= 0:
        raise fields.mapping.children["sigma"].place.error(f"sigma of {name} is {second:g}; it must be above 0.")
    if q is not None and q <= 0:
        raise fields.mapping.children["q"].place.error(f"q of {name} is {q:g}; it must be above 0.")
    largest = second if "uniform" in kind else first + 8 * second
    if "log" in kind and largest * math.log(base) > math.log(1e300):
        raise fields.mapping.children[known_keys(kind)[1]].place.error(
            f"{name} of type {kind} goes up to {base:g} to the power of {largest:g}, which is no usable number.",
            "The bounds of a logarithmic distribution are exponents: -5 to -1 for e^-5 to e^-1.",
        )
    return Hyperparameter(name, kind, first=float(first), second=float(second), q=q, base=base)


def _whole(fields: Fields, key: str) -> int:
    if fields.get(key) is None:
        raise fields.mapping.key_place.error(f"{key} is missing.")
    return fields.count(key)
