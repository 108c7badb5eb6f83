"""The error hierarchy: codes, messages, and documentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pytorch_designer.errors as errors_module
from pytorch_designer.errors import DesignerError, InterruptedRunError, InvalidDatasetError, ParameterError, shorten


def subclasses(root: type[DesignerError]) -> Iterator[type[DesignerError]]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


NAMED = [error for error in subclasses(DesignerError) if error is not ParameterError]


def test_message_says_what_where_examples_and_advice() -> None:
    error = InvalidDatasetError("Two files are bad.", where="a/b", examples=["x.png", "y.png"], advice="Remove them.")
    assert str(error).splitlines() == [
        "InvalidDatasetError (0018): Two files are bad.",
        "  Where: a/b",
        "  - x.png",
        "  - y.png",
        "  What to do: Remove them.",
    ]


def test_at_most_five_examples_are_shown_and_all_are_counted() -> None:
    error = InvalidDatasetError("Bad.", examples=range(12))
    assert error.examples == ("0", "1", "2", "3", "4")
    assert error.num_offending == 12
    assert "  ... and 7 more" in str(error).splitlines()


@pytest.mark.parametrize("name", ["", " ", "\u3000"])
def test_an_example_without_a_name_says_so(name: str) -> None:
    error = InvalidDatasetError("Bad.", examples=[name, f"line 2: {name}", "line 3: a"])
    assert error.examples == ("(empty)", "line 2: (empty)", "line 3: a")


def test_text_from_files_cannot_flood_or_forge_a_log() -> None:
    assert shorten("a\nb\x1b[31m") == "a\\nb\\x1b[31m"
    assert len(shorten("x" * 10_000)) == 500


def test_error_as_data_has_the_message_too() -> None:
    data = InvalidDatasetError("Bad.", where="d", reason="empty").to_dict()
    assert (data["name"], data["code"], data["reason"], data["where"]) == ("InvalidDatasetError", "0018", "empty", "d")
    assert data["message"].startswith("InvalidDatasetError (0018): Bad.")


@pytest.mark.parametrize("error", NAMED, ids=lambda error: error.__name__)
def test_every_error_has_a_code_and_is_listed_in_the_hierarchy(error: type[DesignerError]) -> None:
    assert error.code != DesignerError.code
    tree = errors_module.__doc__ or ""
    line = next((line for line in tree.splitlines() if error.__name__ in line.split()), None)
    assert line is not None, "add it to the docstring of errors.py"
    assert error.code in line.split()


def test_codes_are_unique() -> None:
    codes = [error.code for error in NAMED]
    assert len(codes) == len(set(codes))


def test_codes_of_the_old_designer_are_kept() -> None:
    documented = {
        "ParameterParsingError": "0002",
        "NullOrEmptyError": "0003",
        "GreaterThanOrEqualToError": "0005",
        "InvalidDatasetError": "0018",
        "NotLabeledDatasetError": "0024",
        "ModuleOutOfMemoryError": "0138",
        "InvalidTransformationDirectoryError": "0158",
        "InvalidModelDirectoryError": "0159",
        "FailedToWriteOutputsError": "0160",
        "FailedToDownloadFilesError": "0162",
    }
    assert {name: getattr(errors_module, name).code for name in documented} == documented


def test_interrupted_run_knows_its_signal() -> None:
    assert InterruptedRunError("Stopped.", signal_number=15).signal_number == 15
