from __future__ import annotations

import pytest

from pytorch_designer.errors import InvalidSpecError, ParameterParsingError, UnsupportedLocallyError
from pytorch_designer.harness.schema.spec_faults import FaultCollector, SpecFault, SpecPlace

FILE = SpecPlace("p.yaml")
PLACE = SpecPlace("p.yaml", 4, 7, ("jobs", "train", "inputs", "epochs"))


@pytest.mark.parametrize(
    ("keys", "node", "port"),
    [
        (("jobs", "train", "inputs", "epochs", "value"), "train", "epochs"),
        (("jobs", "train", "component", "outputs", "model"), "train", "model"),
        (("jobs", "train", "environment"), "train", None),
        (("inputs", "data", "type"), None, "data"),
        (("settings", "force_rerun"), None, None),
        (("jobs",), None, None),
        ((), None, None),
    ],
)
def test_keys_tell_node_and_port(keys: tuple[str, ...], node: str | None, port: str | None) -> None:
    place = SpecPlace("p.yaml", 1, 1, keys)

    assert (place.node, place.port, place.key) == (node, port, ".".join(keys))


def test_a_place_is_shown_by_its_line_or_else_by_its_keys() -> None:
    assert str(PLACE) == "p.yaml:4"
    assert str(SpecPlace("folder", keys=PLACE.keys)) == "jobs.train.inputs.epochs of folder"
    assert str(FILE) == "p.yaml"


def test_an_error_keeps_its_fault() -> None:
    error = PLACE.unsupported("It is far away.", "Fetch it.")

    assert isinstance(error, UnsupportedLocallyError)
    assert (error.what, error.where, error.advice) == ("It is far away.", "p.yaml:4", "Fetch it.")
    assert error.faults == (SpecFault(PLACE, "UnsupportedLocallyError", "It is far away.", "Fetch it."),)


def refuse(error: Exception) -> None:
    raise error


def test_a_single_fault_is_raised_as_it_was() -> None:
    faults, error = (
        FaultCollector(),
        ParameterParsingError("Input epochs cannot be 'x'.", where="epochs", advice="Count."),
    )
    with faults.collecting(PLACE):
        raise error

    with pytest.raises(ParameterParsingError) as caught:
        faults.raise_any(FILE)

    assert caught.value is error
    assert error.where == "p.yaml:4"
    assert error.faults == (SpecFault(PLACE, "ParameterParsingError", "Input epochs cannot be 'x'.", "Count."),)


def test_several_faults_keep_line_and_advice() -> None:
    faults = FaultCollector()
    faults.add("The pipeline has no input x.", PLACE)
    with faults.collecting():
        refuse(FILE.unsupported("It is far away.", "Fetch it."))

    with pytest.raises(InvalidSpecError, match="has 2 faults") as caught:
        faults.raise_any(FILE)

    assert caught.value.faults == tuple(faults.faults)
    assert [(fault.place.line, fault.advice) for fault in faults.faults] == [(4, ""), (0, "Fetch it.")]
    assert caught.value.examples == (
        "p.yaml:4: The pipeline has no input x.",
        "p.yaml: It is far away. Fetch it.",
    )


def test_faults_of_a_nested_collection_are_kept_one_by_one() -> None:
    inner, outer = FaultCollector(), FaultCollector()
    inner.add("one", FILE)
    inner.add("two", PLACE)
    with outer.collecting():
        inner.raise_any(FILE)

    assert [fault.message for fault in outer.faults] == ["one", "two"]


def test_features_that_cannot_run_here_stay_so_if_there_are_several() -> None:
    faults = FaultCollector()
    for name in ("a", "b"):
        with faults.collecting():
            refuse(FILE.unsupported(f"{name} is far away."))

    with pytest.raises(UnsupportedLocallyError, match="2 parts of the pipeline"):
        faults.raise_any(FILE)


def test_a_bug_is_not_collected() -> None:
    faults = FaultCollector()
    with pytest.raises(ValueError, match="bug"), faults.collecting():
        refuse(ValueError("bug"))

    faults.raise_any(FILE)
    assert faults.faults == []
