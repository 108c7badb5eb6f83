from __future__ import annotations

import json
import math

from pytorch_designer.reporting.strict_json import dumps


def test_what_is_no_number_is_null_at_any_depth() -> None:
    text = dumps({"a": [1.5, math.nan, {"b": math.inf}], "c": (-math.inf, "NaN", None, 3)})

    assert json.loads(text) == {"a": [1.5, None, {"b": None}], "c": [None, "NaN", None, 3]}
    assert text.endswith("}\n")


def test_any_text_is_ascii() -> None:
    assert dumps(["caf\udce9"]) == '[\n  "caf\\udce9"\n]\n'
