"""Hostile HTTP requests to a served model, each by its number: the same number gives the same request."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.images.mutations import mutate, mutated_image

_SEED = 20261129
_CONTENT_TYPES = ("application/json",) * 18 + ("text/csv", "application/vnd.apache.parquet")
_DEPTHS = (3, 70, 900, 20_000)


def hostile_request(number: int, good_text: str, good_image: bytes, path: str) -> tuple[bytes, str]:
    """The body and the content type of a request: damaged JSON, damaged images, and values that have no place there.

    Args:
        number: Which one.
        good_text: The base64 text of an image.
        good_image: Its bytes.
        path: A file of the server.
    """
    dice = np.random.default_rng([number, _SEED])
    values = _values(dice, number, good_text, path)
    images = [values[dice.integers(len(values))] if dice.random() < 0.6 else good_text for _ in range(_few(dice))]
    body: Any = _FORMS[dice.integers(len(_FORMS))](images, dice)
    if dice.random() < 0.4:
        params: tuple[Any, ...] = (
            None,
            [],
            1,
            "row",
            {"on_error": "row"},
            {"top_k": 2},
            {"top_k": -1},
            {"on_error": []},
            {"x": {}},
        )
        body["params"] = params[dice.integers(len(params))]
    data = json.dumps(body).encode()
    chance = dice.random()
    if chance < 0.25:
        data = bytes(mutate(bytearray(data), dice))
    elif chance < 0.3:
        depth = int(dice.choice(_DEPTHS))
        data = b'{"inputs": ' + b"[" * depth + b"1" + b"]" * depth + b"}"
    elif chance < 0.35:
        data = (good_image, b"", b"null", b"[]", b'{"inputs": [NaN, Infinity]}', dice.bytes(200))[dice.integers(6)]
    return data, _CONTENT_TYPES[dice.integers(len(_CONTENT_TYPES))]


def _few(dice: np.random.Generator) -> int:
    return int(dice.integers(0, 4))


def _values(dice: np.random.Generator, number: int, good_text: str, path: str) -> list[Any]:
    damaged = mutated_image(number)[1]
    return [
        base64.b64encode(damaged).decode(),
        base64.b64encode(damaged).decode(),
        f"data:image/jpeg;base64,{base64.b64encode(damaged).decode()}",
        bytes(mutate(bytearray(good_text.encode()), dice)).decode("latin-1"),
        path, f"file://{path}", f"data:,{path}", "/etc/passwd", "../" * 20 + "etc/passwd", "https://127.0.0.1:1/a.png",
        None, True, number, -1, 1e308, float("nan"), 10**40, "", " ", "\ud800", "A" * 70_000, "=" * 9, {}, [], [[]],
        {"b64": good_text}, {"image": good_text}, [good_text, [good_text]], [[1, 2, 3]], [[[1, 2, 3]]],
        [[[[0, 0, 0]] * 3] * 3] * 2, [[[1, 2, 3]], [[1, 2]]], [[["a", "b", "c"]]], [[[256, 0, 0]]], [[[0.5, 0, 0]]],
        [[[10**30, 1, 1]]], [[[None, 1, 1]]],
    ]  # fmt: skip


_FORMS: tuple[Callable[[list[Any], np.random.Generator], dict[str, Any]], ...] = (
    lambda images, _: {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
    lambda images, _: {"dataframe_split": {"data": [[image] for image in images]}},
    lambda images, _: {"dataframe_split": {"columns": ["image", "image"], "data": [[image, 1] for image in images]}},
    lambda images, _: {"dataframe_split": {"columns": ["image", "b"], "index": [1], "data": [images]}},
    lambda images, _: {"dataframe_split": images},
    lambda images, _: {"dataframe_records": [{"image": image} for image in images]},
    lambda images, _: {"dataframe_records": [{"image": image, "b": {}} for image in images] + [{"b": 1}]},
    lambda images, _: {"dataframe_records": images},
    lambda images, _: {"inputs": images},
    lambda images, _: {"inputs": {"image": images}},
    lambda images, _: {"inputs": {"image": images, "other": images[:1]}},
    lambda images, _: {"inputs": [{"image": image} for image in images]},
    lambda images, dice: {"inputs": images[dice.integers(len(images))] if images else None},
    lambda images, _: {"instances": images},
    lambda images, _: {"instances": [{"image": image} for image in images]},
    lambda images, _: {"instances": {"image": images}},
    lambda images, _: {"instances": images, "inputs": images},
    lambda images, _: {"messages": images},
    lambda images, _: {"signature_name": "x", "inputs": images},
)
