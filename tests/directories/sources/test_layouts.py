"""Datasets as people have them: each gives the right labels, or is refused with what it is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.image_directory import UNLABELED, open_image_directory
from pytorch_designer.errors import InvalidDatasetError
from tests.directories.sources.layouts import LAYOUTS, Case, Refused, Unlabeled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.directories.hand_built import MakeTree


def write(make_tree: MakeTree, case: Case) -> Path:
    root = make_tree(*case.images.split(), *case.texts)
    for name, text in case.texts.items():
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_its_labels_or_is_refused_with_what_it_is(make_tree: MakeTree, name: str) -> None:
    case = LAYOUTS[name]
    root = write(make_tree, case)
    expected = case.expected
    if isinstance(expected, Refused):
        with pytest.raises(InvalidDatasetError) as caught:
            open_image_directory(root)
        assert caught.value.reason == expected.reason, caught.value
        assert not [word for word in expected.words if word not in str(caught.value)], str(caught.value)
        return
    dataset = open_image_directory(root)
    assert all(dataset.path(index).is_file() for index in range(len(dataset)))
    assert dataset.layout.name == expected.layout
    if isinstance(expected, Unlabeled):
        assert (dataset.labels, len(dataset)) == (None, expected.num_images)
        return
    assert dataset.labels is not None
    counts = Counter(dataset.labels.tolist())
    assert counts.pop(UNLABELED, 0) == expected.unlabeled
    assert {name: counts[index] for index, name in enumerate(dataset.classes)} == expected.counts
    if expected.labels_from:
        assert dataset.layout.labels_from == expected.labels_from
    if expected.left_out:
        assert dataset.layout.left_out == expected.left_out
