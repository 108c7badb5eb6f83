"""Environment variables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytorch_designer.errors import ParameterParsingError
from pytorch_designer.settings import settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_nothing_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_DESIGNER_TRACKING", raising=False)
    assert settings().precision == "auto"
    assert settings().cache_bytes is None


def test_values_are_parsed_and_unknown_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_BYTES", "0")
    monkeypatch.setenv("PYTORCH_DESIGNER_DETERMINISTIC", "False")
    monkeypatch.setenv("PYTORCH_DESIGNER_UNKNOWN", "x")
    assert settings().cache_bytes == 0
    assert settings().deterministic is False


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CACHE_BYTES", "-1"), ("PRECISION", "fp8"), ("BAD_IMAGE_TOLERANCE", "2"), ("READ_THREADS", "many")],
)
def test_bad_value_names_the_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"PYTORCH_DESIGNER_{variable}", value)
    with pytest.raises(ParameterParsingError, match=f"PYTORCH_DESIGNER_{variable}"):
        settings()
