"""Plan of a run for the weights that it starts from: all that differs between training from scratch and fine-tuning.

The plan is made once, before the run, from what is given and how much there is to learn. Why it is as it is: from
scratch docs/decisions/0020-initial-scale.md; on given weights 0047-leaving-given-weights.md, 0052-bounded-steps.md,
0054-scale-near-given-weights.md and 0055-a-fifth-of-the-classifier.md.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_STEPS_NEAR = 1500
"""Steps up to which a run may stay near given weights."""

LEAST_STEPS_AWAY, LEAST_IMAGES_AWAY, LEAST_BATCH_AWAY = 150, 200, 16
"""Steps, training images per class on average, and images per step and process, from which on a run gains by leaving
given weights."""


@dataclass(frozen=True)
class WeightPlan:
    """What a run does with the weights that it starts from.

    Attributes:
        are_given: Whether they were learned, but for those of a new classifier; else all are random.
        stays_near: Whether the run stays near them: batch norm keeps their statistics, and steps are those of
            `NearSteps`. Other runs learn as from scratch, but for their start.
        scales_convolutions: Whether convolutions before batch norm are scaled before the first step.
        shrinks_head: Whether the epochs start from a share of a classifier that was computed in closed form.
    """

    are_given: bool
    stays_near: bool
    scales_convolutions: bool
    shrinks_head: bool


@dataclass(frozen=True)
class StartingPoint:
    """What a plan is made from.

    Attributes:
        has_weights: Whether learned weights are given.
        are_published: Whether these come without class names, as published ones do, which learned from far more images
            than those of a training run.
        has_new_head: Whether the classifier is new, and a linear layer.
        has_batch_norm: Whether batch norm follows convolutions.
        num_steps: Steps of the whole run, at least 1.
        images_per_class: Training images, divided by the classes.
        batch_size: Images per step and process, which batch norm takes its statistics from.
    """

    has_weights: bool
    are_published: bool
    has_new_head: bool
    has_batch_norm: bool
    num_steps: int
    images_per_class: float
    batch_size: int


def plan_weights(start: StartingPoint) -> WeightPlan:
    """The plan of a run.

    With much to learn, a run leaves given weights if the sizes of their convolutions can be chosen, that is with a new
    classifier and batch norm. Published weights it stays near, and does not change their sizes then. With little to
    learn it stays near all weights, and chooses the sizes where it can. Long runs leave all weights.
    """
    if not start.has_weights:
        return WeightPlan(are_given=False, stays_near=False, scales_convolutions=True, shrinks_head=True)
    learns_much = (
        start.num_steps >= LEAST_STEPS_AWAY
        and start.images_per_class >= LEAST_IMAGES_AWAY
        and start.batch_size >= LEAST_BATCH_AWAY
    )
    leaves = learns_much and start.has_new_head and start.has_batch_norm and not start.are_published
    stays_near = start.num_steps <= MOST_STEPS_NEAR and not leaves
    return WeightPlan(
        are_given=True,
        stays_near=stays_near,
        scales_convolutions=start.has_new_head and not (stays_near and learns_much),
        shrinks_head=start.has_batch_norm or not stays_near,
    )
