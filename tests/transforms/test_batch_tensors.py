"""Tensors travel together, and a part of a batch is changed without touching the rest."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from pytorch_designer.transforms.drawn_batch import ImageSubset, on_device, packed, unpacked


@dataclass(frozen=True)
class Inner:
    factors: torch.Tensor
    name: str


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    rows: torch.Tensor
    nothing: torch.Tensor | None = None


def tensors() -> list[torch.Tensor]:
    return [
        torch.tensor([[1.5, -2.0]]),
        torch.tensor([True, False, True]),
        torch.arange(3),
        torch.empty(0, 4, dtype=torch.int64),
        torch.tensor(7, dtype=torch.uint8),
        torch.arange(12.0).view(3, 4).T,
    ]


def test_what_is_packed_comes_out_as_it_was() -> None:
    buffer = packed(tensors())
    assert buffer.dtype == torch.uint8
    for ours, expected in zip(unpacked(buffer, tensors()), tensors(), strict=True):
        assert ours.dtype == expected.dtype
        assert torch.equal(ours, expected)
        assert ours.untyped_storage().data_ptr() == buffer.untyped_storage().data_ptr()


def test_nothing_is_packed_as_nothing() -> None:
    assert packed([]).shape == (0,)
    assert unpacked(packed([]), []) == []


def test_all_tensors_of_a_structure_are_sent_and_plain_values_kept() -> None:
    inner = (Inner(torch.tensor([2.0]), "a"), Inner(torch.tensor([3.0, 4.0]), "b"))
    sent = on_device(Outer(inner, torch.tensor([5])), torch.device("cpu"))
    assert [each.name for each in sent.inner] == ["a", "b"]
    assert [each.factors.tolist() for each in sent.inner] == [[2.0], [3.0, 4.0]]
    assert sent.rows.tolist() == [5]
    assert sent.nothing is None
    storages = {tensor.untyped_storage().data_ptr() for tensor in (sent.rows, *(each.factors for each in sent.inner))}
    assert len(storages) == 1


def test_tensors_go_to_the_device() -> None:
    sent = on_device(Outer((), torch.tensor([5])), torch.device("meta"))
    assert sent.rows.device.type == "meta"
    assert (sent.rows.dtype, sent.rows.shape) == (torch.int64, (1,))


@pytest.mark.parametrize(
    ("is_in", "expected"),
    [
        ([False, True, False, True], [0, 10, 2, 30]),
        ([True] * 4, [0, 10, 20, 30]),
        ([False] * 4, [0, 1, 2, 3]),
        ([True], [0]),
    ],
)
def test_a_subset_is_changed_and_the_rest_kept(is_in: list[bool], expected: list[int]) -> None:
    images, seen = torch.arange(len(is_in)), []

    def tenfold(some: torch.Tensor) -> torch.Tensor:
        seen.extend(some.tolist())
        return some * 10

    assert ImageSubset.where(is_in).change(images, tenfold).tolist() == expected
    assert seen == [row for row, flag in enumerate(is_in) if flag]
    assert images.tolist() == list(range(len(is_in)))
