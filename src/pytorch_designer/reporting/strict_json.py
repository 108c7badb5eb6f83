"""JSON that every program reads: NaN and infinity, which strict JSON does not know, are written as null."""

from __future__ import annotations

import json
import math
from typing import Any


def dumps(value: Any) -> str:
    """`value`, made of dicts, lists, tuples and plain values, as indented JSON with a line end."""
    return json.dumps(_without_nan(value), indent=2, allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
