"""Operations that torch computes in no fixed order on a GPU, and the networks that need one; found without a GPU.

Networks are trained on torch's meta device, and their operations are compared with the list in the documentation of
`torch.use_deterministic_algorithms`.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pytorch_designer.models.architectures import Architecture, build_network, build_on_meta
from tests.campaigns.families import FAMILIES

WITHOUT_FIXED_ORDER = frozenset(
    {
        "_adaptive_avg_pool2d_backward",
        "_adaptive_avg_pool3d_backward",
        "_ctc_loss_backward",
        "_upsample_bicubic2d_aa_backward",
        "_upsample_bilinear2d_aa_backward",
        "adaptive_max_pool2d_backward",
        "avg_pool3d_backward",
        "bincount",
        "fractional_max_pool2d_backward",
        "fractional_max_pool3d_backward",
        "grid_sampler_2d_backward",
        "grid_sampler_3d_backward",
        "histc",
        "kthvalue",
        "max_pool3d_with_indices_backward",
        "max_unpool2d",
        "max_unpool3d",
        "median",
        "nll_loss2d_forward",
        "put_",
        "reflection_pad1d_backward",
        "reflection_pad2d_backward",
        "reflection_pad3d_backward",
        "scatter_reduce",
        "upsample_bicubic2d_backward",
        "upsample_bilinear2d_backward",
        "upsample_linear1d_backward",
        "upsample_trilinear3d_backward",
    }
)
FIXED_SIZE = frozenset({"maxvit_t", "vit_b_16"})
NOT_REPEATING = frozenset({"alexnet", "vgg11_bn"})
"""They are trained with a warning (docs/decisions/0021-gpu-steps.md)."""


class Recorder(TorchDispatchMode):
    """Collects the names of operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no type for it
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def operations_of_a_step(name: str, side: int) -> set[str]:
    network = build_on_meta(lambda: build_network(Architecture(name), 4)).train()
    images = torch.empty(2, 3, side, side, device="meta")
    recorder = Recorder()
    with recorder:
        loss = torch.nn.functional.cross_entropy(network(images), torch.zeros(2, dtype=torch.int64, device="meta"))
        loss.backward()
    return recorder.names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [(name, side) for name in FAMILIES for side in ((224,) if name in FIXED_SIZE else (224, 200))],
)
def test_no_other_family_needs_an_operation_without_a_fixed_order_on_a_gpu(name: str, side: int) -> None:
    operations = operations_of_a_step(name, side)
    assert "nll_loss_backward" in operations
    assert operations & WITHOUT_FIXED_ORDER == ({"_adaptive_avg_pool2d_backward"} if name in NOT_REPEATING else set())
