"""Text form of injected faults, and refusals by machines that cannot inject them."""

from __future__ import annotations

import pytest

from pytorch_designer.errors import DesignerError, ParameterParsingError, UnknownNameError
from pytorch_designer.harness.fault_injection.injected_faults import NO_FAULTS, InjectedFaults, parse_faults


def test_every_fault_is_parsed_into_its_own_field() -> None:
    texts = (
        "kill-after=1.5",
        "kill-at-write=3",
        "small-shm=64m",
        "read-only-output=model",
        "full-output=report:2K",
        "slow-open=250",
        "flaky-open=0.1:7",
        "no-network",
    )
    assert parse_faults(texts) == InjectedFaults(
        kill_after_seconds=1.5,
        kill_at_write=3,
        shm_bytes=64 * 1024 * 1024,
        read_only_outputs=("model",),
        full_outputs={"report": 2048},
        open_delay_seconds=0.25,
        open_failure_rate=0.1,
        open_failure_seed=7,
        has_network=False,
        texts=texts,
    )


def test_without_texts_nothing_goes_wrong() -> None:
    assert parse_faults(()) == NO_FAULTS
    assert not NO_FAULTS.watches_system_calls
    assert not NO_FAULTS.needs_namespace


def test_several_outputs_may_be_full_or_read_only() -> None:
    faults = parse_faults(["full-output=a:1", "full-output=b:2", "read-only-output=c", "read-only-output=d"])
    assert faults.output_names == ("c", "d", "a", "b")
    assert faults.full_outputs == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kill-after=soon", "The fault 'kill-after=soon' is not kill-after=SECONDS."),
        ("kill-after=0", "The fault 'kill-after=0' is not kill-after=SECONDS."),
        ("kill-after=nan", "The fault 'kill-after=nan' is not kill-after=SECONDS."),
        ("kill-at-write=0", "The fault 'kill-at-write=0' is not kill-at-write=N, counted from 1."),
        ("kill-at-write=1.5", "The fault 'kill-at-write=1.5' is not kill-at-write=N, counted from 1."),
        ("small-shm", "The fault 'small-shm' is not small-shm=SIZE, for instance 64m."),
        ("small-shm=0", "The fault 'small-shm=0' is not small-shm=SIZE, for instance 64m."),
        ("small-shm=64x", "The fault 'small-shm=64x' is not small-shm=SIZE, for instance 64m."),
        ("read-only-output=", "The fault 'read-only-output=' is not read-only-output=NAME."),
        ("full-output=model", "The fault 'full-output=model' is not full-output=NAME:SIZE, for instance model:10m."),
        ("full-output=:9", "The fault 'full-output=:9' is not full-output=NAME:SIZE, for instance model:10m."),
        ("slow-open=-1", "The fault 'slow-open=-1' is not slow-open=MILLISECONDS."),
        ("flaky-open=2", "The fault 'flaky-open=2' is not flaky-open=RATE[:SEED], with a rate above 0 and up to 1."),
        ("no-network=x", "The fault 'no-network=x' is not no-network, without a value."),
    ],
)
def test_wrong_value_is_named_with_the_form_that_is_wanted(text: str, message: str) -> None:
    with pytest.raises(ParameterParsingError) as caught:
        parse_faults([text])
    assert caught.value.what == message


def test_unknown_fault_is_named_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="There is no fault 'kill'") as caught:
        parse_faults(["kill=1"])
    assert isinstance(caught.value, DesignerError)
    assert "kill-after, kill-at-write, small-shm" in caught.value.advice
