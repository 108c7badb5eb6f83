"""Fingerprint of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.training.run_info import run_fingerprint

from .small_run import small_network

SETTINGS = {"parameters": {"epochs": 3}}


def fingerprint(datasets: dict[str, ImageDirectory], seed: int = 0, **settings: object) -> str:
    return run_fingerprint(
        settings=SETTINGS | settings,
        weights=small_network(seed).state_dict(),
        training=datasets["training"],
        validation=datasets["validation"],
    )


def test_same_inputs_have_the_same_fingerprint(datasets: dict[str, ImageDirectory]) -> None:
    assert fingerprint(datasets) == fingerprint(dict(datasets))


def _other_label(dataset: ImageDirectory) -> ImageDirectory:
    assert dataset.labels is not None
    labels = dataset.labels.copy()
    labels[0] = 1 - labels[0]
    return replace(dataset, labels=labels)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda dataset: dataset.take(np.arange(len(dataset) - 1)), id="an image less"),
        pytest.param(lambda dataset: dataset.take(np.arange(len(dataset))[::-1]), id="another order"),
        pytest.param(_other_label, id="another label"),
        pytest.param(lambda dataset: replace(dataset, classes=("a", "b", "c")), id="other class names"),
    ],
)
@pytest.mark.parametrize("part", ["training", "validation"])
def test_other_data_has_another_fingerprint(
    datasets: dict[str, ImageDirectory], part: str, change: Callable[[ImageDirectory], ImageDirectory]
) -> None:
    assert fingerprint(datasets | {part: change(datasets[part])}) != fingerprint(datasets)


def test_other_weights_and_other_facts_have_another_fingerprint(datasets: dict[str, ImageDirectory]) -> None:
    assert len({fingerprint(datasets), fingerprint(datasets, seed=1), fingerprint(datasets, versions=["2.0"])}) == 3


def test_file_of_another_size_under_the_same_name_is_noticed(
    tmp_path: Path, datasets: dict[str, ImageDirectory]
) -> None:
    for label in ("digit 0", "digit 1", "digit 2"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.png").write_bytes(b"x" * 10)
    before = fingerprint(datasets | {"training": open_image_directory(tmp_path)})
    (tmp_path / "digit 1" / "0.png").write_bytes(b"x" * 11)
    assert fingerprint(datasets | {"training": open_image_directory(tmp_path)}) != before


def test_memory_layout_of_the_weights_does_not_matter(datasets: dict[str, ImageDirectory]) -> None:
    def of(memory_format: torch.memory_format) -> str:
        network = small_network().to(memory_format=memory_format)
        return run_fingerprint(
            settings=SETTINGS,
            weights=network.state_dict(),
            training=datasets["training"],
            validation=datasets["validation"],
        )

    assert of(torch.channels_last) == of(torch.contiguous_format)
