"""Mean inputs of the convolutions before batch norms, by the given weights: what `near_steps` centers gradients by.

Why: docs/decisions/0053-centered-inputs.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from pytorch_designer.images.order import epoch_order
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.batch_norm import NormalizedUse, noted_uses
from pytorch_designer.training.start.features import without_random
from pytorch_designer.training.steps.step import MEMORY_ADVICE

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.training.state import TrainingRun

MOST_IMAGES = 64
"""Images that the means are taken of: any means leave the run what it is, so that an estimate is enough."""

_TOLERANCE = 0.01  # of the mean outputs: TF32 rounds


def measure_input_means(run: TrainingRun) -> dict[str, Tensor]:
    """The mean patch that each convolution before a batch norm sees, over images and places, by the given weights.

    Left out are convolutions whose weights, or the biases of their norm, do not learn, whose output the norm does not
    take as it is, and whose output is not linear in their weights, as with weights that are standardized in the pass.

    Args:
        run: Its network is in evaluation mode afterwards, and as it was.

    Returns:
        By the convolution's name in the network, on the CPU: [1, c, height, width] of its kernel, [o, c, height, width]
        for o output channels where it has groups. Empty where no image could be read.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
        InvalidDatasetError: Too many images cannot be read.
    """
    network, preprocessing = run.predictor.network, run.predictor.preprocessing
    inputs: dict[str, tuple[nn.Conv2d, Tensor]] = {}

    def note(use: NormalizedUse) -> None:
        if use.convolution.weight.requires_grad and use.norm.affine and use.norm.bias.requires_grad:
            inputs[use.name] = (use.convolution, use.inputs.detach().float().mean(0, keepdim=True))

    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=0)
    rows = order[: min(MOST_IMAGES, inference_batch_size(preprocessing))]
    for batch in run.training.batches([rows], epoch=None):
        if len(batch.labels):
            with noted_uses(network, note), torch_errors(len(batch.labels), advice=MEMORY_ADVICE):
                run.predictor.logits(without_random(run, batch).images)
    means = {name: _mean_patch(convolution, mean) for name, (convolution, mean) in inputs.items()}
    return {name: mean for name, mean in means.items() if mean is not None}


def like_patch(convolution: nn.Conv2d, tensor: Tensor) -> Tensor:
    """What a patch has of a tensor like the weights: one output channel, as all see the same, but for groups."""
    return tensor.detach() if convolution.groups > 1 else tensor.detach()[:1]


def _mean_patch(convolution: nn.Conv2d, inputs_1chw: Tensor) -> Tensor | None:
    """The mean over places of what the kernel covers, as the gradient of the mean outputs by the weights.

    None where these gradients are not patches, because the outputs are not linear in the weights.
    """
    with torch.enable_grad():
        outputs_o = convolution(inputs_1chw.clone()).mean((0, 2, 3))  # those of inference mode have no gradient
        (patches,) = torch.autograd.grad(outputs_o.sum(), convolution.weight)
    weight, bias_o = convolution.weight.detach(), convolution.bias
    expected_o = (weight * patches).flatten(1).sum(1) + (0.0 if bias_o is None else bias_o.detach())
    difference = (expected_o - outputs_o.detach()).abs().max()
    if not difference <= _TOLERANCE * outputs_o.detach().abs().max():
        return None
    return like_patch(convolution, patches).float().cpu().contiguous()
