from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.yaml_tree import Value, parse_yaml, read_yaml

TEXT = """\
name: train
inputs:
  rate: {type: number, default: 0.5}
steps:
  - first
  - second: >-
      a b
      c
"""


def root_of(text: str) -> Value:
    return parse_yaml(text, Path("c.yaml")).root


def test_every_value_knows_where_it_is() -> None:
    root = root_of(TEXT)
    default, second = root.get("inputs", "rate", "default"), root.children["steps"].entries[1].children["second"]

    assert default is not None
    file = str(Path("c.yaml").absolute())
    assert default.place == SpecPlace(file, 3, 33, ("inputs", "rate", "default"))
    assert default.key_place == SpecPlace(file, 3, 24, ("inputs", "rate", "default"))
    assert second.key_place == SpecPlace(file, 6, 5, ("steps", "1", "second"))
    assert second.locate("c") == SpecPlace(file, 8, 7, ("steps", "1", "second"))


def test_a_key_that_occurs_twice_is_found_at_its_second_place() -> None:
    document = parse_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n", Path("c.yaml"))

    assert [(value.keys, value.key_place.line) for value in document.repeated] == [(("a", "b"), 4)]
    with pytest.raises(InvalidSpecError, match="'b' occurs twice"):
        document.mapping()


def test_a_merge_key_may_be_overridden() -> None:
    document = parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n", Path("c.yaml"))

    assert document.repeated == ()
    assert document.mapping().children["b"].plain == {"x": 1, "y": 3}
    assert {key: value.plain for key, value in document.root.children["b"].children.items()} == {"x": 1, "y": 3}


def test_aliases_that_grow_without_end_are_read_in_no_time() -> None:
    doubling = "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

    root = root_of(f"a0: &a0 [1]\n{doubling}")

    assert [value.key_place.line for value in root.children.values()] == list(range(1, 41))
    assert [value.plain for value in root.texts()] == []


def test_a_mapping_that_contains_itself_is_read() -> None:
    inner = root_of("a: &a\n  b: *a\n").children["a"].children["b"]

    assert inner.key_place.line == 2
    assert inner.plain["b"] is inner.plain


def test_keys_that_are_not_text_are_told_apart() -> None:
    assert [value.has_text_key for value in root_of("a: 1\n2: 1\non: 1\n'3': 1\n").children.values()] == [
        True,
        False,
        False,
        True,
    ]


def test_an_empty_document_is_null() -> None:
    assert root_of("# nothing\n").plain is None


def test_a_python_program_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "pipeline.py").write_text('"""A pipeline."""\n')
    with pytest.raises(InvalidSpecError, match="This is a Python program, not a YAML file"):
        read_yaml(tmp_path / "pipeline.py")
