"""Whatever stands in a file, the linter reports and does not fail."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.harness.lint.linter import lint
from tests.harness.lint.lint_files import COMPONENT, PIPELINE, PIPELINE_COMPONENT

TEXTS = {"component": COMPONENT, "job": PIPELINE, "pipeline component": PIPELINE_COMPONENT}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=8)
    | st.sampled_from(["${{inputs.x}}", "${{parent.jobs.a.b}}", "$[[", "${{", "azureml:", "file:", "pipeline", "sweep"])
)


def is_plain_key(value: object) -> bool:
    return value == value  # noqa: PLR0124 (not-a-number cannot be found again in a dict)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SCALARS.filter(is_plain_key), inner, max_size=3),
    max_leaves=5,
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [found for key, inner in value.items() for found in paths_of(inner, (*path, key))]
    return here


PLACES = [(kind, path) for kind, text in TEXTS.items() for path in paths_of(yaml.safe_load(text))]


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=VALUES)
def test_any_value_in_any_place_is_reported_and_not_a_failure(
    folder: Path, place: tuple[str, tuple[Any, ...]], value: object
) -> None:
    kind, path = place
    content = copy.deepcopy(yaml.safe_load(TEXTS[kind]))
    owner = content
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    (folder / "changed.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    lines = len((folder / "changed.yaml").read_text(encoding="utf-8").splitlines())
    for finding in lint([folder / "changed.yaml"]).findings:
        assert 1 <= finding.place.line <= lines + 1
        assert finding.place.column >= 1


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(PIPELINE)), length=st.integers(1, 40), text=st.text(max_size=5))
def test_any_damage_to_the_text_is_reported_and_not_a_failure(folder: Path, start: int, length: int, text: str) -> None:
    damaged = PIPELINE[:start] + text + PIPELINE[start + length :]
    (folder / "changed.yaml").write_bytes(damaged.encode("utf-8", "surrogatepass"))
    lint([folder / "changed.yaml"])


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "? [1, 2]\n: 3\n", "!!python/object:os.system {}\n", "a: !tag b\n"])
def test_unusual_yaml_is_no_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    assert len(lint([tmp_path / "x.yaml"]).findings) == 1
