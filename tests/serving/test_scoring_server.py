"""A real `mlflow models serve` answers every form of request, and every bad one with status 400 and a reason."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.campaigns.hostile_requests import hostile_request
from tests.scoring.conftest import score
from tests.serving.conftest import CLASSES, encoded, pixels
from tests.serving.scoring_server import ScoringServer

pytestmark = pytest.mark.slow

NUM_HOSTILE = 1000
_WARM_UP = 300
_MOST_GROWTH_BYTES = 64 * 2**20


def text(seed: int) -> str:
    return base64.b64encode(encoded(seed)).decode()


def array(seed: int) -> list[Any]:
    found: list[Any] = pixels(seed).tolist()
    return found


FORMS: dict[str, Callable[[list[Any]], dict[str, Any]]] = {
    "split": lambda images: {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
    "split with an index": lambda images: {
        "dataframe_split": {
            "columns": ["image"],
            "index": [7 + row for row in range(len(images))],
            "data": [[image] for image in images],
        }
    },
    "split, a cell with all": lambda images: {"dataframe_split": {"columns": ["image"], "data": [[images]]}},
    "records": lambda images: {"dataframe_records": [{"image": image} for image in images]},
    "inputs": lambda images: {"inputs": images},
    "inputs by name": lambda images: {"inputs": {"image": images}},
    "inputs as rows": lambda images: {"inputs": [[image] for image in images]},
    "inputs as records": lambda images: {"inputs": [{"image": image} for image in images]},
    "instances": lambda images: {"instances": images},
    "instances by name": lambda images: {"instances": {"image": images}},
    "instances as records": lambda images: {"instances": [{"image": image} for image in images]},
}
KINDS: dict[str, Callable[[int], Any]] = {
    "text": text,
    "data URL": lambda seed: f"data:image/png;base64,{text(seed)}",
    "array": array,
}


@pytest.fixture(scope="module")
def scores(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """Scores of the first 1, 2 and 3 images, as the records of Score Image Model's table."""
    found = {}
    for num_images in (1, 2, 3):
        folder, output = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("scores") / "scored"
        for seed in range(num_images):
            (folder / f"{seed}.png").write_bytes(encoded(seed))
        score(model, folder, output)
        table = pd.read_parquet(output / "_data.parquet").drop(columns=["id", "file"])
        found[num_images] = table.to_dict(orient="records")
    return found


@pytest.mark.parametrize("num_images", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_answers_each_image_with_the_bits_of_score_image_model(
    server: ScoringServer, scores: dict[int, list[dict[str, Any]]], num_images: int, kind: str
) -> None:
    images = [KINDS[kind](seed) for seed in range(num_images)]
    answers = {form: server.post(build(images)).predictions for form, build in FORMS.items()}
    assert answers == dict.fromkeys(FORMS, scores[num_images])


def test_one_image_without_a_list(server: ScoringServer, scores: dict[int, list[dict[str, Any]]]) -> None:
    image = array(0)
    for body in ({"inputs": {"image": text(0)}}, {"inputs": image}, {"inputs": {"image": image}}, {"instances": image}):
        assert server.post(body).predictions == scores[1]


def test_the_log_names_device_and_precision(server: ScoringServer) -> None:
    assert "The model computes on cpu, 1 thread, fp32, contiguous." in server.log.read_text(errors="replace")


def test_the_models_own_example_is_answered(server: ScoringServer, model: Path) -> None:
    body = (model / "serving_input_example.json").read_bytes()
    assert len(server.post(body).predictions) == 1


def test_parameters(server: ScoringServer) -> None:
    images = [text(0), "%%%"]
    (best,) = server.post({"inputs": images[:1], "params": {"top_k": 1}}).predictions
    assert best["Top Labels"] == [best["Scored Labels"]]
    first, second = server.post({"inputs": images, "params": {"on_error": "row"}}).predictions
    assert (first["Scored Labels"] in CLASSES, first["Error"]) == (True, None)
    assert (second["Scored Labels"], second["Error"][:22]) == (None, "its text is not base64")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": [text(0), "%%%", None]}, "row 1: its text is not base64"),
        ({"inputs": ["[A,B]"]}, "row 0: its text is not base64"),
        ({"inputs": ["/etc/passwd"]}, "row 0: its text is not base64"),
        ({"inputs": ["/etc/hosts00"]}, "row 0: "),
        ({"inputs": ["data:image/png,abc"]}, "row 0: a data URL"),
        ({"inputs": [[[[1, 2]]]]}, "row 0: an array of the shape [1, 1, 2]"),
        ({"inputs": [[[[1, -2, 3]]]]}, "row 0: an array of int64 values"),
        ({"inputs": 5}, "missing inputs ['image']"),
        ({"inputs": {"image": 5}}, "5, which is not an image"),
        ({"inputs": [text(0)], "params": {"on_error": "skip"}}, "It takes fail or row"),
        ({"inputs": [text(0)], "params": {"top_k": "x"}}, "top_k"),
        ({"inputs": [text(0)], "params": [1]}, "must be a dictionary"),
        ({"dataframe_split": {"columns": ["img"], "data": [[text(0)]]}}, "missing inputs ['image']"),
        ({}, "exactly one of the input fields"),
        ({"messages": []}, ""),
        (b"no json", "valid JSON"),
        (b'{"inputs": ["\xff"]}', "UTF-8"),
        (b"[" * 100_000, "cannot be read"),
        (b"", "valid JSON"),
    ],
)
def test_bad_request_is_refused_by_name(server: ScoringServer, body: object, words: str) -> None:
    answer = server.post(body)
    assert words in answer.message
    assert "Traceback" not in answer.text
    assert len(answer.text) < 10_000


@pytest.mark.parametrize("content_type", [None, "text/csv", "application/vnd.apache.parquet", "image/png", ";", "a;b"])
def test_bytes_of_any_content_type_are_refused_without_a_traceback(
    server: ScoringServer, content_type: str | None
) -> None:
    for body in (b"\xff\xfe\x00", encoded(0), b'image\n"a'):
        answer = server.post(body, content_type=content_type)
        assert answer.status in {400, 415}
        assert "Traceback" not in answer.text


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_thousand_hostile_requests(server: ScoringServer, tmp_path: Path) -> None:
    """Neither a fault of the server, nor a traceback, nor anything of a file that a request names, nor more memory."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(encoded(99))
    statuses: dict[int, int] = {}
    resident = 0
    for number in range(NUM_HOSTILE):
        body, content_type = hostile_request(number, text(0), encoded(0), str(secret))
        answer = server.post(body, content_type=content_type)
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status in {200, 400, 415}, (number, answer.text[:500], body[:500])
        assert "Traceback" not in answer.text, (number, answer.text[:2000])
        assert len(answer.text) < 20_000, number
        if answer.status == 200:
            json.loads(answer.text, parse_constant=refuse_constant)
        if number == _WARM_UP:
            resident = server.resident_bytes()
    assert statuses[200] > NUM_HOSTILE // 100
    assert statuses[400] > NUM_HOSTILE // 2
    assert server.resident_bytes() - resident < _MOST_GROWTH_BYTES
    assert server.post({"inputs": [text(0)]}).status == 200
    assert "Traceback" not in server.log.read_text(errors="replace")


def test_no_file_of_the_server_is_read(server: ScoringServer, tmp_path: Path) -> None:
    """Every name of an image that exists is answered as one that does not."""
    (tmp_path / "abcd").write_bytes(encoded(0))
    (tmp_path / "abcd.png").write_bytes(encoded(0))
    for path in (tmp_path / "abcd", tmp_path / "abcd.png"):
        for name in (str(path), path.as_uri(), f"file:{path}", urllib.parse.quote(str(path))):
            missing = name.replace("abcd", "abce")
            for build in FORMS.values():
                there, gone = (server.post(build([value])) for value in (name, missing))
                assert there.status == gone.status == 400
                assert there.text == gone.text


def test_answers_are_the_same_for_any_number_of_requests_at_once(server: ScoringServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bodies = [{"inputs": [text(seed), text(seed + 1)]} for seed in range(4)]
    expected = [server.post(body).text for body in bodies]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(server.post, bodies * 3))
    assert [answer.text for answer in found] == expected * 3
    assert np.isfinite(server.resident_bytes())
