from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.yaml_tree import Value, parse_yaml, read_yaml

MOST_SECONDS = 4  # the largest takes one on an idle machine

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)), "more than 100,000"),
        ("type: [" + "[1]," * 200_000 + "]", "more than 100,000"),
        ("".join(f"k{number}: 1\n" for number in range(1_000_000)), "more than 100,000"),
        ("[" + "9, " * 99_000 + "{a: " * 900 + "1" + "}" * 900 + "]", "more than 100,000"),
        ("a: &a\n  b: *a\n", "a part of"),
        ("[" * 100_000, "not valid YAML"),
        ("a: " + "x" * (17 << 20), "17,825,795 bytes"),
    ],
    ids=["aliases", "values", "keys", "one too many", "circle", "depth", "size"],
)
def test_a_document_without_bounds_is_refused_in_no_time(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    started = time.process_time()
    error = refusal(path)
    assert message in error.what
    assert len(str(error)) < 1000
    assert time.process_time() - started < MOST_SECONDS


@pytest.mark.parametrize(
    "value",
    [
        "!!timestamp soon",
        "!!bool maybe",
        "!!int ''",
        "!!float ''",
        "!!int '+'",
        "!!int ten",
        "!!float " + "x" * 10_000,
        "!!binary \xe9",
        "!!set [1]",
        "!!omap x",
        "2026-13-40",
        "2001-01-01T00:00:00+99:99",
        "9" * 5000,
        "{? {b: 1} : 1}",
        "!!python/name:os.system x",
    ],
)
def test_a_value_that_is_not_of_its_type_is_named_with_its_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"name: c\nversion: {value}\n", encoding="utf-8")
    error = refusal(path)
    assert error.where == f"{path}:2"
    assert len(error.what) < 300


def refusal(path: Path) -> InvalidSpecError:
    """The error alone: pytest would show the document of a traceback."""
    try:
        read_yaml(path)
    except InvalidSpecError as error:
        return error.with_traceback(None)
    pytest.fail("was read")


@pytest.mark.slow
def test_a_large_value_is_shortened_in_a_message() -> None:
    value = root_of("a: [" + "1, " * 1000 + "]").children["a"]
    assert len(value.shown) <= 80
    assert len(value.shown_text) <= 80


@pytest.mark.skipif(os.name != "posix", reason="named pipes and devices")
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket"])
@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_no_file_is_not_waited_for(special_files: dict[str, Path], kind: str, is_link: bool) -> None:
    path = special_files[kind]
    if is_link:
        link = path.parent / "link.yaml" if kind != "a device" else special_files["a socket"].parent / "link.yaml"
        link.symlink_to(path)
        path = link
    with pytest.raises(InvalidSpecError, match=kind):
        read_yaml(path)


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
